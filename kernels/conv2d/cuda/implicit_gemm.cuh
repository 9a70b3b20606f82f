// The index maths that all rungs above the naive one share: every pass as matrix products
//
//          D(m,n) = sum_d A(m,d) B(n,d)
//
//          m            n          d           A                            B
//   fprop  pixel of z   k          (r,t,c)     x under tap (r,t), c         filter k
//   dgrad  pixel of dx  c          (r,t,k)     dz under tap (r,t), k        the turned filter c
//   wgrad  k            (r,t,c)    pixel of z  dz(pixel, k)                 x under tap (r,t), c
//
// A is never stored: its elements are found where they lie in x or dz ("implicit" GEMM).
//
// Upsampling and strides are taken apart into phases, each a dense convolution of the small
// picture: the outputs a, a + phases, a + 2*phases, ... of one dimension see their source through
// the same few taps.
//
//   fprop, upsample u   u phases; filter rows that fall on the same small row are summed beforehand
//                         row 2i:   r=0 -> i-1   r=1,2 -> i        3x3 behind x2: four 2x2 filters,
//                         row 2i+1: r=0,1 -> i   r=2 -> i+1        4/9 of the products; x4: 1/4
//   dgrad, stride t     t phases, each with every t-th filter row: no products with zeros. This is
//                         the forward pass of a transposed convolution.
//   dgrad, upsample u   one phase that steps over dz by u; the u copies are summed into a filter of
//                         R+u-1 rows
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

