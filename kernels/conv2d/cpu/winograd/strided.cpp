// 4x4 convolutions of stride 2 by Winograd. Their filters take megabytes, six times as much when
// transformed, and are new in every training step; so transformed filters never exist whole.
// Each pass takes a group of tile rows, of many images, in two stages:
//
//   transform   by tile row: source -> planes in blocks of channels, [block][plane][tile][channel]
//   multiply    fprop, dgrad: by panel of output channels and some of the tiles. For each block of
//               channels the filters are transformed into the second-level cache and used for all
//               tiles there; then the sums become output.
//               wgrad: by block of filters and block of channels. All products of a block stay in
//               the second-level cache and become a block of dw.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/winograd/tiles.h"

namespace assay::cpu {
namespace {

constexpr int kTaps = 16;
constexpr int kPanel = 32;                // output channels of a panel, at most
constexpr int64_t kGroupBytes = 8 << 20;  // planes of a group; every panel reads them again
constexpr int kMaxInChannels = 128;       // in a row of transformed filters
constexpr int64_t kSumBytes = 1 << 19;    // sums of a task
constexpr int64_t kMinTasks = 8;
constexpr int kMinChannels = 32;  // with fewer, transforms outweigh products
constexpr int kMinPixels = 16;
constexpr int kMinImages = 2;  // a single image is faster with the packed filters of `fused`

int block_of(int channels) {
  return channels % 32 == 0 ? 32 : 16;
}
int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Layout of the planes of some tiles: blocks of channels, in each all planes (tile, channel).
struct Planes {
  int64_t tiles;
  int planes, channels, block;

  Planes(int64_t max_tiles, int plane_count, int channel_count)
      : tiles(max_tiles),
        planes(plane_count),
        channels(channel_count),
        block(block_of(channel_count)) {}
  int64_t plane() const { return plane_stride(tiles, block); }
  int64_t block_size() const { return planes * plane(); }
  int64_t size() const { return channels / block * block_size(); }
};

// How the tile rows of all images are cut into groups of nearly equal size.
struct Groups {
  int64_t rows, count, most;  // tile rows, groups, rows of the largest group

