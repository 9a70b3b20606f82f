// Sums down the columns of a (rows, C) matrix of computed values, in two passes and a fixed order.
//
//            C columns
//          +-----------+   pass 1: a block sums kRows rows of up to 32 columns; its threads take
//   part 0 |  block    |           every (256 / columns)-th row each
//          +-----------+   pass 2: a block per column adds the parts
//   part 1 |  block    |
//          +-----------+
//
// Batch norm, the gradient of a bias and reduce_columns differ only in the values and in what
// becomes of the sums.
#pragma once

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {

/// Rows that one block of pass 1 sums.
constexpr int kColumnSumRows = 512;
/// Values that a thread adds in float before it goes on in double.
constexpr int kFloatChain = 16;

template <int kSums>
struct ColumnValues {
  float v[kSums];
};
template <int kSums>
struct ColumnTotals {
  double v[kSums];
};

/// partial (parts, kSums, C) gets the sums of f(row, c), a ColumnValues<kSums>, over each part's
/// rows. A block has `columns` (a power of two) x kThreads / columns threads.
template <int kSums, class F>
__global__ void __launch_bounds__(kThreads)
    column_sums_part(int64_t rows, int C, int columns, F f, double* partial) {
  ASSAY_SHARED(double, sums, [kSums][kThreads]);
  const int t = static_cast<int>(threadIdx.x), lanes = kThreads / columns;
  const int c = static_cast<int>(blockIdx.y) * columns + t % columns;
  const int64_t begin = int64_t{blockIdx.x} * kColumnSumRows;
  const int64_t end = rows < begin + kColumnSumRows ? rows : begin + kColumnSumRows;
  double total[kSums] = {};
  if (c < C)
    for (int64_t row = begin + t / columns; row < end;) {
      float chain[kSums] = {};
      for (int i = 0; i < kFloatChain && row < end; ++i, row += lanes) {
        const ColumnValues<kSums> value = f(row, c);
#pragma unroll
        for (int k = 0; k < kSums; ++k) chain[k] += value.v[k];
      }
#pragma unroll
      for (int k = 0; k < kSums; ++k) total[k] += static_cast<double>(chain[k]);
    }
#pragma unroll
  for (int k = 0; k < kSums; ++k) sums[k][t] = total[k];
  __syncthreads();
  if (t >= columns || c >= C) return;
#pragma unroll
  for (int k = 0; k < kSums; ++k) {
    double sum = 0;
    for (int i = 0; i < lanes; ++i) sum += sums[k][i * columns + t];
    partial[(int64_t{blockIdx.x} * kSums + k) * C + c] = sum;
  }
}

/// finish(c, totals) for the totals of column c = blockIdx.x.
template <int kSums, class Finish>
__global__ void __launch_bounds__(kThreads)
    column_sums_finish(int64_t parts, int C, const double* partial, Finish finish) {
  const int c = static_cast<int>(blockIdx.x);
  ColumnTotals<kSums> totals;
#pragma unroll
  for (int k = 0; k < kSums; ++k) {
    double sum = 0;
    for (int64_t part = threadIdx.x; part < parts; part += kThreads)
      sum += partial[(part * kSums + k) * C + c];
    totals.v[k] = block_sum<kThreads>(sum);
  }
  if (threadIdx.x == 0) finish(c, totals);
}

/// finish(c, totals of f(row, c) over all rows), once for every column.
template <int kSums, class F, class Finish>
void column_sums(Context& ctx, int64_t rows, int C, const F& f, const Finish& finish) {
  int columns = 1;
  while (columns < 32 && columns < C) columns *= 2;
  const unsigned parts = blocks_for(rows, kColumnSumRows);
  const Scratch partial(ctx, int64_t{parts} * kSums * C * sizeof(double));
  launch(column_sums_part<kSums, F>, dim3(parts, blocks_for(C, columns)), kThreads, 0,
         stream_of(ctx), rows, C, columns, f, partial.as<double>());
  launch(column_sums_finish<kSums, Finish>, static_cast<unsigned>(C), kThreads, 0, stream_of(ctx),
         int64_t{parts}, C, partial.as<double>(), finish);
}

}  // namespace assay::cuda
