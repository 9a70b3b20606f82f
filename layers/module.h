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

/// The layout of one of our tensors in PyTorch: reshaped to `dims`, permuted by `order`, reshaped
/// to `shape`. An empty `order` means no change.
struct TorchLayout {
  Shape dims;
  std::vector<int> order;
  Shape shape;
};

/// The role of a parameter in its layer, on which its initial value depends.
struct ParameterRole {
  enum Kind : uint8_t { weight, bias, scale } kind = weight;
  int64_t fan_in = 0, fan_out = 0;  ///< weights only
  Activation followed_by = Activation::none;
};

struct Parameter {
  std::string name;  ///< PyTorch's name, such as "encoder.3.weight"
  Tensor tensor;
  TorchLayout layout;
  ParameterRole role;
};

/// State that is not a parameter: a tensor, or a count, and then `tensor` is undefined.
struct Buffer {
  std::string name;
  Tensor tensor;
  int64_t* count = nullptr;
};

/// The kernel call of a convolution layer. For a transposed layer, whose forward pass is dgrad, it
/// is the convolution that maps its output to its input.
struct ConvCall {
  Conv2dShape shape;
  Conv2dEpilogue epilogue;
  bool transposed = false;
};

/// One line of a network table.
struct LayerRow {
  std::string name;  ///< PyTorch's name, such as "encoder.3"
  std::string what;  ///< "conv 3x3/1/1, ReLU, max-pool 2": filter/stride/padding
  Shape output;      ///< (N,H,W,C) or (N,I)
  int64_t parameters = 0;
  int64_t flops = 0;      ///< of a forward pass; a multiply-add counts as two
  int64_t min_bytes = 0;  ///< moved by a forward pass in fp32: every operand and the output once
  std::optional<ConvCall> conv = {};  ///< set by convolution layers
  bool is_dense = false;              ///< dense layers, whose passes are matrix products
  Activation activation = Activation::none;
  float slope = 0;  ///< of leaky_relu
};

/// f(x) with the context's type of activations: an fp32 x is converted to bf16, and the result
/// back, where the context's precision is bf16 (activation_type()). What f calls gets
/// bf16 and converts no more, so the conversions lie at the input and the output of the outermost
/// module: losses, scores, latents and the density are fp32.
template <class F>
Tensor in_activation_type(const Tensor& x, const F& f) {
  const DType type = activation_type(current_context());
  if (type == DType::f32 || x.dtype() != DType::f32) return f(x);
  return f(x.to(type)).to(DType::f32);
}

/// A layer or a network. It cannot be copied, but handles of its tensors can.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  virtual Tensor forward(const Tensor& x) = 0;
  /// forward() in the context's type of activations.
  Tensor operator()(const Tensor& x) {
    return in_activation_type(x, [&](const Tensor& in) { return forward(in); });
  }

  /// Appends the rows of this module for an input of shape `input`, with `name` in front of each
  /// name, and returns the shape of the output. Throws Error if forward would.
  virtual Shape describe(const std::string& name, const Shape& input,
                         std::vector<LayerRow>& rows) const = 0;
  /// Number of PyTorch modules that this one replaces, and the index of the one with the
  /// parameters: (3, 1) for a convolution with upsampling and ReLU, which is [Upsample, Conv2d,
  /// ReLU].
  struct TorchSpan {
    int modules = 1, owner = 0;
  };
  virtual TorchSpan torch_span() const { return {}; }

  /// Depth first, in the order of definition, which is PyTorch's order.
  std::vector<Parameter> parameters() const;
  std::vector<Buffer> buffers() const;
  int64_t parameter_count() const;

  /// Sets training mode (the default) or inference mode, which differ in batch norm alone.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  /// With false the parameters are constants, without gradients.
  void set_requires_grad(bool on);
  void zero_grad();

 protected:
  /// Adds a parameter of zeros that requires a gradient.
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
