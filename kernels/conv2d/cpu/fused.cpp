// fprop and dgrad of the CPU's third step, `fused`: NHWC, no im2col. Each is a dense pass
// (geometry.h) over staged row blocks (row_blocks.h). wgrad: fused_wgrad.cpp.
#include <algorithm>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu::fused {
namespace {

/// The layout of packed filters depends on the geometry and on the instruction set.
PackKey pack_key(PackKind kind, const Conv2dShape& s) {
  return {
      .kind = kind, .isa = active_isa(), .stride = s.stride, .pad = s.pad, .upsample = s.upsample};
}

const float* fprop_panels(Context& ctx, const Conv2dShape& s, const DensePass& pass,
                          Weights<float> w) {
  return ctx.weights->get(w, pack_key(PackKind::conv2d_fprop, s),
                          sizeof(float) * static_cast<size_t>(panels_size(pass, s.C, s.K)),
                          [&](float* out) {
                            const auto value = [&](int r, int t, int c, int k) {
                              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
                            };
                            pack_panels(pass, s.C, s.K, value, out);
                          });
}

const float* dgrad_panels(Context& ctx, const Conv2dShape& s, const DensePass& pass,
                          Weights<float> w) {
  return ctx.weights->get(w, pack_key(PackKind::conv2d_dgrad, s),
                          sizeof(float) * static_cast<size_t>(panels_size(pass, s.K, s.C)),
                          [&](float* out) {
                            const auto value = [&](int r, int t, int k, int c) {
                              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
                            };
                            pack_panels(pass, s.K, s.C, value, out);
                          });
}

}  // namespace

Coverage covers(const Context&, ConvPass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (s.upsample > 1 && (s.stride > 1 || e.pool > 1))
    return Coverage::no("an upsampling with a stride or a pool");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;  // of y
  if (rows == 0 || columns == 0) return;
  const DensePass pass = fprop_pass(s);
  const float* panels = fprop_panels(ctx, s, pass, w);
  const int total = (rows * e.pool + s.upsample - 1) / s.upsample;  // phase rows
  const int phase_columns = (columns * e.pool + s.upsample - 1) / s.upsample;
  const int width = pass.staged_width(phase_columns);
  const int64_t row_bytes =
      4 * (int64_t{width} * s.C * s.stride + int64_t{columns} * s.K * s.upsample / e.pool);
  const RowBlocks blocks = row_blocks_of(s.N, total, row_bytes, e.pool);
  const int64_t staged_image = int64_t{pass.staged_rows(blocks.rows)} * width * s.C;
  const int64_t y_row = int64_t{columns} * s.K;

  parallel_for(ctx, blocks.count, [&](int64_t index) {
    const RowBlock block = row_block(blocks, s.N, total, index);
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(blocks.images * staged_image));
    for (int n = block.n0; n < block.n1; ++n)
      stage_image(pass.stage(block.i0, block.i1, phase_columns), s.H, s.W, s.C,
                  x + int64_t{n} * s.H * s.W * s.C,
                  staged.as<float>() + (n - block.n0) * staged_image);
    run_row_block(pass, {.block = block,
                         .staged = staged.as<float>(),
                         .staged_image = staged_image,
                         .staged_width = width,
                         .in_channels = s.C,
                         .out_rows = rows,
                         .out_width = columns,
                         .out_channels = s.K,
                         .panels = panels,
                         .bias = bias,
                         .out = y,
                         .pool = e.pool,
                         .argmax = argmax});
    const int64_t y0 = int64_t{block.i0} * s.upsample / e.pool;
    const int64_t y1 = std::min<int64_t>(rows, int64_t{block.i1} * s.upsample / e.pool);
    for (int64_t n = block.n0; n < block.n1; ++n)
      ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, (y1 - y0) * y_row,
                     y + (n * rows + y0) * y_row);
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const DensePass pass = dgrad_pass(s);
  const float* panels = dgrad_panels(ctx, s, pass, w);
  const int total = (s.H + s.stride - 1) / s.stride;  // phase rows
  const int phase_columns = (s.W + s.stride - 1) / s.stride;
  const int width = pass.staged_width(phase_columns);
  const int64_t row_bytes = 4 * (int64_t{width} * s.K * s.upsample + int64_t{s.W} * s.C * s.stride);
  const RowBlocks blocks = row_blocks_of(s.N, total, row_bytes, 1);
  const int64_t staged_image = int64_t{pass.staged_rows(blocks.rows)} * width * s.K;

  parallel_for(ctx, blocks.count, [&](int64_t index) {
    const RowBlock block = row_block(blocks, s.N, total, index);
    const Scratch staged(ctx, sizeof(float) * static_cast<size_t>(blocks.images * staged_image));
    for (int n = block.n0; n < block.n1; ++n)
      stage_dz(pass.stage(block.i0, block.i1, phase_columns), s, e, g, n,
               staged.as<float>() + (n - block.n0) * staged_image);
    run_row_block(pass, {.block = block,
                         .staged = staged.as<float>(),
                         .staged_image = staged_image,
                         .staged_width = width,
                         .in_channels = s.K,
                         .out_rows = s.H,
                         .out_width = s.W,
                         .out_channels = s.C,
                         .panels = panels,
                         .bias = nullptr,
                         .out = dx});
  });
}

}  // namespace assay::cpu::fused
