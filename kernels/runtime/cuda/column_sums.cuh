// Sums down the columns of a (rows, C) matrix of computed values, in two passes and a fixed order.
//
//            C columns
//          +-----------+   pass 1: a block sums kRows rows of up to 32 columns; its threads take
//   part 0 |  block    |           every (256 / columns)-th row each
//          +-----------+   pass 2: a block adds the parts of up to 32 columns in the same way
//   part 1 |  block    |
//          +-----------+
//
// Batch norm, the gradient of a bias and reduce_columns differ in the values and in the function
// that gets the sums.
#pragma once

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {

/// Rows that one block of pass 1 sums.
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
/// rows.
template <int kSums, class F>
__global__ void __launch_bounds__(kThreads)
    column_sums_part(int64_t rows, int C, int columns, F f, double* partial) {
  const ColumnPlace at(columns, blockIdx.y);
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
  add_lanes<kSums>(at, columns, C, total, [&](const ColumnTotals<kSums>& sums) {
#pragma unroll
    for (int k = 0; k < kSums; ++k)
      partial[(int64_t{blockIdx.x} * kSums + k) * C + at.c] = sums.v[k];
  });
}

/// Pass 2: calls finish(c, totals) for every column.
template <int kSums, class Finish>
__global__ void __launch_bounds__(kThreads)
    column_sums_finish(int64_t parts, int C, int columns, const double* partial, Finish finish) {
  const ColumnPlace at(columns, blockIdx.x);
  double total[kSums] = {};
  if (at.c < C)
    for (int64_t part = at.lane; part < parts; part += at.lanes)
#pragma unroll
      for (int k = 0; k < kSums; ++k) total[k] += partial[(part * kSums + k) * C + at.c];
  add_lanes<kSums>(at, columns, C, total,
                   [&](const ColumnTotals<kSums>& sums) { finish(at.c, sums); });
}

/// Calls finish(c, totals of f(row, c) over all rows) on the device, once for every column.
template <int kSums, class F, class Finish>
void column_sums(Context& ctx, int64_t rows, int C, const F& f, const Finish& finish) {
  int columns = 1;
  while (columns < 32 && columns < C) columns *= 2;
  const unsigned parts = blocks_for(rows, kColumnSumRows);
  const Scratch partial(ctx, int64_t{parts} * kSums * C * sizeof(double));
  launch(column_sums_part<kSums, F>, dim3(parts, blocks_for(C, columns)), kThreads, 0,
         stream_of(ctx), rows, C, columns, f, partial.as<double>());
  launch(column_sums_finish<kSums, Finish>, blocks_for(C, columns), kThreads, 0, stream_of(ctx),
         int64_t{parts}, C, columns, partial.as<double>(), finish);
}

}  // namespace assay::cuda
