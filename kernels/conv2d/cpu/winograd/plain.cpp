// fprop and dgrad by Winograd on the CPU. A part of the work is some tiles: their source is staged,
// transformed into planes, and for one panel of output channels at a time multiplied and
// transformed back, so that the planes of the products never leave the second-level cache.
#include "kernels/conv2d/cpu/winograd/plain.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/winograd/tiles.h"

namespace assay::cpu {
namespace {

constexpr uint32_t kPackedWinograd = 0x400;
constexpr int kPanel = 32;          // most columns of a panel
constexpr int kLeastChannels = 32;  // on one side; where both have fewer, transforms outweigh it
constexpr int kLeastPixels = 64;
constexpr int64_t kLeastBatchPixels = 2048;  // of wgrad

struct Pass {
  WinogradKind kind;
  int N, depth, columns;    // channels of source and output
  int out_rows, out_width;  // after the pool
  int pool;
  const float* filters;
  const float* bias;
  float* out;
  uint8_t* argmax;
};

// Transformed filters: [panel][product][depth][panel width].
const float* transformed_filters(Context& ctx, const Conv2dShape& s, WinogradKind kind,
                                 Weights<float> w) {
  const bool back = kind == WinogradKind::dgrad || kind == WinogradKind::dgrad_upsampled;
  const int products = winograd_sizes(kind).product_planes();
  const int depth = back ? s.K : s.C, columns = back ? s.C : s.K;
  const int64_t filter = int64_t{9} * s.C;  // floats
  const auto pack = [&](float* out) {
    constexpr int kDepths = 16;  // of a task: the channels in a cache line of a filter
    const int widest = ASSAY_ISA_CALL(panel_width, columns);
    const int panels = (columns + widest - 1) / widest;
    parallel_for(ctx, int64_t{panels} * (depth / kDepths), [&](int64_t task) {
      const int first = static_cast<int>(task % panels) * widest;
      const int d0 = static_cast<int>(task / panels) * kDepths;
      const int width = ASSAY_ISA_CALL(panel_width, columns - first);
      const WinogradFilters job{
          .w = w.data + (back ? first + d0 * filter : first * filter + d0),
          .tap = s.C,
          .depth_step = back ? filter : 1,
          .column_step = back ? 1 : filter,
          .depth = kDepths,
          .width = width,
          .out = out + int64_t{first} * products * depth + int64_t{d0} * width,
          .plane = int64_t{depth} * width};
      ASSAY_ISA_CALL(winograd_filters, kind, job);
    });
  };
  const uint32_t key =
      kPackedWinograd | static_cast<uint32_t>(active_isa()) | static_cast<uint32_t>(kind) << 12;
  return ctx.weights->get(
      w, key, sizeof(float) * static_cast<size_t>(products) * s.C * static_cast<size_t>(s.K), pack);
}

// Products of all planes with one panel, then back to the output.
void multiply_panel(const Pass& pass, const Tiling& tiling, const Part& part, int first, int width,
                    const float* values, float* sums, const std::vector<int64_t>& value_offset,
                    const std::vector<int64_t>& sum_offset) {
  const WinogradSizes& z = tiling.z;
  const auto tiles = static_cast<int64_t>(value_offset.size());
  const int64_t value_plane = plane_stride(tiles, pass.depth),
                sum_plane = plane_stride(tiles, kPanel);
  const float* panel = pass.filters + int64_t{first} * z.product_planes() * pass.depth;
  for (int i = 0; i < z.products; ++i)
    for (int j = 0; j < z.products; ++j, panel += int64_t{pass.depth} * width) {
      const TileJob job{.a = values + z.value_plane(i, j) * value_plane,
                        .a_offset = value_offset.data(),
                        .a_row = 0,
                        .M = tiles,
                        .taps = 1,
                        .run = pass.depth,
                        .panel = panel,
                        .width = width,
                        .columns = width,
                        .bias = nullptr,
                        .out = sums + z.sum_plane(i, j) * sum_plane,
                        .out_offset = sum_offset.data(),
                        .accumulate = !z.first_of_sum(i, j)};
      ASSAY_ISA_CALL(tile_product, job);
    }
  const int64_t picture = int64_t{pass.out_rows} * pass.out_width * pass.columns;
  for (int n = part.n0; n < part.n1; ++n)
    for (int i = part.i0; i < part.i1; ++i) {
      const int row = (n - part.n0) * (part.i1 - part.i0) + i - part.i0;
      const WinogradOutput job{
          .planes = sums + int64_t{row} * tiling.columns * kPanel,
          .plane = sum_plane,
          .tiles = tiling.columns,
          .tile = kPanel,
          .columns = width,
          .bias = pass.bias != nullptr ? pass.bias + first : nullptr,
          .pool = pass.pool,
          .first_row = (i * z.out + z.out_first) / pass.pool,
          .first_column = z.out_first,
          .rows = pass.out_rows,
          .width = pass.out_width,
          .pixel = pass.columns,
          .out = pass.out + n * picture + first,
          .argmax = pass.argmax != nullptr ? pass.argmax + n * picture + first : nullptr};
      ASSAY_ISA_CALL(winograd_output, pass.kind, job);
    }
}

// `stage` stages the source of a picture; `finish` gets the picture and the output rows of a part.
template <class StageSource, class Finish>
void run(Context& ctx, const Pass& pass, const StageSource& stage, const Finish& finish) {
  const Tiling tiling(pass.kind, pass.out_rows * pass.pool, pass.out_width * pass.pool);
  const WinogradSizes& z = tiling.z;
  const int64_t tile_bytes =
      4 * (int64_t{z.value_planes()} * pass.depth + int64_t{z.sum_planes()} * kPanel);
  const Cut cut = cut_work(pass.N, tiling.rows, tiling.columns * tile_bytes, 1);
  const int64_t most_tiles = int64_t{cut.images} * cut.rows * tiling.columns;
  const Stage most = tiling.source(0, cut.rows);
  const int64_t staged_size = int64_t{most.rows} * most.width * pass.depth;
  const int64_t values_size = z.value_planes() * plane_stride(most_tiles, pass.depth);
  const int64_t sums_size = z.sum_planes() * plane_stride(most_tiles, kPanel);

  parallel_for(ctx, cut.parts, [&](int64_t index) {
    const Part part = part_of(cut, pass.N, tiling.rows, index);
    const int part_rows = part.i1 - part.i0;
    const int64_t tiles = int64_t{part.n1 - part.n0} * part_rows * tiling.columns;
    const Scratch scratch(
        ctx, sizeof(float) * static_cast<size_t>(staged_size + values_size + sums_size));
    float* values = scratch.as<float>();
    float* sums = values + values_size;
    float* staged = sums + sums_size;
    const Stage g = tiling.source(part.i0, part.i1);
    const int64_t row = int64_t{g.width} * pass.depth;
    for (int n = part.n0; n < part.n1; ++n) {
      stage(g, n, staged);
      for (int i = 0; i < part_rows; ++i) {
        const int64_t first = (int64_t{n - part.n0} * part_rows + i) * tiling.columns;
        const WinogradPatches job{.picture = staged + i * z.step * row,
                                  .row = row,
                                  .column = pass.depth,
                                  .step = int64_t{z.step} * pass.depth,
                                  .tiles = tiling.columns,
                                  .channels = pass.depth,
                                  .planes = values + first * pass.depth,
                                  .plane = plane_stride(tiles, pass.depth)};
        ASSAY_ISA_CALL(winograd_source, pass.kind, job);
      }
    }
    static thread_local std::vector<int64_t> value_offset, sum_offset;
    value_offset.resize(static_cast<size_t>(tiles));
    sum_offset.resize(static_cast<size_t>(tiles));
    for (size_t t = 0; t < value_offset.size(); ++t) {
      value_offset[t] = static_cast<int64_t>(t) * pass.depth;
      sum_offset[t] = static_cast<int64_t>(t) * kPanel;
    }
    for_each_panel(pass.columns, [&](int first, int width, int) {
      multiply_panel(pass, tiling, part, first, width, values, sums, value_offset, sum_offset);
    });
    const int end = std::min(pass.out_rows, (part.i1 * z.out + z.out_first) / pass.pool);
    const int begin = std::max(0, (part.i0 * z.out + z.out_first) / pass.pool);
    for (int n = part.n0; n < part.n1; ++n) finish(n, begin, end);
  });
}

}  // namespace

bool winograd_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.precision != Precision::fp32) return false;
  const bool possible = s.R == 3 && s.S == 3 && s.stride == 1 && s.pad == 1 && s.C % 16 == 0 &&
                        s.K % 16 == 0 && (s.upsample == 1 || (s.upsample == 2 && e.pool == 1));
  if (ctx.conv == ConvAlgo::winograd) return possible;
  return ctx.conv == ConvAlgo::automatic && possible && std::max(s.C, s.K) >= kLeastChannels &&
         s.H * s.W >= kLeastPixels;
}

