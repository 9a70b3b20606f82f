// wgrad of 3x3 layers by Winograd: the gradient of each element of the transformed filter is a
// matrix product over tiles, of the transformed source and of dz under the transposed output
// transform. The number of partials depends on the shape alone, and they are added in order; the
// transposed filter transform makes dw.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/winograd/tiles.h"

namespace assay::cpu::winograd {
namespace {

constexpr int kMaxPartials = 16;
constexpr int64_t kMinTiles = 32;  // per partial: fewer do not pay for clearing and adding it
constexpr int64_t kPartialFloats = 1 << 22;  // at most, all partials: 16 MB to clear and to add
// With few tiles and many filters, clearing and adding partials would cost more than the products.
constexpr int64_t kFewTiles = 512;
constexpr int kManyBlocks = 8;  // of 32 x 32, each a task

// Planes of the transformed source and of the transformed dz of some tiles, in one allocation.
struct Planes {
  float *values, *dz;
  int64_t tiles;
};

// partial (product,K,C) += the products of some tiles.
void sum_products(const WinogradSizes& z, const Conv2dShape& s, const Planes& planes,
                  const int64_t* value_offset, const int64_t* dz_offset, float* partial) {
  for (int i = 0; i < z.products; ++i)
    for (int j = 0; j < z.products; ++j, partial += int64_t{s.C} * s.K) {
      const OuterJob job{.a = planes.dz + z.sum_plane(i, j) * plane_stride(planes.tiles, s.K),
                         .a_offset = dz_offset,
                         .b = planes.values + z.value_plane(i, j) * plane_stride(planes.tiles, s.C),
                         .b_offset = value_offset,
                         .M = planes.tiles,
                         .I = s.K,
                         .J = s.C,
                         .out = partial,
                         .out_row = s.C};
      ASSAY_ISA_CALL(outer_product, job);
    }
}

void filter_gradient(Context& ctx, WinogradKind kind, const Conv2dShape& s, const float* sum,
                     float* dw) {
  constexpr int kBlock = 16;  // filters per task
  parallel_for(ctx, s.K / kBlock, [&](int64_t task) {
    const int64_t k0 = task * kBlock, filter = int64_t{9} * s.C;
    const WinogradFilterGradient job{.planes = sum + k0 * s.C,
                                     .plane = int64_t{s.C} * s.K,
                                     .row = s.C,
                                     .filters = kBlock,
                                     .channels = s.C,
                                     .dw = dw + k0 * filter,
                                     .filter = filter,
                                     .tap = s.C,
                                     .accumulate = false};
    ASSAY_ISA_CALL(winograd_filter_gradient, kind, job);
  });
}

}  // namespace

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  const WinogradKind kind = s.upsample == 2 ? WinogradKind::fprop_upsampled : WinogradKind::fprop;
  const Tiling tiling(kind, s.P(), s.Q());
  if (int64_t{s.N} * tiling.rows * tiling.columns <= kFewTiles &&
      s.C / 32 * (s.K / 32) >= kManyBlocks)
    return winograd_wgrad_by_blocks(ctx, kind, s, e, x, g, dw, dbias);
  const WinogradSizes& z = tiling.z;
  const int64_t tile_bytes = 4 * (int64_t{z.value_planes()} * s.C + int64_t{z.sum_planes()} * s.K);
  const RowBlocks blocks = row_blocks_of(s.N, tiling.rows, tiling.columns * tile_bytes, 1);
  const int64_t max_tiles = int64_t{blocks.images} * blocks.rows * tiling.columns;
  const Stage max_x = tiling.source(0, blocks.rows), max_z = tiling.output(0, blocks.rows);
  const int64_t staged_size =
      std::max(int64_t{max_x.rows} * max_x.width * s.C, int64_t{max_z.rows} * max_z.width * s.K);
  const int64_t values_size = z.value_planes() * plane_stride(max_tiles, s.C);
  const int64_t dz_size = z.sum_planes() * plane_stride(max_tiles, s.K);

  const int64_t bias_at = int64_t{z.product_planes()} * s.C * s.K, size = bias_at + s.K;
  const int64_t worth = int64_t{s.N} * tiling.rows * tiling.columns / kMinTiles;
  const int64_t partials = std::clamp<int64_t>(std::min(kPartialFloats / size, worth), 1,
                                               std::min<int64_t>(kMaxPartials, blocks.count));
  const Scratch sums(ctx, sizeof(float) * static_cast<size_t>(size * partials));

  parallel_for(ctx, partials, [&](int64_t index) {
    float* partial = sums.as<float>() + index * size;
    std::fill_n(partial, size, 0.0f);
    const Scratch scratch(ctx,
                          sizeof(float) * static_cast<size_t>(values_size + dz_size + staged_size));
    Planes planes{scratch.as<float>(), scratch.as<float>() + values_size, 0};
    float* staged = planes.dz + dz_size;
    std::vector<int64_t> value_offset, dz_offset;
    for (int64_t unit = blocks.count * index / partials;
         unit < blocks.count * (index + 1) / partials; ++unit) {
      const RowBlock block = row_block(blocks, s.N, tiling.rows, unit);
      const int rows = block.i1 - block.i0;
      const Stage gx = tiling.source(block.i0, block.i1), gz = tiling.output(block.i0, block.i1);
      const int64_t x_row = int64_t{gx.width} * s.C, z_row = int64_t{gz.width} * s.K;
      planes.tiles = int64_t{block.n1 - block.n0} * rows * tiling.columns;
      for (int n = block.n0; n < block.n1; ++n) {
        const int64_t first = int64_t{n - block.n0} * rows * tiling.columns;
        stage_image(gx, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
        for (int i = 0; i < rows; ++i) {
          const WinogradPatches job{.image = staged + i * z.step * x_row,
                                    .row = x_row,
                                    .column = s.C,
                                    .step = int64_t{z.step} * s.C,
                                    .tiles = tiling.columns,
                                    .channels = s.C,
                                    .planes = planes.values + (first + i * tiling.columns) * s.C,
                                    .plane = plane_stride(planes.tiles, s.C)};
          ASSAY_ISA_CALL(winograd_source, kind, job);
        }
        stage_dz(gz, s, e, g, n, staged);
        if (dbias != nullptr) sum_bias(staged, int64_t{gz.rows} * gz.width, s.K, partial + bias_at);
        for (int i = 0; i < rows; ++i) {
          const WinogradPatches job{.image = staged + i * z.out * z_row,
                                    .row = z_row,
                                    .column = s.K,
                                    .step = int64_t{z.out} * s.K,
                                    .tiles = tiling.columns,
                                    .channels = s.K,
                                    .planes = planes.dz + (first + i * tiling.columns) * s.K,
                                    .plane = plane_stride(planes.tiles, s.K)};
          ASSAY_ISA_CALL(winograd_dz, kind, job);
        }
      }
      value_offset.resize(static_cast<size_t>(planes.tiles));
      dz_offset.resize(static_cast<size_t>(planes.tiles));
      for (size_t t = 0; t < value_offset.size(); ++t) {
        value_offset[t] = static_cast<int64_t>(t) * s.C;
        dz_offset[t] = static_cast<int64_t>(t) * s.K;
      }
      sum_products(z, s, planes, value_offset.data(), dz_offset.data(), partial);
    }
  });

  sum_partials(ctx, partials, size, sums.as<float>());
  filter_gradient(ctx, kind, s, sums.as<float>(), dw);
  if (dbias != nullptr) std::copy_n(sums.as<float>() + bias_at, s.K, dbias);
}

}  // namespace assay::cpu::winograd