ASSAY_HD inline int floor_div(int a, int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

struct Range {
  int begin, end;
};

/// One dimension of a pass. Output i of phase a reads source rows i*step() + first(a) + tap.
struct DenseAxis {
  bool backward;
  int filter, stride, pad, upsample;  // stride or upsample is 1

  ASSAY_HD int phases() const { return backward ? stride : upsample; }
  ASSAY_HD int step() const { return backward ? upsample : stride; }
  ASSAY_HD int taps(int a) const {
    if (!backward) return floor_div(a - pad + filter - 1, upsample) - first(a) + 1;
    const int r0 = (a + pad) % stride;
    return filter + upsample - 1 > r0 ? (filter + upsample - 1 - r0 + stride - 1) / stride : 0;
  }
  ASSAY_HD int first(int a) const {
    if (!backward) return floor_div(a - pad, upsample);
    const int r0 = (a + pad) % stride;
    return (a + pad - r0) / stride - (taps(a) - 1) + (upsample - 1);
  }
  ASSAY_HD int most_taps() const {
    int most = 0;
    for (int a = 0; a < phases(); ++a) most = taps(a) > most ? taps(a) : most;
    return most;
  }
  /// The filter rows that one tap sums.
  ASSAY_HD Range summed(int a, int tap) const {
    int begin = (first(a) + tap) * upsample - a + pad, end = begin + upsample;
    if (backward) {
      begin = upsample > 1 ? filter - 1 - tap : (a + pad) % stride + stride * (taps(a) - 1 - tap);
      end = begin + upsample;
    }
    return {begin < 0 ? 0 : begin, end > filter ? filter : end};
  }
};

/// fprop or dgrad as dense convolutions of a source (N,H,W,C) into an output (N,P,Q,K).
struct DenseConv {
  int N, H, W, C, P, Q, K;
  int pool;  // windows of the output that are pixels together; 1 where there are phases
  DenseAxis rows, columns;

  ASSAY_HD int phases() const { return rows.phases() * columns.phases(); }
  /// Pixels of the largest phase.
  ASSAY_HD int64_t most_pixels() const {
    const int u = rows.phases(), v = columns.phases();
    return int64_t{N} * ((P / pool + u - 1) / u) * ((Q / pool + v - 1) / v) * pool * pool;
  }
  ASSAY_HD int most_depth() const { return rows.most_taps() * columns.most_taps() * C; }
  /// Floats of the filters of one phase, rounded up to whole 16 bytes.
  ASSAY_HD int64_t phase_weights() const { return (int64_t{K} * most_depth() + 3) / 4 * 4; }
};

inline DenseConv fprop_conv(const Conv2dShape& s, int pool) {
  return {s.N,
          s.H,
          s.W,
          s.C,
          s.P(),
          s.Q(),
          s.K,
          pool,
          {false, s.R, s.stride, s.pad, s.upsample},
          {false, s.S, s.stride, s.pad, s.upsample}};
}
inline DenseConv dgrad_conv(const Conv2dShape& s) {
  return {s.N,
          s.P(),
          s.Q(),
          s.K,
          s.H,
          s.W,
          s.C,
          1,
          {true, s.R, s.stride, s.pad, s.upsample},
          {true, s.S, s.stride, s.pad, s.upsample}};
}

/// True where a pass is phases: an upsampling together with a stride, or in front of a pool, is
/// nobody's layer. Pixels are counted in 31 bits.
inline bool is_phases(ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const DenseConv conv = pass == ConvPass::dgrad ? dgrad_conv(s) : fprop_conv(s, 1);
  return (s.upsample == 1 || (s.stride == 1 && (e.pool == 1 || pass == ConvPass::dgrad))) &&
         int64_t{conv.N} * conv.P * conv.Q < (int64_t{1} << 30);
}

/// An output pixel (or one of a pooling window) by its place in the source.
struct Pixel {
  int n, h, w;  // source row and column under tap (0,0)
  int64_t out;  // index of the pixel, or of its window, in the output
  int place;    // in the window
};

/// One phase of a DenseConv, as a block sees it.
struct Phase {
  int H, W, C, out_rows, out_columns, pool;  // of the source; windows in the whole output
  int a, b, rows, columns;                   // first output and number of windows of the phase
  int out_step, step, first_r, first_s, taps_r, taps_s;

  __device__ Phase(const DenseConv& conv, int phase)
      : H(conv.H),
        W(conv.W),
        C(conv.C),
        out_rows(conv.P / conv.pool),
        out_columns(conv.Q / conv.pool),
        pool(conv.pool),
        a(phase / conv.columns.phases()),
        b(phase % conv.columns.phases()),
        out_step(conv.rows.phases()),
        step(conv.rows.step()),
        first_r(conv.rows.first(a)),
        first_s(conv.columns.first(b)),
        taps_r(conv.rows.taps(a)),
        taps_s(conv.columns.taps(b)) {
    rows = out_rows > a ? (out_rows - a + out_step - 1) / out_step : 0;
    columns = out_columns > b ? (out_columns - b + out_step - 1) / out_step : 0;
  }
  __device__ int pixels(int N) const { return N * rows * columns * pool * pool; }
  __device__ int depth() const { return taps_r * taps_s * C; }

  /// Pixels are listed window by window, so that pool^2 neighbours of a tile are a window:
  ///    m     0 1 2 3 | 4 5 6 7 | ...        a b | c d
  ///    pixel a b a'b'| c d c'd'|            a'b'| c'd'
  __device__ Pixel pixel(int m) const {
    const int place = m % (pool * pool), window = m / (pool * pool);
    const int j = window % columns, row = window / columns;
    return pixel(row / rows, row % rows, j, place);
  }
  /// The pixel at `place` of the phase's window (n,i,j).
  __device__ Pixel pixel(int n, int i, int j, int place) const {
    return {n, (i * pool + place / pool) * step + first_r,
            (j * pool + place % pool) * step + first_s,
            (int64_t{n} * out_rows + a + i * out_step) * out_columns + b + j * out_step, place};
  }
  /// pixel(m).out, which is the place in the list where there is one phase.
  __device__ int64_t output(int m) const {
    return out_step == 1 ? m / (pool * pool) : pixel(m).out;
  }
};

/// A tap and a channel: an index of the depth of fprop and dgrad, a column of wgrad.
struct Tap {
  int r, t, c;
};
__device__ inline Tap tap_of(const Phase& phase, int d) {
  const int tap = d / phase.C;
  return {tap / phase.taps_s, tap % phase.taps_s, d % phase.C};
}

/// x as the source of a convolution: 0 outside.
struct Picture {
  const float* x;
  int H, W, C;

  __device__ float operator()(int n, int h, int w, int c) const {
    const bool inside = h >= 0 && h < H && w >= 0 && w < W;
    return inside ? x[((int64_t{n} * H + h) * W + w) * C + c] : 0.0f;
  }
};

}  // namespace assay::cuda
