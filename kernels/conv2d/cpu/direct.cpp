// fprop and dgrad on the CPU: direct, NHWC, no im2col. Each is a dense pass (dense_pass.h) over
// staged bands (band.h); wgrad stands in conv2d_wgrad_cpu.cpp.
#include <algorithm>

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/cpu/one_channel.h"
#include "kernels/conv2d/cpu/pooled_wgrad.h"
#include "kernels/conv2d/cpu/row_blocks.h"
#include "kernels/conv2d/cpu/special.h"
#include "kernels/conv2d/cpu/winograd/narrow.h"
#include "kernels/conv2d/cpu/winograd/plain.h"

namespace assay::cpu {
namespace {

enum PackedKind : uint32_t { kPackedFprop = 0x100, kPackedDgrad = 0x200 };

// Weights are packed differently for different geometries and instruction sets.
uint32_t packed_kind(PackedKind kind, const Conv2dShape& s) {
  return kind | static_cast<uint32_t>(active_isa()) | static_cast<uint32_t>(s.upsample) << 12 |
         static_cast<uint32_t>(s.stride) << 16 | static_cast<uint32_t>(s.pad) << 24;
}

const float* fprop_panels(Context& ctx, const Conv2dShape& s, const Plan& plan, Weights<float> w) {
  return ctx.weights->get(w, packed_kind(kPackedFprop, s),
                          sizeof(float) * static_cast<size_t>(panels_size(plan, s.C, s.K)),
                          [&](float* out) {
                            const auto value = [&](int r, int t, int c, int k) {
                              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
                            };
                            pack_panels(plan, s.C, s.K, value, out);
                          });
}

const float* dgrad_panels(Context& ctx, const Conv2dShape& s, const Plan& plan, Weights<float> w) {
  return ctx.weights->get(w, packed_kind(kPackedDgrad, s),
                          sizeof(float) * static_cast<size_t>(panels_size(plan, s.K, s.C)),
                          [&](float* out) {
                            const auto value = [&](int r, int t, int k, int c) {
                              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
                            };
                            pack_panels(plan, s.K, s.C, value, out);
                          });
}

Scratch picture_scratch(Context& ctx, int64_t N, int64_t H, int64_t W, int64_t channels) {
  return {ctx, sizeof(float) * static_cast<size_t>(N * H * W * channels)};
}

}  // namespace

ConvAlgo conv2d_rung(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                     const Conv2dEpilogue& e) {
  const bool simpler = needs_upsampled_copy(s, e) || is_pixelwise_behind_upsampling(s, e) ||
                       (is_dense(s) && e.pool == 1);
  if (simpler || (pass == ConvPass::fprop && one_channel_applies(ctx, s, e)) ||
      (pass == ConvPass::wgrad && pooled_wgrad_applies(ctx, s, e)))
    return ConvAlgo::direct;
  bool winograd = winograd_strided_applies(ctx, s, e);
  if (pass == ConvPass::fprop)
    winograd |= winograd_narrow_applies_to_fprop(ctx, s) || winograd_applies(ctx, s, e);
  else if (pass == ConvPass::dgrad)
    winograd |= winograd_narrow_applies_to_dgrad(ctx, s) || winograd_applies(ctx, s, e);
  else
    winograd |= winograd_applies_to_wgrad(ctx, s, e);
  return winograd ? ConvAlgo::winograd : ConvAlgo::direct;
}

void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  if (needs_upsampled_copy(s, e)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copy = picture_scratch(ctx, s.N, big.H, big.W, s.C);
    upsample(ctx, s, s.C, x, copy.as<float>());
    return conv2d_fprop(ctx, big, e, copy.as<float>(), w, bias, y, argmax);
  }
  if (is_pixelwise_behind_upsampling(s, e)) {
    const Scratch small = picture_scratch(ctx, s.N, s.H, s.W, s.K);
    conv2d_fprop(ctx, without_upsampling(s), e, x, w, bias, small.as<float>(), nullptr);
    return upsample(ctx, s, s.K, small.as<float>(), y);
  }
  if (is_dense(s) && e.pool == 1) return dense_fprop(ctx, s, e, x, w, bias, y);
  if (one_channel_applies(ctx, s, e)) return one_channel_fprop(ctx, s, e, x, w, bias, y, argmax);
  if (winograd_narrow_applies_to_fprop(ctx, s))
    return winograd_narrow_fprop(ctx, s, e, x, w, bias, y, argmax);
  if (winograd_applies(ctx, s, e)) return winograd_fprop(ctx, s, e, x, w, bias, y, argmax);
  if (winograd_strided_applies(ctx, s, e)) return winograd_strided_fprop(ctx, s, e, x, w, bias, y);

  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;  // of y
  if (rows == 0 || columns == 0) return;
  const Plan plan = fprop_plan(s);
  const float* panels = fprop_panels(ctx, s, plan, w);
  const int total = (rows * e.pool + s.upsample - 1) / s.upsample;  // phase rows
  const int phase_columns = (columns * e.pool + s.upsample - 1) / s.upsample;
  const int width = plan.staged_width(phase_columns);
  const int64_t row_bytes =
      4 * (int64_t{width} * s.C * s.stride + int64_t{columns} * s.K * s.upsample / e.pool);
  const Cut cut = cut_work(s.N, total, row_bytes, e.pool);
  const int64_t staged_image = int64_t{plan.staged_rows(cut.rows)} * width * s.C;
  const int64_t y_row = int64_t{columns} * s.K;

