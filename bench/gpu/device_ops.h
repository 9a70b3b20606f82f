// Small kernels that the benchmarks need around the ones they measure.
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

/// Copies between element types and layouts, rounding to nearest even.
void convert(Context& ctx, const TensorView& from, const TensorView& to);
/// The elements with these NHWC indices, on the host.
std::vector<float> gather(Context& ctx, const TensorView& from, const std::vector<int64_t>& at);
/// Every bit 1: NaN in fp32 and bf16.
void poison(Context& ctx, void* p, size_t bytes);
/// Nearest upsampling by `factor`, and its gradient (the sum over the copies).
void upsample(Context& ctx, const TensorView& x, int factor, const TensorView& y);
void upsample_gradient(Context& ctx, const TensorView& dy, int factor, const TensorView& dx);

}  // namespace assay::bench
