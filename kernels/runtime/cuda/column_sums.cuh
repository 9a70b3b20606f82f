// Sums down the columns of a (rows, C) matrix of computed values, in one launch and a fixed order.
//
//            C columns
//          +-----------+   a block sums kColumnSumRows rows of up to 32 columns; its threads take
//   part 0 |  block    |   every (256 / columns)-th row each
//          +-----------+   the last block of these columns to end adds their parts in the same way
//   part 1 |  block    |
//          +-----------+
//
// Batch norm, the gradient of a bias and reduce_columns differ in the values and in the function
// that gets the sums.
#pragma once

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {

/// Rows that one block sums.
constexpr int kColumnSumRows = 512;
/// Values that a thread adds in float; those sums are added in double.
constexpr int kFloatChain = 16;

template <int kSums>
struct ColumnValues {
  float v[kSums];
};
template <int kSums>
struct ColumnTotals {
  double v[kSums];
};

/// The place of a thread in a block of `columns` (a power of two) x kThreads / columns lanes.
struct ColumnPlace {
  int thread, lanes, lane, c;
  __device__ ColumnPlace(int columns, unsigned block)
      : thread(static_cast<int>(threadIdx.x)),
        lanes(kThreads / columns),
        lane(thread / columns),
        c(static_cast<int>(block) * columns + thread % columns) {}
};

/// Calls finish(sums) with the sums of `total` over the lanes, in their order, once per column.
template <int kSums, class Finish>
__device__ void add_lanes(const ColumnPlace& at, int columns, int C, const double (&total)[kSums],
                          const Finish& finish) {
  ASSAY_SHARED(double, sums, [kSums][kThreads]);
  __syncthreads();  // the sums of an earlier call have been read
#pragma unroll
  for (int k = 0; k < kSums; ++k) sums[k][at.thread] = total[k];
  __syncthreads();
  if (at.lane > 0 || at.c >= C) return;
  ColumnTotals<kSums> result;
#pragma unroll
  for (int k = 0; k < kSums; ++k) {
    result.v[k] = 0;
    for (int i = 0; i < at.lanes; ++i) result.v[k] += sums[k][i * columns + at.thread];
  }
  finish(result);
}

/// partial (parts, kSums, C) gets the sums of f(row, c), a ColumnValues<kSums>, over each part's
/// rows. The last block of each group of columns calls finish(c, totals) for them.
template <int kSums, class F, class Finish>
__global__ void __launch_bounds__(kThreads)
    sum_columns(int64_t rows, int C, int columns, unsigned first_group, F f, double* partial,
                unsigned* counters, Finish finish) {
  const ColumnPlace at(columns, first_group + blockIdx.y);
  const int64_t begin = int64_t{blockIdx.x} * kColumnSumRows;
  const int64_t end = rows < begin + kColumnSumRows ? rows : begin + kColumnSumRows;
  double total[kSums] = {};
  if (at.c < C)
    for (int64_t row = begin + at.lane; row < end;) {
      float chain[kSums] = {};
      for (int i = 0; i < kFloatChain && row < end; ++i, row += at.lanes) {
        const ColumnValues<kSums> value = f(row, at.c);
#pragma unroll
        for (int k = 0; k < kSums; ++k) chain[k] += value.v[k];
      }
#pragma unroll
      for (int k = 0; k < kSums; ++k) total[k] += static_cast<double>(chain[k]);
    }
  const int parts = static_cast<int>(gridDim.x);
  if (parts == 1) {
    add_lanes<kSums>(at, columns, C, total,
                     [&](const ColumnTotals<kSums>& sums) { finish(at.c, sums); });
    return;
  }
  add_lanes<kSums>(at, columns, C, total, [&](const ColumnTotals<kSums>& sums) {
#pragma unroll
    for (int k = 0; k < kSums; ++k)
      partial[(int64_t{blockIdx.x} * kSums + k) * C + at.c] = sums.v[k];
  });
  if (!last_block(counters + blockIdx.y, gridDim.x)) return;
  double all[kSums] = {};
  if (at.c < C)
    for (int part = at.lane; part < parts; part += at.lanes)
#pragma unroll
      for (int k = 0; k < kSums; ++k) all[k] += partial[(int64_t{part} * kSums + k) * C + at.c];
  add_lanes<kSums>(at, columns, C, all,
                   [&](const ColumnTotals<kSums>& sums) { finish(at.c, sums); });
}

/// Calls finish(c, totals of f(row, c) over all rows) on the device, once for every column.
template <int kSums, class F, class Finish>
void column_sums(Context& ctx, int64_t rows, int C, const F& f, const Finish& finish) {
  int columns = 1;
  while (columns < 32 && columns < C) columns *= 2;
  const unsigned parts = blocks_for(rows, kColumnSumRows), groups = blocks_for(C, columns);
  const Scratch partial(ctx, parts == 1 ? 0 : int64_t{parts} * kSums * C * sizeof(double));
  for (unsigned first = 0; first < groups; first += kCounters)
    launch(sum_columns<kSums, F, Finish>,
           dim3(parts, std::min<unsigned>(groups - first, kCounters)), kThreads, 0, stream_of(ctx),
           rows, C, columns, first, f, partial.as<double>(), counters_of(ctx), finish);
}

}  // namespace assay::cuda