  Groups(int64_t tile_rows, int64_t row_bytes) : rows(tile_rows) {
    // An eighth of kGroupBytes is left for the gaps between planes (plane_stride).
    count = std::min(rows, ceil_div(rows * row_bytes, kGroupBytes / 8 * 7));
    most = ceil_div(rows, count);
  }
  int64_t begin(int64_t group) const { return rows * group / count; }
};

// Memory for the planes of a group. All layers ask for one size and so reuse one block of the
// allocator.
Scratch group_scratch(Context& ctx, int64_t floats) {
  return {ctx, static_cast<size_t>(std::max(4 * floats, kGroupBytes))};
}

std::vector<int64_t> multiples(int64_t count, int64_t step) {
  std::vector<int64_t> offsets(static_cast<size_t>(count));
  for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<int64_t>(i) * step;
  return offsets;
}

// Transforms a staged tile row into the planes of its tiles, which begin with tile `first`.
template <class Transform>
void transform_row(const Tiling& tiling, const Stage& g, int step, const float* staged,
                   const Planes& planes, int64_t first, float* out, const Transform& transform) {
  for (int c = 0; c < planes.channels; c += planes.block, out += planes.block_size()) {
    const WinogradPatches job{.image = staged + c,
                              .row = int64_t{g.width} * planes.channels,
                              .column = planes.channels,
                              .step = int64_t{step} * planes.channels,
                              .tiles = tiling.columns,
                              .channels = planes.block,
                              .planes = out + first * planes.block,
                              .plane = planes.plane()};
    transform(job);
  }
}

int64_t staged_size(const Stage& g, int channels) {
  return int64_t{g.rows} * g.width * channels;
}

struct Pass {
  WinogradKind kind;
  int N, in_channels, out_channels;
  int out_rows, out_width;
  const float* w;  // (out channel, in channel, tap), strides below
  int64_t tap, in_step, out_step;
  const float* bias;
  Activation activation;
  float slope;
  float* out;
};

// Tile rows [r0, r1) of a group and the output channels of one panel.
struct Task {
  int64_t r0, r1;
  int64_t first_tile;  // index in the group of r0's first tile
  int first, width;    // output channels
};

// sums = values * transformed filters, for the products of one row and a range of input channels
// (dgrad), or for all products of one block of input channels (fprop).
struct Step {
  int row, d0, blocks;
};

void multiply(const Pass& pass, const Tiling& tiling, const Task& task, const Step& step,
              const Planes& planes, const float* values, float* filters, float* sums) {
  const WinogradSizes& z = tiling.z;
  const bool back = pass.kind == WinogradKind::dgrad_strided;
  const int64_t tiles = (task.r1 - task.r0) * tiling.columns;
  const int in_channels = step.blocks * planes.block, shared = z.phases * z.phases;
  const int64_t filter_plane = plane_stride(int64_t{shared} * in_channels, task.width),
                sum_plane = plane_stride(tiles, kPanel);
  const WinogradFilters transform{.w = pass.w + step.d0 * pass.in_step + task.first * pass.out_step,
                                  .tap = pass.tap,
                                  .in_step = pass.in_step,
                                  .out_step = pass.out_step,
                                  .in_channels = in_channels,
                                  .width = task.width,
                                  .out = filters,
                                  .plane = filter_plane,
                                  .row = step.row};
  ASSAY_ISA_CALL(winograd_filters, pass.kind, transform);
  const std::vector<int64_t> value_offset = multiples(tiles, planes.block);
  const std::vector<int64_t> sum_offset = multiples(tiles, kPanel);
  values += step.d0 / planes.block * planes.block_size() + task.first_tile * planes.block;
  const int first = back ? step.row : 0, last = back ? step.row + 1 : z.sums;
  for (int i = first; i < last; ++i)
    for (int j = 0; j < z.sums; ++j, filters += filter_plane) {
      const TileJob job{.a = values + z.value_plane(i * z.phases, j * z.phases) * planes.plane(),
                        .a_offset = value_offset.data(),
                        .a_row = back ? planes.block_size() : planes.plane(),
                        .M = tiles,
                        .taps = shared * step.blocks,
                        .run = planes.block,
                        .panel = filters,
                        .width = task.width,
                        .columns = task.width,
                        .bias = nullptr,
                        .out = sums + (i * z.sums + j) * sum_plane,
                        .out_offset = sum_offset.data(),
                        .accumulate = step.d0 > 0};
      ASSAY_ISA_CALL(tile_product, job);
    }
}

// All steps of a task; a step transforms as many filters as fit in the second-level cache.
void multiply(const Pass& pass, const Tiling& tiling, const Task& task, const Planes& planes,
              const float* values, float* filters, float* sums) {
  const bool back = pass.kind == WinogradKind::dgrad_strided;
  const int blocks = pass.in_channels / planes.block;
  const int at_once = back ? std::min(blocks, kMaxInChannels / planes.block) : 1;
  for (int b = 0; b < blocks; b += at_once)
    for (int row = 0; row < (back ? tiling.z.products : 1); ++row)
      multiply(pass, tiling, task, {row, b * planes.block, std::min(at_once, blocks - b)}, planes,
               values, filters, sums);
}

void write_output(const Pass& pass, const Tiling& tiling, const Task& task, const float* sums) {
  const WinogradSizes& z = tiling.z;
  const int64_t sum_plane = plane_stride((task.r1 - task.r0) * tiling.columns, kPanel);
  for (int64_t r = task.r0; r < task.r1; ++r) {
    const int64_t n = r / tiling.rows;
    const int row = static_cast<int>(r % tiling.rows) * z.out;
    float* image = pass.out + n * pass.out_rows * pass.out_width * pass.out_channels + task.first;
    const WinogradOutput job{.planes = sums + (r - task.r0) * tiling.columns * kPanel,
                             .plane = sum_plane,
                             .tiles = tiling.columns,
                             .tile = kPanel,
                             .out_channels = task.width,
                             .bias = pass.bias != nullptr ? pass.bias + task.first : nullptr,
                             .pool = 1,
                             .first_row = row,
                             .first_column = 0,
                             .rows = pass.out_rows,
                             .width = pass.out_width,
                             .pixel = pass.out_channels,
                             .out = image,
                             .argmax = nullptr};
    ASSAY_ISA_CALL(winograd_output, pass.kind, job);
    if (pass.activation == Activation::none) continue;
    const int64_t begin = int64_t{row} * pass.out_width,
                  end = std::min<int64_t>(row + z.out, pass.out_rows) * pass.out_width;
    for (int64_t pixel = begin; pixel < end; ++pixel)
      ASSAY_ISA_CALL(activate_in_place, pass.activation, pass.slope, int64_t{task.width},
                     image + pixel * pass.out_channels);
  }
}

// Runs fprop or dgrad. `stage` stages the source of an image.
template <class StageSource>
void run(Context& ctx, const Pass& pass, const StageSource& stage) {
  const Tiling tiling(pass.kind, pass.out_rows, pass.out_width);
  const WinogradSizes& z = tiling.z;
  const Groups groups(int64_t{pass.N} * tiling.rows,
                      int64_t{4} * tiling.columns * z.value_planes() * pass.in_channels);
  const Planes planes(groups.most * tiling.columns, z.value_planes(), pass.in_channels);
  const Scratch values = group_scratch(ctx, planes.size());

  const int widest = ASSAY_ISA_CALL(panel_width, pass.out_channels);
  const int64_t panels = ceil_div(pass.out_channels, widest);
  const int64_t row_sums = int64_t{4} * z.sum_planes() * tiling.columns * kPanel;
  const int64_t blocks = std::min(groups.most, std::max(ceil_div(groups.most * row_sums, kSumBytes),
                                                        ceil_div(kMinTasks, panels)));
  const int64_t sums_size =
      z.sum_planes() * plane_stride(ceil_div(groups.most, blocks) * tiling.columns, kPanel);
  const int64_t filters_size =
      pass.kind == WinogradKind::dgrad_strided
          ? z.products * plane_stride(std::min(pass.in_channels, kMaxInChannels), kPanel)
          : z.sum_planes() * plane_stride(int64_t{z.phases} * z.phases * planes.block, kPanel);
  const int64_t staged = staged_size(tiling.source(0, 1), pass.in_channels);

  for (int64_t group = 0; group < groups.count; ++group) {
    const int64_t r0 = groups.begin(group), rows = groups.begin(group + 1) - r0;
    parallel_for(ctx, rows, [&](int64_t index) {
      const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged));
      const int i = static_cast<int>((r0 + index) % tiling.rows);
      const Stage g = tiling.source(i, i + 1);
      stage(g, static_cast<int>((r0 + index) / tiling.rows), scratch.as<float>());
      transform_row(tiling, g, z.step, scratch.as<float>(), planes, index * tiling.columns,
                    values.as<float>(), [&](const WinogradPatches& job) {
                      ASSAY_ISA_CALL(winograd_source, pass.kind, job);
                    });
    });
    parallel_for(ctx, panels * blocks, [&](int64_t index) {
      const int64_t block = index % blocks, begin = rows * block / blocks;
      const int first = static_cast<int>(index / blocks) * widest;
      const Task task{.r0 = r0 + begin,
                      .r1 = r0 + rows * (block + 1) / blocks,
                      .first_tile = begin * tiling.columns,
                      .first = first,
                      .width = ASSAY_ISA_CALL(panel_width, pass.out_channels - first)};
      const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(sums_size + filters_size));
      float* filters = scratch.as<float>() + sums_size;
      multiply(pass, tiling, task, planes, values.as<float>(), filters, scratch.as<float>());
      write_output(pass, tiling, task, scratch.as<float>());
    });
  }
}

