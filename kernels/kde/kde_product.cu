// Version 2: distances from products, |q - x|^2 = |q|^2 + |x|^2 - 2 q x, after the mean of the
// training points is subtracted from both (kde.h). The products are those of the matrix product's
// pipeline (kernels/gemm/cuda/block_product.cuh), but they update running sums:
//
//             x: points of a part, 64 at a time ->
//   q      +--------+--------+--------+
//   64     | 64x64  |  then  |  then  |    a thread keeps one OnlineLogSumExp for each of its rows;
//   rows   +--------+--------+--------+    at the end 8 threads that share a row merge theirs
//
// The m x n distances are written for squared_distances() alone. Norms and distances are in double,
// which costs little: there is one for every D multiply-adds.
#include "kernels/gemm/cuda/block_product.cuh"
#include "kernels/kde/kde_cuda.h"
#include "kernels/runtime/cuda/column_sums.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64;  // queries of a block, and points of a step: of kde_points_of_part()

// Products summed in one chain of additions; the sums of chunks are then added. A single chain of
// 8192 products in float would be wrong by a tenth of a nat at the narrowest bandwidth.
constexpr int kChunk = 512;

struct PointElement {
  const float* x;
  int D;
  __device__ ColumnValues<1> operator()(int64_t row, int d) const { return {{x[row * D + d]}}; }
};
struct StoreMean {
  double n;
  float* mean;
  __device__ void operator()(int d, const ColumnTotals<1>& sum) const {
    mean[d] = static_cast<float>(sum.v[0] / n);
  }
};

/// Block: one row of the points (first) or of the queries. centred = row - mean, which is exact
/// where the two are close (Sterbenz); squares = |centred|^2.
__global__ void __launch_bounds__(kThreads)
    centre_rows(int n, int D, const float* __restrict__ train, const float* __restrict__ queries,
                const float* __restrict__ mean, float* __restrict__ centred,
                double* __restrict__ squares) {
  const int64_t i = blockIdx.x;
  const float* row = i < n ? train + i * D : queries + (i - n) * D;
  double sum = 0;
  for (int d = static_cast<int>(threadIdx.x); d < D; d += kThreads) {
    const float v = row[d] - mean[d];
    centred[i * D + d] = v;
    sum += static_cast<double>(v) * v;
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) squares[i] = sum;
}

struct CentredPoints {
  KdeShape s;
  const float* x;    // (n, D)
  const float* q;    // (m, D)
  const double* xx;  // (n)
  const double* qq;  // (m)
  bool by_16;
};

/// Block (part, tile of queries); a part has `points` points. The sums of a chunk and of all chunks
/// take twice the registers of a matrix product.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks / 2)
    sums_of_part(CentredPoints p, int points, double scale, OnlineLogSumExp* __restrict__ sums,
                 double* __restrict__ distances) {
  ASSAY_DYNAMIC_SHARED(float, shared);
  const int n = p.s.n, m = p.s.m, D = p.s.D;
  const int j0 = static_cast<int>(blockIdx.y) * Tile::kM;
  const int begin = static_cast<int>(blockIdx.x) * points, end = min(n, begin + points);
  OnlineLogSumExp of_row[Tile::kRows];
  Tile tile, part;
  for (int i0 = begin; i0 < end; i0 += Tile::kN) {
    tile.clear();
    for (int d0 = 0; d0 < D; d0 += kChunk) {
      block_product(part, {p.q, m, D}, {p.x, n, D}, j0, i0, d0, min(D, d0 + kChunk), p.by_16,
                    p.by_16, shared);
      tile.add(part);
    }
    tile.for_each([&](int slot, int row, int column, float product) {
      const int64_t j = j0 + row, i = i0 + column;
      if (j >= m || i >= n) return;
      const double d = p.qq[j] + p.xx[i] - 2.0 * product;
      if (distances != nullptr)
        distances[j * n + i] = d > 0 ? d : 0;
      else
        of_row[slot].add(scale * (d > 0 ? d : 0));
    });
  }
  if (distances != nullptr) return;

  // The stages are free now: [kM][kSharers] pairs of largest and sum.
  static_assert(product_bytes<Tile>() >= sizeof(double) * 2 * Tile::kM * Tile::kSharers);
  double* const pairs = reinterpret_cast<double*>(shared);
  for (int slot = 0; slot < Tile::kRows; ++slot) {
    double* const pair = pairs + 2 * (Tile::row_of(slot) * Tile::kSharers + Tile::sharer());
    pair[0] = of_row[slot].largest;
    pair[1] = of_row[slot].sum;
  }
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x);
  if (row >= Tile::kM || j0 + row >= m) return;
  OnlineLogSumExp total;
  for (int k = 0; k < Tile::kSharers; ++k) {
    const double* const pair = pairs + 2 * (row * Tile::kSharers + k);
    total.merge({pair[0], pair[1]});
  }
  sums[int64_t{j0 + row} * gridDim.x + blockIdx.x] = total;
}

}  // namespace

void kde_product(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                 const KdeOutputs& out) {
  const int64_t rows = int64_t{s.n} + s.m;
  const Scratch mean(ctx, s.D * sizeof(float)), centred(ctx, rows * s.D * sizeof(float)),
      squares(ctx, rows * sizeof(double));
  column_sums<1>(ctx, s.n, s.D, PointElement{train, s.D},
                 StoreMean{static_cast<double>(s.n), mean.as<float>()});
  launch(centre_rows, static_cast<unsigned>(rows), kThreads, 0, stream_of(ctx), s.n, s.D, train,
         queries, mean.as<float>(), centred.as<float>(), squares.as<double>());
  const float* const x = centred.as<float>();
  const float* const q = x + int64_t{s.n} * s.D;
  const CentredPoints points{
      .s = s,
      .x = x,
      .q = q,
      .xx = squares.as<double>(),
      .qq = squares.as<double>() + s.n,
      .by_16 = copies_by_16({x, s.n, s.D}, true) && copies_by_16({q, s.m, s.D}, true)};
  const auto start = [&]<class Tile>() {
    const dim3 grid(static_cast<unsigned>(kde_parts(s)), blocks_for(s.m, Tile::kM));
    launch(sums_of_part<Tile>, grid, Tile::kThreads, product_bytes<Tile>(), stream_of(ctx), points,
           kde_points_of_part(s), -0.5 / (out.h * out.h), out.sums, out.distances);
  };
  if (ctx.precision == Precision::fp32 || ctx.precision == Precision::fp32_strict)
    start.operator()<FmaTile<kTile, kTile, true, true>>();
  else
    start.operator()<MmaTile<Tf32x3, kTile, kTile, true, true>>();
}

}  // namespace assay::cuda
