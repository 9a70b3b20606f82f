// Autograd by an explicit tape: the record of one training step, in order of execution. Its reverse
// is already a topological order, so there is no sort, no recursion and no reference cycle.
#pragma once

#include <functional>
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

  /// Adds an operation when a tape is live and an input requires a gradient; `output` then does too.
  static void record(std::string_view op, std::vector<Tensor> inputs, Tensor& output, Vjp vjp);

  /// Adds dL/dleaf to the .grad of every leaf that requires one, for L = <y, dy> (dy: ones when
  /// undefined; y then has one element). Empties the tape, freeing activations as it goes. Throws
  /// Error when y was not recorded here.
  void backward(const Tensor& y, Tensor dy = {});
  size_t size() const { return nodes_.size(); }

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

}  // namespace assay