// The planes of a group of tile rows that wgrad multiplies.
struct Operands {
  Planes x, dz;
  const float *x_values, *dz_values;
  int64_t tiles;
};

// Adds one group's products to the dw of one block of filters and one block of channels.
void filter_gradient(WinogradKind kind, const Conv2dShape& s, const Operands& o, int k, int c,
                     bool accumulate, float* products, float* dw) {
  const WinogradSizes& z = winograd_sizes(kind);
  const int filters = o.dz.block, channels = o.x.block;
  const int64_t plane = plane_stride(filters, channels);
  std::fill_n(products, z.product_planes() * plane, 0.0f);
  const std::vector<int64_t> x_offset = multiples(o.tiles, channels);
  const std::vector<int64_t> dz_offset = multiples(o.tiles, filters);
  for (int i = 0; i < z.products; ++i)
    for (int j = 0; j < z.products; ++j) {
      const OuterJob job{
          .a = o.dz_values + k / filters * o.dz.block_size() + z.sum_plane(i, j) * o.dz.plane(),
          .a_offset = dz_offset.data(),
          .b = o.x_values + c / channels * o.x.block_size() + z.value_plane(i, j) * o.x.plane(),
          .b_offset = x_offset.data(),
          .M = o.tiles,
          .I = filters,
          .J = channels,
          .out = products + (i * z.products + j) * plane,
          .out_row = channels};
      ASSAY_ISA_CALL(outer_product, job);
    }
  const int64_t filter = int64_t{s.R} * s.S * s.C;
  const WinogradFilterGradient job{.planes = products,
                                   .plane = plane,
                                   .row = channels,
                                   .filters = filters,
                                   .channels = channels,
                                   .dw = dw + k * filter + c,
                                   .filter = filter,
                                   .tap = s.C,
                                   .accumulate = accumulate};
  ASSAY_ISA_CALL(winograd_filter_gradient, kind, job);
}

}  // namespace

