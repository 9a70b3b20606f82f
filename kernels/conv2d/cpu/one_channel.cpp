#include "kernels/conv2d/cpu/one_channel.h"

#include <algorithm>

#include "kernels/conv2d/cpu/one_channel_simd.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu {
namespace {

constexpr uint32_t kPackedOneChannel = 0x4000;
constexpr int kWindows = 16;  // at a time: their outputs are written while the lines are near

}  // namespace

bool one_channel_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.conv != ConvAlgo::automatic && ctx.conv != ConvAlgo::direct) return false;
  return s.C == 1 && s.R == 3 && s.S == 3 && s.stride == 1 && s.upsample == 1 && e.pool == 2 &&
         s.K % 16 == 0;
}

void one_channel_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                       Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const int rows = s.P() / 2, columns = s.Q() / 2;
  if (rows == 0 || columns == 0) return;
  const float* filters = ctx.weights->get(
      w, kPackedOneChannel, sizeof(float) * 9 * static_cast<size_t>(s.K), [&](float* out) {
        for (int i = 0; i < 9; ++i)
          for (int k = 0; k < s.K; ++k) *out++ = w.data[k * 9 + i];
      });
  const int width = 2 * columns + 2;
  const Cut cut = cut_work(s.N, rows, int64_t{4} * columns * s.K, 1);
  parallel_for(ctx, cut.parts, [&](int64_t index) {
    const Part part = part_of(cut, s.N, rows, index);
    const int staged_rows = 2 * (part.i1 - part.i0) + 2;
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(staged_rows * width));
    for (int n = part.n0; n < part.n1; ++n) {
      stage_picture(
          {.row = 2 * part.i0 - s.pad, .rows = staged_rows, .left = s.pad, .width = width}, s.H,
          s.W, 1, x + int64_t{n} * s.H * s.W, staged.as<float>());
      for (int i = part.i0; i < part.i1; ++i)
        for (int j = 0; j < columns; j += kWindows) {
          const int64_t at = ((int64_t{n} * rows + i) * columns + j) * s.K;
          const int windows = std::min(kWindows, columns - j);
          const OneChannelWindows job{
              .picture = staged.as<float>() + int64_t{2} * (i - part.i0) * width + 2 * j,
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

}  // namespace assay::cpu
