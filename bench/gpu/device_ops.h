// Small kernels that the benchmarks use besides those that they measure.
#pragma once

#include <vector>

#include "bench/baselines/baseline.h"

namespace assay::bench {

/// A device tensor of logical shape (N,H,W,C), or a filter of (K,R,S,C).
struct TensorView {
  void* data;
  Extent extent;
  Element element = Element::f32;
  Layout layout = Layout::nhwc;
};
constexpr int64_t count(Extent e) {
  return int64_t{e.N} * e.H * e.W * e.C;
}

/// Sets of tensors of one layout in one block of memory, initially poisoned.
class TensorSets {
 public:
  /// elements: one per tensor.
  TensorSets(Context& ctx, std::vector<Extent> extents, std::vector<Element> elements,
             Layout layout, int sets);
  TensorSets(Context& ctx, const std::vector<Extent>& extents, Element element, Layout layout,
             int sets)
      : TensorSets(ctx, extents, std::vector<Element>(extents.size(), element), layout, sets) {}
  TensorView view(int set, size_t which) const;
  int sets() const { return sets_; }
  Layout layout() const { return layout_; }
  static int64_t bytes_of_set(const std::vector<Extent>& extents, Element element);

 private:
  /// Where a tensor begins in a set.
  int64_t offset(size_t which) const;

  std::vector<Extent> extents_;
  std::vector<Element> elements_;
  Layout layout_;
  int sets_;
  int64_t stride_;
  Scratch memory_;
};

/// Copies between element types and layouts, rounding to nearest even.
void convert(Context& ctx, const TensorView& from, const TensorView& to);
/// The elements with these NHWC indices, on the host.
std::vector<float> gather(Context& ctx, const TensorView& from, const std::vector<int64_t>& at);
/// Sets every bit to 1: NaN in fp32 and bf16.
void poison(Context& ctx, void* p, size_t bytes);
/// Nearest upsampling by `factor`, and its gradient (the sum over the copies).
void upsample(Context& ctx, const TensorView& x, int factor, const TensorView& y);
void upsample_gradient(Context& ctx, const TensorView& dy, int factor, const TensorView& dx);

}  // namespace assay::bench
