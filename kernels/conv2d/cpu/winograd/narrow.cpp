// 3x3 layers of few source channels by Winograd's F(4,3), fused: a few tiles are transformed,
// multiplied and transformed back while they are in the first-level cache. With more channels
// plain.cpp writes planes of transformed patches, to share a panel of filters between many tiles.
#include <algorithm>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/row_blocks.h"
#include "kernels/conv2d/cpu/winograd/narrow_simd.h"
#include "kernels/conv2d/winograd_transforms.h"

namespace assay::cpu::winograd_narrow {
namespace {

constexpr int kMinPixels = 64;
constexpr int kPatch = 6, kTile = 4;

constexpr int kPanel = kNarrowChannels;
typedef float PanelRow[kPanel];

// out = m * in for each of the kPanel columns.
template <int kProducts>
void multiply(const Matrix<kProducts, 3>& m, const PanelRow (&in)[3], PanelRow* out, int out_step) {
  for (int i = 0; i < kProducts; ++i)
    for (int k = 0; k < kPanel; ++k)
      out[i * out_step][k] = m.at[i][0] * in[0][k] + m.at[i][1] * in[1][k] + m.at[i][2] * in[2][k];
}

// The transformed filters (out_channels/16, 36, in_channels, 16) of w
// (out_channels,3,3,in_channels) or, with `back`, of the flipped w (in_channels,3,3,out_channels).
const float* transformed_filters(Context& ctx, const Conv2dShape& s, bool back, Weights<float> w) {
  static constexpr auto kForward = winograd_plain(false).filter;
  static constexpr auto kBack = winograd_plain(true).filter;
  const auto& m = back ? kBack : kForward;
  const int in_channels = back ? s.K : s.C, out_channels = back ? s.C : s.K;
  const int64_t filter = int64_t{9} * s.C;
  const int64_t in_step = back ? filter : 1, out_step = back ? 1 : filter;
  const auto pack = [&](float* out) {
    for (int k0 = 0; k0 < out_channels; k0 += kPanel, out += int64_t{36} * in_channels * kPanel)
      for (int d = 0; d < in_channels; ++d) {
        PanelRow half[6][3], row[6];
        for (int t = 0; t < 3; ++t) {
          PanelRow taps[3];
          for (int r = 0; r < 3; ++r)
            for (int k = 0; k < kPanel; ++k)
              taps[r][k] = w.data[int64_t{r * 3 + t} * s.C + d * in_step + (k0 + k) * out_step];
          multiply(m, taps, &half[0][t], 3);
        }
        for (int i = 0; i < 6; ++i) {
          multiply(m, half[i], row, 1);
          for (int j = 0; j < 6; ++j)
            std::copy_n(row[j], kPanel, out + (int64_t{i * 6 + j} * in_channels + d) * kPanel);
        }
      }
  };
  const PackKind kind = back ? PackKind::winograd_narrow_dgrad : PackKind::winograd_narrow_fprop;
  return ctx.weights->get(w, {.kind = kind},
                          sizeof(float) * 36 * static_cast<size_t>(in_channels * out_channels),
                          pack);
}

// Runs all tiles of a pass. The fields of `pass` that differ from row to row of tiles are set here.
// `stage` stages rows of an image; `finish` is called with the output rows of a block.
template <class StageSource, class Finish>
void run(Context& ctx, int N, const NarrowTiles& pass, const StageSource& stage,
         const Finish& finish) {
  const int tile_rows = (pass.rows * pass.pool + kTile - 1) / kTile;
  const int tile_columns = (pass.width * pass.pool + kTile - 1) / kTile;
  const int width = (tile_columns - 1) * kTile + kPatch;
  const int64_t row = int64_t{width} * pass.in_channels;
  const RowBlocks blocks = row_blocks_of(
      N, tile_rows,
      int64_t{4} * kTile * (row + int64_t{pass.width} * pass.out_channels / pass.pool), 1);
  const int64_t staged_size = ((blocks.rows - 1) * kTile + kPatch) * row + kNarrowSlack;
  const int64_t image = int64_t{pass.rows} * pass.width * pass.out_channels;
  parallel_for(ctx, blocks.count, [&](int64_t index) {
    const RowBlock block = row_block(blocks, N, tile_rows, index);
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged_size + kNarrowScratch));
    float* staged = scratch.as<float>() + kNarrowScratch;
    for (int n = block.n0; n < block.n1; ++n) {
      stage({.row = block.i0 * kTile - 1,
             .rows = (block.i1 - block.i0 - 1) * kTile + kPatch,
             .left = 1,
             .width = width},
            n, staged);
      for (int i = block.i0; i < block.i1; ++i) {
        NarrowTiles job = pass;
        job.image = staged + (i - block.i0) * kTile * row;
        job.row = row;
        job.tiles = tile_columns;
        job.first_row = i * kTile / pass.pool;
        job.out = pass.out + n * image;
        job.argmax = pass.argmax != nullptr ? pass.argmax + n * image : nullptr;
        job.scratch = scratch.as<float>();
        ASSAY_ISA_CALL(winograd_narrow_tiles, job);
      }
      finish(n, block.i0 * kTile / pass.pool, std::min(pass.rows, block.i1 * kTile / pass.pool));
    }
  });
}

}  // namespace

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue&) {
  if (pass == ConvPass::wgrad) return Coverage::no("fprop and dgrad only");
  if (ctx.precision == Precision::fp32_strict)
    return Coverage::no("the precision allows no Winograd");
  if (s.R != 3 || s.S != 3) return Coverage::no("the filter is not 3x3");
  if (s.stride != 1 || s.pad != 1) return Coverage::no("stride and pad are not 1");
  if (s.upsample != 1) return Coverage::no("an upsampling");
  const bool back = pass == ConvPass::dgrad;
  const int in_channels = back ? s.K : s.C, out_channels = back ? s.C : s.K;
  if (in_channels != kNarrowChannels && (back || in_channels > kMaxFewChannels))
    return Coverage::no("the source has neither 16 channels nor, in fprop, at most 3");
  if (out_channels % kNarrowChannels != 0) return Coverage::no("output channels not in 16s");
  if (s.H * s.W < kMinPixels) return Coverage::but_slower("fewer than 64 pixels");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const NarrowTiles pass{.image = nullptr,
                         .row = 0,
                         .tiles = 0,
                         .in_channels = s.C,
                         .out_channels = s.K,
                         .filters = transformed_filters(ctx, s, false, w),
                         .bias = bias,
                         .pool = e.pool,
                         .first_row = 0,
                         .rows = s.P() / e.pool,
                         .width = s.Q() / e.pool,
                         .out = y,
                         .argmax = argmax,
                         .scratch = nullptr};
  const auto stage = [&](const Stage& g, int n, float* staged) {
    stage_image(g, s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
  };
  run(ctx, s.N, pass, stage, [&](int64_t n, int64_t begin, int64_t end) {
    const int64_t row = int64_t{pass.width} * s.K;
    ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, (end - begin) * row,
                   y + (n * pass.rows + begin) * row);
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const NarrowTiles pass{.image = nullptr,
                         .row = 0,
                         .tiles = 0,
                         .in_channels = s.K,
                         .out_channels = s.C,
                         .filters = transformed_filters(ctx, s, true, w),
                         .bias = nullptr,
                         .pool = 1,
                         .first_row = 0,
                         .rows = s.H,
                         .width = s.W,
                         .out = dx,
                         .argmax = nullptr,
                         .scratch = nullptr};
  const auto stage = [&](const Stage& area, int n, float* staged) {
    stage_dz(area, s, e, g, n, staged);
  };
  run(ctx, s.N, pass, stage, [](int64_t, int64_t, int64_t) {});
}

}  // namespace assay::cpu::winograd_narrow
