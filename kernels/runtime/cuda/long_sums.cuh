// Sums of long rows of computed values, in one launch and a fixed order.
#pragma once

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {

/// Elements that one block sums. A thread adds 16 in float; those sums are added in double.
constexpr int64_t kLongSumGrain = 16 * kThreads;

/// Block i * parts + part sums one part of row first_row + i; the last block of a row adds its
/// parts.
template <class F, class Finish>
__global__ void __launch_bounds__(kThreads)
    sum_rows(int64_t first_row, int parts, int64_t n, F f, double* partial,  // (rows, parts)
             unsigned* counters, Finish finish) {
  const int of_grid = static_cast<int>(blockIdx.x) / parts;
  const int part = static_cast<int>(blockIdx.x) % parts;
  const int64_t row = first_row + of_grid, begin = part * kLongSumGrain;
  const int64_t end = n < begin + kLongSumGrain ? n : begin + kLongSumGrain;
  float chain = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) chain += f(row * n + i);
  const double sum = block_sum<kThreads>(static_cast<double>(chain));
  if (parts == 1) {
    if (threadIdx.x == 0) finish(row, sum);
    return;
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  if (!last_block(counters + of_grid, static_cast<unsigned>(parts))) return;
  double mine = 0;
  for (int i = static_cast<int>(threadIdx.x); i < parts; i += kThreads)
    mine += partial[int64_t{of_grid} * parts + i];
  const double all = block_sum<kThreads>(mine);
  if (threadIdx.x == 0) finish(row, all);
}

/// Calls finish(row, sum over i < n of f(row * n + i)) on the device for every row. f is called
/// once per element, so it may also write that element's gradient.
template <class F, class Finish>
void long_sums(Context& ctx, int64_t rows, int64_t n, const F& f, const Finish& finish) {
  const unsigned parts = blocks_for(n, kLongSumGrain);
  const int64_t at_once = std::min<int64_t>(rows, kCounters);
  const Scratch partial(ctx, parts == 1 ? 0 : at_once * parts * sizeof(double));
  for (int64_t first = 0; first < rows; first += at_once)
    launch(sum_rows<F, Finish>, static_cast<unsigned>(std::min(rows - first, at_once)) * parts,
           kThreads, 0, stream_of(ctx), first, static_cast<int>(parts), n, f, partial.as<double>(),
           counters_of(ctx), finish);
}

}  // namespace assay::cuda
