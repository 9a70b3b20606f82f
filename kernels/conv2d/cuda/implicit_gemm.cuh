// The index arithmetic that all versions but `naive` share: every pass as matrix products
//
//          D(m,n) = sum_d A(m,d) B(n,d)
//
//          m            n          d           A                            B
//   fprop  pixel of z   k          (r,t,c)     x under tap (r,t), c         filter k
//   dgrad  pixel of dx  c          (r,t,k)     dz under tap (r,t), k        the flipped filter c
//   wgrad  k            (r,t,c)    pixel of z  dz(pixel, k)                 x under tap (r,t), c
//
// A is never stored: its elements are read from x or dz ("implicit" GEMM). Upsampling and strides
// are taken apart into phases (kernels/conv2d/geometry.h).
#pragma once

#include <algorithm>

#include "kernels/conv2d/geometry.h"
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/divisor.h"

namespace assay::cuda {

constexpr int kMaxPhases = 8;  // along a side

/// Why a pass cannot be written as phases, or null if it can. Kernels count pixels in an int, with
/// room for a partly filled tile: hence the limit of 2^30.
inline const char* why_not_phases(ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const DenseConv conv = pass == ConvPass::dgrad ? dgrad_conv(s) : fprop_conv(s, 1);
  if (s.upsample > 1 && (s.stride > 1 || (e.pool > 1 && pass != ConvPass::dgrad)))
    return "an upsampling with a stride or a pool";
  if (int64_t{conv.N} * conv.P * conv.Q >= (int64_t{1} << 30)) return "2^30 output pixels or more";
  if (std::max(s.stride, s.upsample) > kMaxPhases) return "a stride or an upsampling above 8";
  return nullptr;
}

/// Whether the offsets of x, z and the filters of all phases fit into an int.
inline bool offsets_fit_int(const Conv2dShape& s) {
  const int64_t x = int64_t{s.N} * s.H * s.W * s.C, z = int64_t{s.N} * s.P() * s.Q() * s.K;
  const int more = s.stride + s.upsample;  // taps of all phases beside those of the filter
  const int64_t w = int64_t{s.K} * (s.R + more) * (s.S + more) * s.C;
  return std::max({x, z, w}) < int64_t{1} << 31;
}

/// A phase along one side, as the host has computed it.
struct PhaseOfSide {
  int first, taps;  // PhaseAxis::first() and taps()
  int windows;      // of the output
  Divisor by_windows, by_taps;
};

/// A DenseConv as kernels take it: what takes divisions is found by the host.
struct PhasedConv : DenseConv {
  PhaseOfSide of_rows[kMaxPhases], of_columns[kMaxPhases];
  Divisor by_channels, by_phases, by_column_phases;
  int64_t weights_of_phase;  // phase_weights()

  explicit PhasedConv(const DenseConv& conv)
      : DenseConv(conv),
        by_channels(C),
        by_phases(phases()),
        by_column_phases(columns.phases()),
        weights_of_phase(phase_weights()) {
    for (int a = 0; a < rows.phases(); ++a) of_rows[a] = of_side(rows, a, P / pool);
    for (int b = 0; b < columns.phases(); ++b) of_columns[b] = of_side(columns, b, Q / pool);
  }

 private:
  static PhaseOfSide of_side(const PhaseAxis& axis, int a, int windows) {
    const int taps = axis.taps(a), own = axis.outputs_of(a, windows);
    return {axis.first(a), taps, own, Divisor(std::max(1, own)), Divisor(std::max(1, taps))};
  }
};

/// An output pixel, or one pixel of a pooling window.
struct Pixel {
  int n, h, w;  // image; source row and column under tap (0,0)
  int64_t out;  // index of the pixel, or of its window, in the output
  int place;    // in the window: a * pool + b
};

/// One phase of a DenseConv, as a block sees it.
struct Phase {
  int H, W, C;                // source
  int out_rows, out_columns;  // windows in the output of all phases
  int pool, pool_log2;        // 1, 2 or 4
  int a, b, rows, columns;    // first output and number of windows of this phase
  int out_step, step, first_r, first_s, taps_r, taps_s;
  Divisor by_rows, by_columns, by_taps_s, by_channels;

  __device__ Phase(const PhasedConv& conv, int phase)
      : H(conv.H),
        W(conv.W),
        C(conv.C),
        out_rows(conv.P >> conv.pool / 2),
        out_columns(conv.Q >> conv.pool / 2),
        pool(conv.pool),
        pool_log2(conv.pool / 2),
        a(conv.by_column_phases.quotient(phase)),
        b(phase - a * conv.columns.phases()),
        out_step(conv.rows.phases()),
        step(conv.rows.step()),
        by_channels(conv.by_channels) {
    const PhaseOfSide& of_rows = conv.of_rows[a];
    const PhaseOfSide& of_columns = conv.of_columns[b];
    rows = of_rows.windows;
    columns = of_columns.windows;
    first_r = of_rows.first;
    first_s = of_columns.first;
    taps_r = of_rows.taps;
    taps_s = of_columns.taps;
    by_rows = of_rows.by_windows;
    by_columns = of_columns.by_windows;
    by_taps_s = of_columns.by_taps;
  }
  __device__ int windows(int N) const { return N * rows * columns; }
  __device__ int pixels(int N) const { return windows(N) << 2 * pool_log2; }
  __device__ int depth() const { return taps_r * taps_s * C; }

  /// Pixels are listed window by window, so that pool^2 neighbours of a tile are a window:
  ///    m     0 1 2 3 | 4 5 6 7 | ...        a b | c d
  ///    pixel a b a'b'| c d c'd'|            a'b'| c'd'
  __device__ Pixel pixel(int m) const {
    const int window = m >> 2 * pool_log2, place = m & (pool * pool - 1);
    const int row = by_columns.quotient(window), n = by_rows.quotient(row);
    return pixel(n, row - n * rows, window - row * columns, place);
  }
  /// The pixel at `place` of the phase's window (n,i,j).
  __device__ Pixel pixel(int n, int i, int j, int place) const {
    return {n, (i * pool + (place >> pool_log2)) * step + first_r,
            (j * pool + (place & (pool - 1))) * step + first_s,
            (int64_t{n} * out_rows + a + i * out_step) * out_columns + b + j * out_step, place};
  }
  /// pixel(m).out, which is m without a pool if there is one phase.
  __device__ int64_t output(int m) const {
    return out_step == 1 ? m >> 2 * pool_log2 : pixel(m).out;
  }
};

/// A tap and a channel: an index of the depth of fprop and dgrad, a column of wgrad.
struct Tap {
  int r, t, c;
};
__device__ inline Tap tap_of(const Phase& phase, int d) {
  const int tap = phase.by_channels.quotient(d), r = phase.by_taps_s.quotient(tap);
  return {r, tap - r * phase.taps_s, d - tap * phase.C};
}

/// x as the source of a convolution: 0 outside.
template <class T>
struct ImageViewOf {
  const T* x;
  int H, W, C;

  __device__ float operator()(int n, int h, int w, int c) const {
    const bool inside = h >= 0 && h < H && w >= 0 && w < W;
    return inside ? static_cast<float>(x[((int64_t{n} * H + h) * W + w) * C + c]) : 0.0f;
  }
};
using ImageView = ImageViewOf<float>;

}  // namespace assay::cuda
