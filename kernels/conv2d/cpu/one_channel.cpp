// fprop of a 3x3 layer of one channel with a 2x2 pool. The vector kernel (one_channel_simd.cpp)
// keeps the nine taps of a vector of filters and the four sums of a window in registers; this file
// stages the image and cuts the call into row blocks.
#include <algorithm>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/one_channel_simd.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu::one_channel {
namespace {

constexpr int kWindows = 16;  // per kernel call, so that the activation finds their outputs in L1

}  // namespace

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (pass != ConvPass::fprop) return Coverage::no("fprop only");
  if (s.C != 1) return Coverage::no("more than one channel");
  if (s.R != 3 || s.S != 3) return Coverage::no("the filter is not 3x3");
  if (s.stride != 1 || s.upsample != 1) return Coverage::no("a stride or an upsampling");
  if (e.pool != 2) return Coverage::no("no 2x2 pool");
  if (s.K % 16 != 0) return Coverage::no("filters not in 16s");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const int rows = s.P() / 2, columns = s.Q() / 2;
  if (rows == 0 || columns == 0) return;
  const float* filters =
      ctx.weights->get(w, {.kind = PackKind::conv2d_one_channel},
                       sizeof(float) * 9 * static_cast<size_t>(s.K), [&](float* out) {
                         for (int i = 0; i < 9; ++i)
                           for (int k = 0; k < s.K; ++k) *out++ = w.data[k * 9 + i];
                       });
  const int width = 2 * columns + 2;
  const RowBlocks blocks = row_blocks_of(s.N, rows, int64_t{4} * columns * s.K, 1);
  parallel_for(ctx, blocks.count, [&](int64_t index) {
    const RowBlock block = row_block(blocks, s.N, rows, index);
    const int staged_rows = 2 * (block.i1 - block.i0) + 2;
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(staged_rows * width));
    for (int n = block.n0; n < block.n1; ++n) {
      stage_image({.row = 2 * block.i0 - s.pad, .rows = staged_rows, .left = s.pad, .width = width},
                  s.H, s.W, 1, x + int64_t{n} * s.H * s.W, staged.as<float>());
      for (int i = block.i0; i < block.i1; ++i)
        for (int j = 0; j < columns; j += kWindows) {
          const int64_t at = ((int64_t{n} * rows + i) * columns + j) * s.K;
          const int windows = std::min(kWindows, columns - j);
          const OneChannelWindows job{
              .image = staged.as<float>() + int64_t{2} * (i - block.i0) * width + 2 * j,
              .row = width,
              .windows = windows,
              .K = s.K,
              .filters = filters,
              .bias = bias,
              .out = y + at,
              .argmax = argmax != nullptr ? argmax + at : nullptr};
          ASSAY_ISA_CALL(one_channel_windows, job);
          ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{windows} * s.K, y + at);
        }
    }
  });
}

}  // namespace assay::cpu::one_channel
