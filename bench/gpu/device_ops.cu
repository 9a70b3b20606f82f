#include "bench/gpu/device_ops.h"

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/transfer.h"

namespace assay::bench {
namespace {

/// Offset of element (n,h,w,c).
__device__ int64_t offset_of(const TensorView& t, int64_t n, int64_t h, int64_t w, int64_t c) {
  const Extent& e = t.extent;
  return t.layout == Layout::nhwc ? ((n * e.H + h) * e.W + w) * e.C + c
                                  : ((n * e.C + c) * e.H + h) * e.W + w;
}
__device__ float load(const TensorView& t, int64_t at) {
  return t.element == Element::f32 ? static_cast<const float*>(t.data)[at]
                                   : static_cast<float>(static_cast<const bf16*>(t.data)[at]);
}
__device__ void store(const TensorView& t, int64_t at, float v) {
  if (t.element == Element::f32)
    static_cast<float*>(t.data)[at] = v;
  else
    static_cast<bf16*>(t.data)[at] = bf16(v);
}
/// NHWC index -> coordinates.
struct Place {
  int64_t n, h, w, c;
};
__device__ Place place_of(const Extent& e, int64_t i) {
  return {i / (int64_t{e.C} * e.W * e.H), i / (int64_t{e.C} * e.W) % e.H, i / e.C % e.W, i % e.C};
}

__global__ void convert_kernel(TensorView from, TensorView to, int64_t n) {
  const int64_t i = cuda::global_thread();
  if (i >= n) return;
  const Place p = place_of(from.extent, i);
  store(to, offset_of(to, p.n, p.h, p.w, p.c), load(from, offset_of(from, p.n, p.h, p.w, p.c)));
}

__global__ void gather_kernel(TensorView from, const int64_t* at, int n, float* out) {
  const int64_t i = cuda::global_thread();
  if (i >= n) return;
  const Place p = place_of(from.extent, at[i]);
  out[i] = load(from, offset_of(from, p.n, p.h, p.w, p.c));
}

// A thread per element of the large image.
__global__ void upsample_kernel(TensorView x, int factor, TensorView y, int64_t n) {
  const int64_t i = cuda::global_thread();
  if (i >= n) return;
  // Neighbouring threads write neighbouring addresses in either layout.
  const Extent& e = y.extent;
  Place p = place_of(e, i);
  if (y.layout == Layout::nchw)
    p = {i / (int64_t{e.C} * e.H * e.W), i / e.W % e.H, i % e.W, i / (int64_t{e.H} * e.W) % e.C};
  store(y, i, load(x, offset_of(x, p.n, p.h / factor, p.w / factor, p.c)));
}

// A thread per element of the small image.
__global__ void upsample_gradient_kernel(TensorView dy, int factor, TensorView dx, int64_t n) {
  const int64_t i = cuda::global_thread();
  if (i >= n) return;
  const Extent& e = dx.extent;
  Place p = place_of(e, i);
  if (dx.layout == Layout::nchw)
    p = {i / (int64_t{e.C} * e.H * e.W), i / e.W % e.H, i % e.W, i / (int64_t{e.H} * e.W) % e.C};
  float sum = 0;
  for (int a = 0; a < factor; ++a)
    for (int b = 0; b < factor; ++b)
      sum += load(dy, offset_of(dy, p.n, p.h * factor + a, p.w * factor + b, p.c));
  store(dx, i, sum);
}

}  // namespace

namespace {
int64_t bytes_of(const Extent& e, Element element) {
  return (count(e) * static_cast<int64_t>(size_of(element)) + 255) / 256 * 256;
}
}  // namespace

TensorSets::TensorSets(Context& ctx, std::vector<Extent> extents, std::vector<Element> elements,
                       Layout layout, int sets)
    : extents_(std::move(extents)),
      elements_(std::move(elements)),
      layout_(layout),
      sets_(sets),
      stride_(offset(extents_.size())),
      memory_(ctx, static_cast<size_t>(stride_ * sets)) {
  poison(ctx, memory_.as<void>(), memory_.bytes());
}

int64_t TensorSets::bytes_of_set(const std::vector<Extent>& extents, Element element) {
  int64_t sum = 0;
  for (const Extent& e : extents) sum += bytes_of(e, element);
  return sum;
}

int64_t TensorSets::offset(size_t which) const {
  int64_t sum = 0;
  for (size_t i = 0; i < which; ++i) sum += bytes_of(extents_[i], elements_[i]);
  return sum;
}

TensorView TensorSets::view(int set, size_t which) const {
  return {memory_.as<char>() + set * stride_ + offset(which), extents_[which], elements_[which],
          layout_};
}

void convert(Context& ctx, const TensorView& from, const TensorView& to) {
  const int64_t n = count(from.extent);
  cuda::launch(convert_kernel, cuda::blocks_for(n, cuda::kThreads), cuda::kThreads, 0,
               cuda::stream_of(ctx), from, to, n);
}

std::vector<float> gather(Context& ctx, const TensorView& from, const std::vector<int64_t>& at) {
  const size_t n = at.size();
  const Scratch indices(ctx, n * sizeof(int64_t)), values(ctx, n * sizeof(float));
  copy_bytes(ctx, indices.as<void>(), ctx.device, at.data(), Device::cpu(), n * sizeof(int64_t));
  cuda::launch(gather_kernel, cuda::blocks_for(static_cast<int64_t>(n), cuda::kThreads),
               cuda::kThreads, 0, cuda::stream_of(ctx), from, indices.as<const int64_t>(),
               static_cast<int>(n), values.as<float>());
  std::vector<float> out(n);
  copy_bytes(ctx, out.data(), Device::cpu(), values.as<void>(), ctx.device, n * sizeof(float));
  return out;
}

void poison(Context& ctx, void* p, size_t bytes) {
  ASSAY_CUDA_CHECK(cudaMemsetAsync(p, 0xff, bytes, cuda::stream_of(ctx)));
}

void upsample(Context& ctx, const TensorView& x, int factor, const TensorView& y) {
  const int64_t n = count(y.extent);
  cuda::launch(upsample_kernel, cuda::blocks_for(n, cuda::kThreads), cuda::kThreads, 0,
               cuda::stream_of(ctx), x, factor, y, n);
}

void upsample_gradient(Context& ctx, const TensorView& dy, int factor, const TensorView& dx) {
  const int64_t n = count(dx.extent);
  cuda::launch(upsample_gradient_kernel, cuda::blocks_for(n, cuda::kThreads), cuda::kThreads, 0,
               cuda::stream_of(ctx), dy, factor, dx, n);
}

}  // namespace assay::bench
