// fprop and dgrad of 3x3 layers by Winograd. The source of some tiles is staged and transformed
// into planes; then, for one panel of output channels at a time, multiplied and transformed back,
// so that the planes of the products never leave the second-level cache.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/winograd/tiles.h"

namespace assay::cpu::winograd {
namespace {

constexpr int kPanel = 32;        // output channels of a panel, at most
constexpr int kMinChannels = 32;  // C or K; with fewer on both sides the transforms cost too much
constexpr int kMinPixels = 64;
constexpr int64_t kMinBatchPixels = 2048;  // of wgrad

struct Pass {
  WinogradKind kind;
  int N, in_channels, out_channels;
  int out_rows, out_width;  // after the pool
  int pool;
  const float* filters;
  const float* bias;
  float* out;
  uint8_t* argmax;
};

PackKind pack_kind(WinogradKind kind) {
  switch (kind) {
    case WinogradKind::dgrad:
      return PackKind::winograd_dgrad;
    case WinogradKind::fprop_upsampled:
      return PackKind::winograd_fprop_upsampled;
    case WinogradKind::dgrad_upsampled:
      return PackKind::winograd_dgrad_upsampled;
    default:
      return PackKind::winograd_fprop;
  }
}

// Transformed filters: [panel][product][in_channels][panel width].
const float* transformed_filters(Context& ctx, const Conv2dShape& s, WinogradKind kind,
                                 Weights<float> w) {
  const bool back = kind == WinogradKind::dgrad || kind == WinogradKind::dgrad_upsampled;
  const int products = winograd_sizes(kind).product_planes();
  const int in_channels = back ? s.K : s.C, out_channels = back ? s.C : s.K;
  const int64_t filter = int64_t{9} * s.C;  // floats
  const auto pack = [&](float* out) {
    constexpr int kInChannels = 16;  // per task: the channels in a cache line of a filter
    const int widest = ASSAY_ISA_CALL(panel_width, out_channels);
    const int panels = (out_channels + widest - 1) / widest;
    parallel_for(ctx, int64_t{panels} * (in_channels / kInChannels), [&](int64_t task) {
      const int first = static_cast<int>(task % panels) * widest;
      const int d0 = static_cast<int>(task / panels) * kInChannels;
      const int width = ASSAY_ISA_CALL(panel_width, out_channels - first);
      const WinogradFilters job{
          .w = w.data + (back ? first + d0 * filter : first * filter + d0),
          .tap = s.C,
          .in_step = back ? filter : 1,
          .out_step = back ? 1 : filter,
          .in_channels = kInChannels,
          .width = width,
          .out = out + int64_t{first} * products * in_channels + int64_t{d0} * width,
          .plane = int64_t{in_channels} * width};
      ASSAY_ISA_CALL(winograd_filters, kind, job);
    });
  };
  const PackKey key{.kind = pack_kind(kind), .isa = active_isa()};
  return ctx.weights->get(
      w, key, sizeof(float) * static_cast<size_t>(products) * s.C * static_cast<size_t>(s.K), pack);
}

// Products of all planes with one panel, then back to the output.
void multiply_panel(const Pass& pass, const Tiling& tiling, const RowBlock& block, int first,
                    int width, const float* values, float* sums,
                    const std::vector<int64_t>& value_offset,
                    const std::vector<int64_t>& sum_offset) {
  const WinogradSizes& z = tiling.z;
  const auto tiles = static_cast<int64_t>(value_offset.size());
  const int64_t value_plane = plane_stride(tiles, pass.in_channels),
                sum_plane = plane_stride(tiles, kPanel);
  const float* panel = pass.filters + int64_t{first} * z.product_planes() * pass.in_channels;
  for (int i = 0; i < z.products; ++i)
    for (int j = 0; j < z.products; ++j, panel += int64_t{pass.in_channels} * width) {
      const TileJob job{.a = values + z.value_plane(i, j) * value_plane,
                        .a_offset = value_offset.data(),
                        .a_row = 0,
                        .M = tiles,
                        .taps = 1,
                        .run = pass.in_channels,
                        .panel = panel,
                        .width = width,
                        .columns = width,
                        .bias = nullptr,
                        .out = sums + z.sum_plane(i, j) * sum_plane,
                        .out_offset = sum_offset.data(),
                        .accumulate = !z.first_of_sum(i, j)};
      ASSAY_ISA_CALL(tile_product, job);
    }
  const int64_t image = int64_t{pass.out_rows} * pass.out_width * pass.out_channels;
  for (int n = block.n0; n < block.n1; ++n)
    for (int i = block.i0; i < block.i1; ++i) {
      const int row = (n - block.n0) * (block.i1 - block.i0) + i - block.i0;
      const WinogradOutput job{
          .planes = sums + int64_t{row} * tiling.columns * kPanel,
          .plane = sum_plane,
          .tiles = tiling.columns,
          .tile = kPanel,
          .out_channels = width,
          .bias = pass.bias != nullptr ? pass.bias + first : nullptr,
          .pool = pass.pool,
          .first_row = (i * z.out + z.out_first) / pass.pool,
          .first_column = z.out_first,
          .rows = pass.out_rows,
          .width = pass.out_width,
          .pixel = pass.out_channels,
          .out = pass.out + n * image + first,
          .argmax = pass.argmax != nullptr ? pass.argmax + n * image + first : nullptr};
      ASSAY_ISA_CALL(winograd_output, pass.kind, job);
    }
}

// `stage` stages the source of an image; `finish` gets the image and the output rows of a block.
template <class StageSource, class Finish>
void run(Context& ctx, const Pass& pass, const StageSource& stage, const Finish& finish) {
  const Tiling tiling(pass.kind, pass.out_rows * pass.pool, pass.out_width * pass.pool);
  const WinogradSizes& z = tiling.z;
  const int64_t tile_bytes =
      4 * (int64_t{z.value_planes()} * pass.in_channels + int64_t{z.sum_planes()} * kPanel);
  const RowBlocks blocks = row_blocks_of(pass.N, tiling.rows, tiling.columns * tile_bytes, 1);
  const int64_t max_tiles = int64_t{blocks.images} * blocks.rows * tiling.columns;
  const Stage most = tiling.source(0, blocks.rows);
  const int64_t staged_size = int64_t{most.rows} * most.width * pass.in_channels;
  const int64_t values_size = z.value_planes() * plane_stride(max_tiles, pass.in_channels);
  const int64_t sums_size = z.sum_planes() * plane_stride(max_tiles, kPanel);

  parallel_for(ctx, blocks.count, [&](int64_t index) {
    const RowBlock block = row_block(blocks, pass.N, tiling.rows, index);
    const int part_rows = block.i1 - block.i0;
    const int64_t tiles = int64_t{block.n1 - block.n0} * part_rows * tiling.columns;
    const Scratch scratch(
        ctx, sizeof(float) * static_cast<size_t>(staged_size + values_size + sums_size));
    float* values = scratch.as<float>();
    float* sums = values + values_size;
    float* staged = sums + sums_size;
    const Stage g = tiling.source(block.i0, block.i1);
    const int64_t row = int64_t{g.width} * pass.in_channels;
    for (int n = block.n0; n < block.n1; ++n) {
      stage(g, n, staged);
      for (int i = 0; i < part_rows; ++i) {
        const int64_t first = (int64_t{n - block.n0} * part_rows + i) * tiling.columns;
        const WinogradPatches job{.image = staged + i * z.step * row,
                                  .row = row,
                                  .column = pass.in_channels,
                                  .step = int64_t{z.step} * pass.in_channels,
                                  .tiles = tiling.columns,
                                  .channels = pass.in_channels,
                                  .planes = values + first * pass.in_channels,
                                  .plane = plane_stride(tiles, pass.in_channels)};
        ASSAY_ISA_CALL(winograd_source, pass.kind, job);
      }
    }
    std::vector<int64_t> value_offset, sum_offset;
    value_offset.resize(static_cast<size_t>(tiles));
    sum_offset.resize(static_cast<size_t>(tiles));
    for (size_t t = 0; t < value_offset.size(); ++t) {
      value_offset[t] = static_cast<int64_t>(t) * pass.in_channels;
      sum_offset[t] = static_cast<int64_t>(t) * kPanel;
    }
    for_each_panel(pass.out_channels, [&](int first, int width, int) {
      multiply_panel(pass, tiling, block, first, width, values, sums, value_offset, sum_offset);
    });
    const int end = std::min(pass.out_rows, (block.i1 * z.out + z.out_first) / pass.pool);
    const int begin = std::max(0, (block.i0 * z.out + z.out_first) / pass.pool);
    for (int n = block.n0; n < block.n1; ++n) finish(n, begin, end);
  });
}

}  // namespace

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.precision == Precision::fp32_strict)
    return Coverage::no("the precision allows no Winograd");
  if (s.R != 3 || s.S != 3) return Coverage::no("the filter is not 3x3");
  if (s.stride != 1 || s.pad != 1) return Coverage::no("stride and pad are not 1");
  if (s.upsample > 2) return Coverage::no("an upsampling by more than 2");
  if (s.upsample == 2 && e.pool > 1) return Coverage::no("an upsampling with a pool");
  if (s.C % 16 != 0 || s.K % 16 != 0) return Coverage::no("channels or filters not in 16s");
  if (std::max(s.C, s.K) < kMinChannels)
    return Coverage::but_slower(
        "fewer than 32 channels on both sides: transforms outweigh products");
  if (s.H * s.W < kMinPixels) return Coverage::but_slower("fewer than 64 pixels");
  if (pass == ConvPass::wgrad && int64_t{s.N} * s.H * s.W < kMinBatchPixels)
    return Coverage::but_slower("wgrad over fewer than 2048 pixels");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const WinogradKind kind = s.upsample == 2 ? WinogradKind::fprop_upsampled : WinogradKind::fprop;
  const int rows = s.P() / e.pool, width = s.Q() / e.pool;
  const Pass pass{.kind = kind,
                  .N = s.N,
                  .in_channels = s.C,
                  .out_channels = s.K,
                  .out_rows = rows,
                  .out_width = width,
                  .pool = e.pool,
                  .filters = transformed_filters(ctx, s, kind, w),
                  .bias = bias,
                  .out = y,
                  .argmax = argmax};
  const auto stage = [&](const Stage& g, int n, float* staged) {
    stage_image(g, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
  };
  run(ctx, pass, stage, [&](int n, int begin, int end) {
    const int64_t row = int64_t{width} * s.K;
    ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, (end - begin) * row,
                   y + (int64_t{n} * rows + begin) * row);
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const WinogradKind kind = s.upsample == 2 ? WinogradKind::dgrad_upsampled : WinogradKind::dgrad;
  const Pass pass{.kind = kind,
                  .N = s.N,
                  .in_channels = s.K,
                  .out_channels = s.C,
                  .out_rows = s.H,
                  .out_width = s.W,
                  .pool = 1,
                  .filters = transformed_filters(ctx, s, kind, w),
                  .bias = nullptr,
                  .out = dx,
                  .argmax = nullptr};
  const auto stage = [&](const Stage& area, int n, float* staged) {
    stage_dz(area, s, e, g, n, staged);
  };
  run(ctx, pass, stage, [](int, int, int) {});
}

}  // namespace assay::cpu::winograd
