// Module: parameters and buffers with names, a forward pass, and a description of itself.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/pointwise/activation_formula.h"
#include "tensor/tensor.h"

namespace assay {

/// How PyTorch stores a tensor of ours: seen with the dimensions `dims`, permuted by `order`, then
/// with the shape `shape`. Empty `order`: as it is.
struct TorchLayout {
  Shape dims;
  std::vector<int> order;
  Shape shape;
};

/// What a parameter is to its layer: all that its initial value depends on.
struct ParameterRole {
  enum Kind : uint8_t { weight, bias, scale } kind = weight;
  int64_t fan_in = 0, fan_out = 0;  ///< of a weight
  Activation followed_by = Activation::none;
};

struct Parameter {
  std::string name;  ///< PyTorch's, as "encoder.3.weight"
  Tensor tensor;
  TorchLayout layout;
  ParameterRole role;
};

/// State that is no parameter: a tensor, or a count (then `tensor` is undefined).
struct Buffer {
  std::string name;
  Tensor tensor;
  int64_t* count = nullptr;
};

/// The kernel call of a convolution layer. A transposed layer has the convolution that maps its
/// output to its input: its forward pass is dgrad.
struct ConvCall {
  Conv2dShape shape;
  Conv2dEpilogue epilogue;
  bool transposed = false;
};

/// One line of a network table.
struct LayerRow {
  std::string name;  ///< PyTorch's, as "encoder.3"
  std::string what;  ///< "conv 3x3/1/1, ReLU, max-pool 2": filter/stride/padding
  Shape output;      ///< (N,H,W,C) or (N,I)
  int64_t parameters = 0;
  int64_t flops = 0;      ///< forward; multiply-adds count as two
  int64_t min_bytes = 0;  ///< that a forward pass must move in fp32: operands once, output once
  std::optional<ConvCall> conv = {};  ///< set by convolution layers
  bool is_product = false;            ///< a dense layer: every pass is a matrix product
};

/// A layer or a network. Copying is not possible; handles on its tensors are.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return forward(x); }

  /// Appends the rows of this module for an input of that shape, `name` in front of each name;
  /// returns the shape of its output. Throws Error where forward would.
  virtual Shape describe(const std::string& name, const Shape& input,
                         std::vector<LayerRow>& rows) const = 0;
  /// How many modules of PyTorch this one stands for, and which of them owns the parameters: a
  /// convolution with upsampling in front and ReLU behind is [Upsample, Conv2d, ReLU], so (3, 1).
  struct TorchSpan {
    int modules = 1, owner = 0;
  };
  virtual TorchSpan torch_span() const { return {}; }

  /// Depth first, in the order of definition, which is the order of PyTorch's.
  std::vector<Parameter> parameters() const;
  std::vector<Buffer> buffers() const;
  int64_t parameter_count() const;

  /// Training mode (the default) and inference mode differ in batch norm alone.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  /// False makes the parameters constants: their gradients are not computed.
  void set_requires_grad(bool on);
  void zero_grad();

 protected:
  /// Adds a parameter of that shape, zero, requiring a gradient.
  Tensor add_parameter(std::string name, Shape shape, ParameterRole role, TorchLayout layout = {});
  void add_buffer(std::string name, Tensor tensor);
  void add_buffer(std::string name, int64_t* count);
  /// `child` must live as long as this module.
  void add_child(std::string name, Module& child);

 private:
  void collect(const std::string& prefix, std::vector<Parameter>* parameters,
               std::vector<Buffer>* buffers) const;

  bool training_ = true;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
};

}  // namespace assay
