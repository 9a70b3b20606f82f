#include "kernels/gemm/cpu/tiles.h"

#include "kernels/conv2d/cpu/tiles/memory.h"
#include "kernels/conv2d/cpu/tiles/pass.h"
#include "kernels/conv2d/cpu/tiles/tiles.h"
#include "kernels/runtime/error.h"

namespace assay::cpu {
namespace {

constexpr int kRowsTogether = 2 * tile::kRows;  // pixels that the convolution multiplies at once

/// A 1x1 convolution of an image of `pixels` pixels, in rows of `columns` if these divide it; else
/// in two rows or one.
Conv2dShape convolution(int pixels, int columns, int channels, int filters) {
  Conv2dShape s{.N = 1, .H = 1, .W = pixels, .C = channels, .K = filters, .R = 1, .S = 1};
  s.H = pixels % kRowsTogether == 0 ? pixels / columns : pixels % 2 == 0 ? 2 : 1;
  s.W = pixels / s.H;
  return s;
}

}  // namespace

Coverage gemm_tiles_covers(const GemmShape& s) {
  if (active_tiles() == Tiles::none)
    return Coverage::no("no tile instructions (AMX) on this machine, or ASSAY_AMX=off");
  if (s.transpose_a && s.transpose_b) return Coverage::no("both matrices are transposed");
  if (s.M == 0 || s.N == 0 || s.K == 0) return Coverage::no("an empty matrix");
  if (s.M < tile::kRows || s.N < tile::kColumns || s.K < tile::kDepth)
    return Coverage::but_slower("less than a tile: packing would cost more than it saves");
  return Coverage::yes();
}

void gemm_tiles(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                Weights<float> b, const float* bias, bf16* c) {
  ASSAY_CHECK(!s.transpose_a && !e.accumulate,
              "gemm by tiles: A is transposed or accumulate is set, which tiles do not compute");
  const tiles::WeightStrides strides{.row = 0,
                                     .column = 0,
                                     .in_channel = s.transpose_b ? 1 : s.N,
                                     .out_channel = s.transpose_b ? s.K : 1};
  const PackKind kind = s.transpose_b ? PackKind::tiles_gemm_transposed : PackKind::tiles_gemm;
  const Conv2dShape all = convolution(s.M, tile::kRows, s.K, s.N);
  const bf16* panels = tiles::cached_panels(ctx, all, tiles::fprop_plan(all), b, strides, kind);
  const auto run = [&](int first, int rows) {
    const Conv2dShape conv = convolution(rows, tile::kRows, s.K, s.N);
    tiles::run_pass(ctx, tiles::fprop_plan(conv), panels,
                    tiles::source_of_x(conv, a + int64_t{first} * s.K),
                    {.bias = bias,
                     .epilogue = {.activation = e.activation, .slope = e.slope},
                     .out = c + int64_t{first} * s.N,
                     .argmax = nullptr,
                     .rows = conv.H,
                     .columns = conv.W});
  };
  // Rows that fill whole tiles, and the others.
  const int whole = s.M / kRowsTogether * kRowsTogether;
  if (whole > 0) run(0, whole);
  if (whole < s.M) run(whole, s.M - whole);
}

void gemm_tiles_wgrad(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b, float* c) {
  tiles::wgrad(ctx, convolution(s.K, kRowsTogether, s.N, s.M), {}, b, {a}, c, nullptr);
}

}  // namespace assay::cpu
