// Version 2 of the CPU: im2col and a matrix product that is blocked for registers and caches
// (blocked_simd.cpp). With `taps` = R*S*C and the pixels of z as rows:
//
//   fprop   z (pixels,K)      = columns(x) (pixels,taps) * w^T (taps,K)   then pool and activation
//   dgrad   columns of dx     = dz (pixels,K) * w (K,taps)                then added to dx (col2im)
//   wgrad   dw (K,taps)       = dz^T (K,pixels) * columns(x) (pixels,taps)
//
// A block of pixels is copied (im2col) and multiplied before the next one, so that the copy is
// still in the second-level cache. z and dz are written to memory whole.
#include <algorithm>
#include <cstring>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/blocked_simd.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu::blocked {
namespace {

constexpr int64_t kBlockFloats = 1 << 16;  // 256 KiB of columns: half of a second-level cache

Scratch floats(Context& ctx, int64_t count) {
  return {ctx, sizeof(float) * static_cast<size_t>(count)};
}

int64_t pixels_of(const Conv2dShape& s) {
  return int64_t{s.P()} * s.Q();
}

/// Pixels of z in a block whose rows have `width` floats: whole register tiles of 12.
int64_t block_pixels(int64_t width) {
  return std::max<int64_t>(12, kBlockFloats / width / 12 * 12);
}

/// Calls f(offset in x or dx, offset in the row of columns) of the C values for every tap (r,t),
/// r in `rows`, of pixel m of image n. The offset in x is -1 if the tap lies outside the image.
template <class F>
void for_each_tap(const Conv2dShape& s, int64_t n, int64_t m, Range rows, const F& f) {
  const int p = static_cast<int>(m / s.Q()), q = static_cast<int>(m % s.Q());
  int64_t column = 0;
  for (int r = rows.begin; r < rows.end; ++r)
    for (int t = 0; t < s.S; ++t, column += s.C) {
      const int h = p * s.stride - s.pad + r, w = q * s.stride - s.pad + t;
      const bool inside = h >= 0 && h < s.H * s.upsample && w >= 0 && w < s.W * s.upsample;
      f(inside ? ((n * s.H + h / s.upsample) * s.W + w / s.upsample) * s.C : -1, column);
    }
}

/// im2col: the pixels [m0,m1) of image n under the filter rows `rows` -> (m1-m0, rows*S*C).
void copy_columns(const Conv2dShape& s, const float* x, int64_t n, int64_t m0, int64_t m1,
                  Range rows, float* out) {
  const size_t bytes = sizeof(float) * static_cast<size_t>(s.C);
  for (int64_t m = m0; m < m1; ++m, out += int64_t{rows.end - rows.begin} * s.S * s.C)
    for_each_tap(s, n, m, rows, [&](int64_t from, int64_t column) {
      if (from >= 0)
        std::memcpy(out + column, x + from, bytes);
      else
        std::memset(out + column, 0, bytes);
    });
}

/// dz (N,P,Q,K).
Scratch whole_dz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                 const Conv2dGrad<float>& g) {
  Scratch dz = floats(ctx, s.N * pixels_of(s) * s.K);
  parallel_for(ctx, s.N, [&](int64_t n) {
    stage_dz({.row = 0, .rows = s.P(), .left = 0, .width = s.Q()}, s, e, g, static_cast<int>(n),
             dz.as<float>() + n * pixels_of(s) * s.K);
  });
  return dz;
}

/// w^T (taps,K), from the weight cache.
const float* transposed_filters(Context& ctx, const Conv2dShape& s, Weights<float> w) {
  const int64_t taps = int64_t{s.R} * s.S * s.C;
  return ctx.weights->get(w, {.kind = PackKind::conv2d_blocked},
                          sizeof(float) * static_cast<size_t>(taps * s.K), [&](float* out) {
                            for (int64_t i = 0; i < taps; ++i)
                              for (int64_t k = 0; k < s.K; ++k) *out++ = w.data[k * taps + i];
                          });
}

/// z -> y and argmax.
void pool_and_activate(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* z,
                       float* y, uint8_t* argmax) {
  const int P = s.P(), Q = s.Q(), rows = P / e.pool, columns = Q / e.pool;
  parallel_for(ctx, int64_t{s.N} * rows, [&](int64_t row) {
    const int64_t n = row / rows, i = row % rows;
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t k = 0; k < s.K; ++k) {
        const auto value = [&](int a) {
          const int64_t p = i * e.pool + a / e.pool, q = j * e.pool + a % e.pool;
          return z[((n * P + p) * Q + q) * s.K + k];
        };
        int position = 0;
        for (int a = 1; a < e.pool * e.pool; ++a)
          if (value(a) > value(position)) position = a;
        const int64_t at = (row * columns + j) * s.K + k;
        y[at] = value(position);
        if (argmax != nullptr) argmax[at] = static_cast<uint8_t>(position);
      }
    ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{columns} * s.K,
                   y + row * columns * s.K);
  });
}

}  // namespace