void winograd_wgrad_by_blocks(Context& ctx, WinogradKind kind, const Conv2dShape& s,
                              const Conv2dEpilogue& e, const float* x, Conv2dGrad<float> g,
                              float* dw, float* dbias) {
  const Tiling tiling(kind, s.P(), s.Q());
  const WinogradSizes& z = tiling.z;
  const Groups groups(int64_t{s.N} * tiling.rows,
                      int64_t{4} * tiling.columns *
                          (int64_t{z.value_planes()} * s.C + int64_t{z.sum_planes()} * s.K));
  const int64_t max_tiles = groups.most * tiling.columns;
  const Planes x_planes(max_tiles, z.value_planes(), s.C),
      dz_planes(max_tiles, z.sum_planes(), s.K);
  const Scratch values = group_scratch(ctx, x_planes.size() + dz_planes.size());
  float* x_values = values.as<float>();
  float* dz_values = x_values + x_planes.size();
  const int64_t staged =
      std::max(staged_size(tiling.source(0, 1), s.C), staged_size(tiling.output(0, 1), s.K));
  const int64_t products = z.product_planes() * plane_stride(dz_planes.block, x_planes.block);
  // The bias gradient of each tile row of a group.
  const Scratch bias_rows(ctx, sizeof(float) * static_cast<size_t>(groups.most * s.K));
  if (dbias != nullptr) std::fill_n(dbias, s.K, 0.0f);

  for (int64_t group = 0; group < groups.count; ++group) {
    const int64_t r0 = groups.begin(group), rows = groups.begin(group + 1) - r0;
    parallel_for(ctx, rows, [&](int64_t index) {
      const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged));
      const int n = static_cast<int>((r0 + index) / tiling.rows);
      const int i = static_cast<int>((r0 + index) % tiling.rows);
      const Stage gx = tiling.source(i, i + 1), gz = tiling.output(i, i + 1);
      const int64_t first = index * tiling.columns;
      stage_image(gx, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, scratch.as<float>());
      transform_row(
          tiling, gx, z.step, scratch.as<float>(), x_planes, first, x_values,
          [&](const WinogradPatches& job) { ASSAY_ISA_CALL(winograd_source, kind, job); });
      stage_dz(gz, s, e, g, n, scratch.as<float>());
      transform_row(tiling, gz, z.out, scratch.as<float>(), dz_planes, first, dz_values,
                    [&](const WinogradPatches& job) { ASSAY_ISA_CALL(winograd_dz, kind, job); });
      if (dbias == nullptr) return;
      float* sum = bias_rows.as<float>() + index * s.K;
      std::fill_n(sum, s.K, 0.0f);
      sum_bias(scratch.as<float>(), int64_t{gz.rows} * gz.width, s.K, sum);
    });
    if (dbias != nullptr) sum_bias(bias_rows.as<float>(), rows, s.K, dbias);

    const Operands operands{x_planes, dz_planes, x_values, dz_values, rows * tiling.columns};
    const int64_t blocks = s.C / x_planes.block;
    parallel_for(ctx, s.K / dz_planes.block * blocks, [&](int64_t index) {
      const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(products));
      filter_gradient(kind, s, operands, static_cast<int>(index / blocks) * dz_planes.block,
                      static_cast<int>(index % blocks) * x_planes.block, group > 0,
                      scratch.as<float>(), dw);
    });
  }
}

