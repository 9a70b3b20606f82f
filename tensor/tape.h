// Autograd by an explicit tape: the record of one training step, in order of execution. Its reverse
// is already a topological order, so there is no sort, no recursion and no reference cycle.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace assay {

/// Whether each input of an operation needs a gradient.
using NeedsInputGrad = std::vector<bool>;
/// Vector-Jacobian product: from the gradient of the output to those of the inputs, undefined for
/// inputs that need none.
using Vjp =
    std::function<std::vector<Tensor>(const Tensor& dy, const NeedsInputGrad& needs_input_grad)>;

/// Records operations while it lives; of several, the thread's innermost records. Without a tape
/// operations are inference.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static Tape* current();
  /// Whether an operation on these inputs is recorded. If not, it need not compute what only a
  /// backward pass reads.
  static bool records(std::initializer_list<Tensor> inputs);

  /// Adds an operation if a tape is live and an input requires a gradient; `output` then requires
  /// one too. Every operation ends with this call, which also checks its output if check_finite().
  static void record(std::string_view op, std::vector<Tensor> inputs, Tensor& output, Vjp vjp);

  /// Adds dL/dleaf to the .grad of every leaf that requires one, for L = <y, dy>. If dy is
  /// undefined it is 1 and y has one element. Empties the tape, freeing activations on the way.
  /// Throws Error if y was not recorded here.
  void backward(const Tensor& y, Tensor dy = {});
  size_t size() const { return nodes_.size(); }
  /// Names of the recorded operations, in order.
  std::vector<std::string_view> ops() const;

 private:
  struct Node {
    std::string_view op;
    std::vector<Tensor> inputs;
    Tensor output;
    Vjp vjp;
  };
  std::vector<Node> nodes_;
  Tape* previous_;
};

/// While it exists, the innermost observer of this thread is called at the end of every operation
/// and of its derivative (`backward`), with its output. For profiles.
class OpObserver {
 public:
  using Call = std::function<void(std::string_view op, const Tensor& output, bool backward)>;
  explicit OpObserver(Call call);
  ~OpObserver();
  OpObserver(const OpObserver&) = delete;
  OpObserver& operator=(const OpObserver&) = delete;

  /// Calls the innermost observer, if there is one.
  static void note(std::string_view op, const Tensor& output, bool backward);

 private:
  Call call_;
  OpObserver* previous_;
};

/// Whether the output and the gradients of every operation are checked for NaN and infinity, which
/// are then an Error that names the operation. Initially the value of ASSAY_CHECK_FINITE in the
/// environment.
bool check_finite();
void set_check_finite(bool on);

/// The first operation of `f` whose output is not finite, as text for a message: " (relu: the
/// output (2,4) holds NaN or infinity)". "" if there is none.
std::string first_nonfinite_op(const std::function<void()>& f);

}  // namespace assay