bool winograd_applies_to_wgrad(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (!winograd_applies(ctx, s, e)) return false;
  return ctx.conv == ConvAlgo::winograd || int64_t{s.N} * s.H * s.W >= kLeastBatchPixels;
}

void winograd_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const WinogradKind kind = s.upsample == 2 ? WinogradKind::fprop_upsampled : WinogradKind::fprop;
  const int rows = s.P() / e.pool, width = s.Q() / e.pool;
  const Pass pass{.kind = kind,
                  .N = s.N,
                  .depth = s.C,
                  .columns = s.K,
                  .out_rows = rows,
                  .out_width = width,
                  .pool = e.pool,
                  .filters = transformed_filters(ctx, s, kind, w),
                  .bias = bias,
                  .out = y,
                  .argmax = e.pool > 1 ? argmax : nullptr};
  const auto stage = [&](const Stage& g, int n, float* staged) {
    stage_picture(g, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
  };
  run(ctx, pass, stage, [&](int n, int begin, int end) {
    const int64_t row = int64_t{width} * s.K;
    ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, (end - begin) * row,
                   y + (int64_t{n} * rows + begin) * row);
  });
}

void winograd_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                    Conv2dGrad<float> g, Weights<float> w, float* dx) {
  const WinogradKind kind = s.upsample == 2 ? WinogradKind::dgrad_upsampled : WinogradKind::dgrad;
  const Pass pass{.kind = kind,
                  .N = s.N,
                  .depth = s.K,
                  .columns = s.C,
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

}  // namespace assay::cpu
