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

/// Which inputs of an operation want a gradient, in the order of the inputs.
using Needs = std::vector<bool>;
/// From the gradient of the output to those of the inputs; undefined where not needed.
using Vjp = std::function<std::vector<Tensor>(const Tensor& dy, const Needs& needs)>;

/// Records while it lives; the innermost live tape of the thread records. No tape means inference.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static Tape* current();
  /// True when an operation on these inputs would be recorded: what only a backward pass reads need
  /// not be computed otherwise.
  static bool records(std::initializer_list<Tensor> inputs);

  /// Adds an operation when a tape is live and an input requires a gradient; `output` then does
  /// too. Every operation ends here, so here its output is checked when check_finite() is on.
  static void record(std::string_view op, std::vector<Tensor> inputs, Tensor& output, Vjp vjp);

  /// Adds dL/dleaf to the .grad of every leaf that requires one, for L = <y, dy> (dy: ones when
  /// undefined; y then has one element). Empties the tape, freeing activations as it goes. Throws
  /// Error when y was not recorded here.
  void backward(const Tensor& y, Tensor dy = {});
  size_t size() const { return nodes_.size(); }
  /// Names of the recorded operations, in their order.
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

/// Told of every operation of this thread as it ends: its output, and whether it was the backward
/// pass that ended. For profiles.
using OpObserver = std::function<void(std::string_view op, const Tensor& output, bool backward)>;
/// An empty observer turns observation off.
void set_op_observer(OpObserver observer);

/// Whether the output and the gradients of every operation are checked for NaN and infinity; the
/// Error then names the operation. ASSAY_CHECK_FINITE=1 in the environment turns it on from the
/// start.
bool check_finite();
void set_check_finite(bool on);

/// " (relu: the output (2,4) holds NaN or infinity)", for a message: the first operation of `f`
/// whose output is not finite. Empty when there is none.
std::string op_to_blame(const std::function<void()>& f);

}  // namespace assay