Coverage covers(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&) {
  return Coverage::but_slower("copies of x under every tap, z and dz in memory");
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const int64_t taps = int64_t{s.R} * s.S * s.C, pixels = pixels_of(s), block = block_pixels(taps);
  const int64_t blocks = (pixels + block - 1) / block;
  const float* filters = transposed_filters(ctx, s, w);
  const Scratch z = floats(ctx, s.N * pixels * s.K);
  parallel_for(ctx, s.N * blocks, [&](int64_t task) {
    const int64_t n = task / blocks, m0 = task % blocks * block;
    const int64_t m1 = std::min(pixels, m0 + block);
    const Scratch columns = floats(ctx, block * taps);
    copy_columns(s, x, n, m0, m1, {0, s.R}, columns.as<float>());
    float* out = z.as<float>() + (n * pixels + m0) * s.K;
    for (int64_t m = 0; m < m1 - m0; ++m)
      for (int k = 0; k < s.K; ++k) out[m * s.K + k] = bias != nullptr ? bias[k] : 0;
    const BlockedProduct job{.M = m1 - m0,
                             .N = s.K,
                             .K = taps,
                             .a = columns.as<float>(),
                             .a_row = taps,
                             .b = filters,
                             .b_row = s.K,
                             .c = out,
                             .c_row = s.K};
    ASSAY_ISA_CALL(blocked_product, job);
  });
  pool_and_activate(ctx, s, e, z.as<float>(), y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const int64_t taps = int64_t{s.R} * s.S * s.C, pixels = pixels_of(s), block = block_pixels(taps);
  const int64_t image = int64_t{s.H} * s.W * s.C;
  const Scratch dz = whole_dz(ctx, s, e, g);
  // A task is a whole image, because neighbouring pixels of z add to the same pixels of dx.
  parallel_for(ctx, s.N, [&](int64_t n) {
    const Scratch columns = floats(ctx, block * taps);
    std::fill_n(dx + n * image, image, 0.0f);
    for (int64_t m0 = 0; m0 < pixels; m0 += block) {
      const int64_t m1 = std::min(pixels, m0 + block);
      float* const of_block = columns.as<float>();
      std::fill_n(of_block, (m1 - m0) * taps, 0.0f);
      const BlockedProduct job{.M = m1 - m0,
                               .N = taps,
                               .K = s.K,
                               .a = dz.as<float>() + (n * pixels + m0) * s.K,
                               .a_row = s.K,
                               .b = w.data,
                               .b_row = taps,
                               .c = of_block,
                               .c_row = taps};
      ASSAY_ISA_CALL(blocked_product, job);
      for (int64_t m = m0; m < m1; ++m)
        for_each_tap(s, n, m, {0, s.R}, [&](int64_t to, int64_t column) {
          const float* from = of_block + (m - m0) * taps + column;
          for (int c = 0; to >= 0 && c < s.C; ++c) dx[to + c] += from[c];
        });
    }
  });
}

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  const int64_t run = int64_t{s.S} * s.C, pixels = pixels_of(s), block = block_pixels(run + s.K);
  const Scratch dz = whole_dz(ctx, s, e, g);
  // A task is a filter row, because filter rows own different columns of dw.
  parallel_for(ctx, s.R, [&](int64_t r) {
    const Scratch columns = floats(ctx, block * run), transposed = floats(ctx, block * s.K);
    for (int64_t k = 0; k < s.K; ++k) std::fill_n(dw + (k * s.R + r) * run, run, 0.0f);
    for (int64_t n = 0; n < s.N; ++n)
      for (int64_t m0 = 0; m0 < pixels; m0 += block) {
        const int64_t m1 = std::min(pixels, m0 + block), M = m1 - m0;
        const int row = static_cast<int>(r);
        copy_columns(s, x, n, m0, m1, {row, row + 1}, columns.as<float>());
        const float* dz_block = dz.as<float>() + (n * pixels + m0) * s.K;
        for (int64_t k = 0; k < s.K; ++k)
          for (int64_t m = 0; m < M; ++m) transposed.as<float>()[k * M + m] = dz_block[m * s.K + k];
        const BlockedProduct job{.M = s.K,
                                 .N = run,
                                 .K = M,
                                 .a = transposed.as<float>(),
                                 .a_row = M,
                                 .b = columns.as<float>(),
                                 .b_row = run,
                                 .c = dw + r * run,
                                 .c_row = s.R * run};
        ASSAY_ISA_CALL(blocked_product, job);
      }
  });
  if (dbias == nullptr) return;
  std::fill_n(dbias, s.K, 0.0f);
  sum_bias(dz.as<float>(), s.N * pixels, s.K, dbias);
}

}  // namespace assay::cpu::blocked