  parallel_for(ctx, cut.parts, [&](int64_t index) {
    const Part part = part_of(cut, s.N, total, index);
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(cut.images * staged_image));
    for (int n = part.n0; n < part.n1; ++n)
      stage_picture(plan.stage(part.i0, part.i1, phase_columns), s.H, s.W, s.C,
                    x + int64_t{n} * s.H * s.W * s.C,
                    staged.as<float>() + (n - part.n0) * staged_image);
    run_band(plan, {.part = part,
                    .staged = staged.as<float>(),
                    .staged_image = staged_image,
                    .staged_width = width,
                    .depth = s.C,
                    .out_rows = rows,
                    .out_width = columns,
                    .columns = s.K,
                    .panels = panels,
                    .bias = bias,
                    .out = y,
                    .pool = e.pool,
                    .argmax = e.pool > 1 ? argmax : nullptr});
    const int64_t y0 = int64_t{part.i0} * s.upsample / e.pool;
    const int64_t y1 = std::min<int64_t>(rows, int64_t{part.i1} * s.upsample / e.pool);
    for (int64_t n = part.n0; n < part.n1; ++n)
      ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, (y1 - y0) * y_row,
                     y + (n * rows + y0) * y_row);
  });
}

void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                  Weights<float> w, float* dx) {
  if (needs_upsampled_copy(s, e)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copies = picture_scratch(ctx, s.N, big.H, big.W, s.C);
    conv2d_dgrad(ctx, big, e, g, w, copies.as<float>());
    return sum_copies(ctx, s, s.C, copies.as<float>(), dx);
  }
  if (is_pixelwise_behind_upsampling(s, e)) {
    const Scratch dz = picture_scratch(ctx, s.N, s.P(), s.Q(), s.K);
    const Scratch small = picture_scratch(ctx, s.N, s.H, s.W, s.K);
    whole_dz(ctx, s, e, g, dz.as<float>());
    sum_copies(ctx, s, s.K, dz.as<float>(), small.as<float>());
    return conv2d_dgrad(ctx, without_upsampling(s), {}, {small.as<float>()}, w, dx);
  }
  if (is_dense(s) && e.pool == 1) return dense_dgrad(ctx, s, e, g, w, dx);
  if (winograd_narrow_applies_to_dgrad(ctx, s)) return winograd_narrow_dgrad(ctx, s, e, g, w, dx);
  if (winograd_applies(ctx, s, e)) return winograd_dgrad(ctx, s, e, g, w, dx);
  if (winograd_strided_applies(ctx, s, e)) return winograd_strided_dgrad(ctx, s, e, g, w, dx);

  const Plan plan = dgrad_plan(s);
  const float* panels = dgrad_panels(ctx, s, plan, w);
  const int total = (s.H + s.stride - 1) / s.stride;  // phase rows
  const int phase_columns = (s.W + s.stride - 1) / s.stride;
  const int width = plan.staged_width(phase_columns);
  const int64_t row_bytes = 4 * (int64_t{width} * s.K * s.upsample + int64_t{s.W} * s.C * s.stride);
  const Cut cut = cut_work(s.N, total, row_bytes, 1);
  const int64_t staged_image = int64_t{plan.staged_rows(cut.rows)} * width * s.K;

  parallel_for(ctx, cut.parts, [&](int64_t index) {
    const Part part = part_of(cut, s.N, total, index);
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(cut.images * staged_image));
    for (int n = part.n0; n < part.n1; ++n)
      stage_dz(plan.stage(part.i0, part.i1, phase_columns), s, e, g, n,
               staged.as<float>() + (n - part.n0) * staged_image);
    run_band(plan, {.part = part,
                    .staged = staged.as<float>(),
                    .staged_image = staged_image,
                    .staged_width = width,
                    .depth = s.K,
                    .out_rows = s.H,
                    .out_width = s.W,
                    .columns = s.C,
                    .panels = panels,
                    .bias = nullptr,
                    .out = dx});
  });
}

}  // namespace assay::cpu
