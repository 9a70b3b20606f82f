// Sums of parts, which depend on the shape alone, in one launch: the last block to end adds the
// parts in a fixed order. Without atomics on floats the bits are the same every time.
#include "kernels/reduce/partial_sum.cuh"
#include "kernels/reduce/reduce_backends.h"
#include "kernels/runtime/cuda/column_sums.cuh"
#include "kernels/runtime/cuda/long_sums.cuh"
#include "kernels/runtime/transfer.h"

namespace assay::cuda {
namespace {

struct Element {
  const float* x;
  __device__ float operator()(int64_t i) const { return x[i]; }
};
struct StoreRow {
  float* out;
  __device__ void operator()(int64_t row, double sum) const { out[row] = static_cast<float>(sum); }
};

struct ColumnElement {
  const float* x;
  int C;
  __device__ ColumnValues<1> operator()(int64_t row, int c) const { return {{x[row * C + c]}}; }
};
struct StoreColumn {
  float* out;
  __device__ void operator()(int c, const ColumnTotals<1>& sum) const {
    out[c] = static_cast<float>(sum.v[0]);
  }
};

__global__ void __launch_bounds__(kThreads)
    find_not_finite(int64_t n, const float* __restrict__ x, int* __restrict__ found) {
  bool bad = false;
  for (int64_t i = global_thread(); i < n; i += int64_t{gridDim.x} * kThreads)
    bad = bad || (__float_as_uint(x[i]) & 0x7f800000u) == 0x7f800000u;
  // One atomic per warp that found a value that is not finite, which is rare.
  if (__any_sync(~0u, bad) && threadIdx.x % 32 == 0) atomicMax(found, 1);
}

__global__ void __launch_bounds__(kThreads)
    store_sum(const __grid_constant__ DeviceSum sum, float* __restrict__ out) {
  sum.for_each(blockIdx.x, [&](int64_t i, float value) { out[i] = value; });
}

}  // namespace

void finish_sum(Context& ctx, const PartialSum& sum, float* out) {
  const DeviceSum parts = DeviceSum::of(sum);
  launch(store_sum, blocks_for(sum.n, parts.of_block()), kThreads, 0, stream_of(ctx), parts, out);
}

void reduce_sum(Context& ctx, int64_t n, const float* x, float* out) {
  long_sums(ctx, 1, n, Element{x}, StoreRow{out});
}

void reduce_rows(Context& ctx, int64_t rows, int64_t C, const float* x, float* out) {
  long_sums(ctx, rows, C, Element{x}, StoreRow{out});
}

void reduce_columns(Context& ctx, int64_t rows, int C, const float* x, float* out) {
  column_sums<1>(ctx, rows, C, ColumnElement{x, C}, StoreColumn{out});
}

void all_finite(Context& ctx, int64_t n, const float* x, bool* finite) {
  constexpr int64_t kMaxBlocks = 1024;
  const Scratch found(ctx, sizeof(int));
  zero_bytes(ctx, found.as<int>(), sizeof(int));
  launch(find_not_finite,
         static_cast<unsigned>(std::min<int64_t>(kMaxBlocks, blocks_for(n, 4 * kThreads))),
         kThreads, 0, stream_of(ctx), n, x, found.as<int>());
  int bad = 0;
  copy_bytes(ctx, &bad, Device::cpu(), found.as<int>(), ctx.device, sizeof bad);
  *finite = bad == 0;
}

}  // namespace assay::cuda
