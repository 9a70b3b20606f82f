// Sums of long rows of computed values, in two passes and a fixed order.
#pragma once

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {

/// Elements that one block sums. A thread adds 16 in float; those sums are added in double.
constexpr int64_t kLongSumGrain = 16 * kThreads;

/// Block row * parts + part sums one part of a row.
template <class F>
__global__ void __launch_bounds__(kThreads)
    long_sums_part(int64_t parts, int64_t n, F f, double* partial) {  // partial (rows, parts)
  const int64_t row = blockIdx.x / parts, begin = blockIdx.x % parts * kLongSumGrain;
  const int64_t end = n < begin + kLongSumGrain ? n : begin + kLongSumGrain;
  float chain = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) chain += f(row * n + i);
  const double sum = block_sum<kThreads>(static_cast<double>(chain));
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class Finish>
__global__ void __launch_bounds__(kThreads)
    long_sums_finish(int64_t parts, const double* partial, Finish finish) {
  const int64_t row = blockIdx.x;
  double mine = 0;
  for (int64_t i = threadIdx.x; i < parts; i += kThreads) mine += partial[row * parts + i];
  const double sum = block_sum<kThreads>(mine);
  if (threadIdx.x == 0) finish(row, sum);
}

/// Calls finish(row, sum over i < n of f(row * n + i)) on the device for every row. f is called
/// once per element, so it may also write that element's gradient.
template <class F, class Finish>
void long_sums(Context& ctx, int64_t rows, int64_t n, const F& f, const Finish& finish) {
  if (rows == 0) return;
  const int64_t parts = blocks_for(n, kLongSumGrain);
  const Scratch partial(ctx, rows * parts * sizeof(double));
  launch(long_sums_part<F>, static_cast<unsigned>(rows * parts), kThreads, 0, stream_of(ctx), parts,
         n, f, partial.as<double>());
  launch(long_sums_finish<Finish>, static_cast<unsigned>(rows), kThreads, 0, stream_of(ctx), parts,
         partial.as<double>(), finish);
}

}  // namespace assay::cuda
