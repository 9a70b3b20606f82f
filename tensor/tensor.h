// Tensor: a handle of contiguous row-major numbers, which autograd tracks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/partial_sum.h"

namespace assay {

/// Sizes of the dimensions. Images are (N,H,W,C).
using Shape = std::vector<int64_t>;
int64_t numel(const Shape& shape);
/// "(32, 128, 128, 3)"
std::string to_string(const Shape& shape);

/// A handle: copies share storage, like a shared_ptr. Memory comes from the context that is current
/// when the tensor is made. bfloat16 is for activations and their gradients; float64, the type of
/// the reference, exists on the CPU alone. There are no strides: `reshape` and `rows` are the only
/// views.
class Tensor {
 public:
  Tensor() = default;  ///< undefined: no storage

  /// An uninitialised tensor. Throws Error for a negative dimension, if memory runs out, and for
  /// float64 in a context of a CUDA device.
  static Tensor empty(Shape shape, DType dtype = DType::f32);
  static Tensor zeros(Shape shape, DType dtype = DType::f32);
  static Tensor full(Shape shape, double value, DType dtype = DType::f32);
  /// full(), but written only when the elements are first read.
  static Tensor constant(Shape shape, double value, DType dtype = DType::f32);
  /// Copies host values; throws Error unless there are numel(shape).
  static Tensor from(Shape shape, std::span<const float> values);
  static Tensor from(Shape shape, std::span<const double> values);
  static Tensor from(Shape shape, std::span<const uint8_t> values);
  static Tensor from(Shape shape, std::span<const bf16> values);

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  int64_t dim(int i) const;  ///< negative i counts from the end
  int rank() const;
  int64_t size() const;  ///< number of elements
  DType dtype() const;
  Device device() const;

  /// Device pointers; T must be the type of dtype(). mutable_data() changes version().
  template <class T>
  const T* data() const;
  template <class T>
  T* mutable_data() const;
  /// The value of a constant() that is not written yet.
  std::optional<double> unwritten_constant() const;
  /// Leaves the elements of this float tensor as a partial sum, which is added up when they are
  /// first read. It has this tensor's size.
  void set_partial_sum(std::unique_ptr<PartialSum> sum) const;
  /// The elements as a partial sum; null if they were never left as one. Reading them does not
  /// change that, writing does.
  const PartialSum* partial_sum() const;
  /// Identifies the content of the storage: no two contents of a process have the same number.
  uint64_t version() const;

  /// A host copy of the elements, converted.
  std::vector<float> to_floats() const;
  std::vector<double> to_doubles() const;
  /// The only element of a tensor of size 1.
  double item() const;

  /// Shares storage; one dimension may be -1. Recorded by autograd.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, begin + count) of the first dimension; shares storage. Not recorded: throws Error
  /// while a tape records and this tensor requires a gradient.
  Tensor rows(int64_t begin, int64_t count) const;
  /// A copy with its own storage and without a gradient.
  Tensor clone() const;
  /// A tensor with the same storage and without a gradient.
  Tensor detach() const;
  /// A copy on `target`, or this tensor if it is there already. Copying to a CUDA device needs a
  /// current context of it.
  Tensor to(Device target) const;
  /// A copy with elements of type `target`, f32, f64 or bf16, or this tensor if it has that type
  /// already. Rounds to nearest, ties to even (from f64 to bf16 through f32). Recorded by autograd
  /// as "convert"; the gradient is rounded to this tensor's type.
  Tensor to(DType target) const;
  /// Overwrites the elements with those of `source`. Throws Error unless shape, dtype and device
  /// are the same.
  void copy_from(const Tensor& source) const;

  bool requires_grad() const;
  Tensor& set_requires_grad(bool value);
  /// The gradient; undefined until backward() has reached this leaf.
  Tensor grad() const;
  void set_grad(Tensor grad) const;

  /// Whether both are handles of one tensor; a view is another tensor.
  bool is(const Tensor& other) const { return impl_ == other.impl_; }
  /// Whether no other handle and no view shares these elements.
  bool sole_owner() const;

 private:
  struct Storage;
  struct Impl;
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  static Tensor allocate(Shape shape, DType dtype, Device device);
  Tensor view(Shape shape, int64_t first) const;
  void copy_elements(const Tensor& source) const;
  void write_elements() const;
  const Impl& impl() const;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assay