namespace winograd_strided {

Coverage covers(const Context& ctx, ConvPass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.precision == Precision::fp32_strict)
    return Coverage::no("the precision allows no Winograd");
  if (s.R != 4 || s.S != 4) return Coverage::no("the filter is not 4x4");
  if (s.stride != 2 || s.pad != 1) return Coverage::no("the stride is not 2 or the pad not 1");
  if (s.upsample != 1 || e.pool != 1) return Coverage::no("an upsampling or a pool");
  if (s.C % 16 != 0 || s.K % 16 != 0) return Coverage::no("channels or filters not in 16s");
  if (s.P() < 1 || s.Q() < 1) return Coverage::no("no output");
  if (s.N < kMinImages)
    return Coverage::but_slower("one image: transforming the filters outweighs the products saved");
  if (std::min(s.C, s.K) < kMinChannels)
    return Coverage::but_slower("fewer than 32 channels on one side");
  if (s.P() * s.Q() < kMinPixels) return Coverage::but_slower("fewer than 16 output pixels");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t*) {
  const Pass pass{.kind = WinogradKind::fprop_strided,
                  .N = s.N,
                  .in_channels = s.C,
                  .out_channels = s.K,
                  .out_rows = s.P(),
                  .out_width = s.Q(),
                  .w = w.data,
                  .tap = s.C,
                  .in_step = 1,
                  .out_step = int64_t{kTaps} * s.C,
                  .bias = bias,
                  .activation = e.activation,
                  .slope = e.slope,
                  .out = y};
  run(ctx, pass, [&](const Stage& g, int n, float* staged) {
    stage_image(g, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const Pass pass{.kind = WinogradKind::dgrad_strided,
                  .N = s.N,
                  .in_channels = s.K,
                  .out_channels = s.C,
                  .out_rows = s.H,
                  .out_width = s.W,
                  .w = w.data,
                  .tap = s.C,
                  .in_step = int64_t{kTaps} * s.C,
                  .out_step = 1,
                  .bias = nullptr,
                  .activation = Activation::none,
                  .slope = 0,
                  .out = dx};
  run(ctx, pass,
      [&](const Stage& area, int n, float* staged) { stage_dz(area, s, e, g, n, staged); });
}

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  winograd_wgrad_by_blocks(ctx, WinogradKind::fprop_strided, s, e, x, g, dw, dbias);
}

}  // namespace winograd_strided

}  // namespace assay::cpu
