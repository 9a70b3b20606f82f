// The index arithmetic of a convolution pass, for host and device. Every pass is one or more dense
// convolutions (phases) of one source: upsampling, strides and gradients only change the phases.
// In each of the two dimensions, output i of phase a stands at a + i*phases() and is
//
//   out(a + i*phases()) = sum_{t < taps(a)}  source(i*step() + first(a) + t)  W(a, t)
//
// where W(a, t) is the sum of the filter rows summed(a, t):
//
//   fprop              one phase, step = stride, first = -pad
//   fprop, upsample u  u phases on the small image: filter rows that fall on the same small row are
//                      summed beforehand
//                        row 2i:   r=0 -> i-1   r=1,2 -> i      3x3 behind x2: four 2x2 filters,
//                        row 2i+1: r=0,1 -> i   r=2 -> i+1      4/9 of the products; x4: 1/4
//   dgrad              one phase over dz with the flipped filter
//   dgrad, stride t    t phases, each with every t-th filter row: no products with zeros. This is
//                      the forward pass of a transposed convolution.
//   dgrad, upsample u  one phase that steps over dz by u; the u copies are summed into a filter of
//                      R+u-1 rows
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv2d.h"

namespace assay {

ASSAY_HD constexpr int floor_div(int a, int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

struct Range {
  int begin, end;
};

/// One dimension of a pass.
struct PhaseAxis {
  friend bool operator==(const PhaseAxis&, const PhaseAxis&) = default;

  bool backward;                      ///< dgrad: the source is dz, the output dx
  int filter, stride, pad, upsample;  ///< filter length; stride or upsample is 1

  ASSAY_HD constexpr int phases() const { return backward ? stride : upsample; }
  ASSAY_HD constexpr int step() const { return backward ? upsample : stride; }
  ASSAY_HD constexpr int taps(int a) const {
    if (!backward) return floor_div(a - pad + filter - 1, upsample) - first(a) + 1;
    const int r0 = (a + pad) % stride;
    return filter + upsample - 1 > r0 ? (filter + upsample - 1 - r0 + stride - 1) / stride : 0;
  }
  ASSAY_HD constexpr int first(int a) const {
    if (!backward) return floor_div(a - pad, upsample);
    const int r0 = (a + pad) % stride;
    return (a + pad - r0) / stride - (taps(a) - 1) + (upsample - 1);
  }
  ASSAY_HD constexpr int max_taps() const {
    int most = 0;
    for (int a = 0; a < phases(); ++a) most = taps(a) > most ? taps(a) : most;
    return most;
  }
  /// Range of filter rows that are summed into tap t of phase a.
  ASSAY_HD constexpr Range summed(int a, int t) const {
    int begin = (first(a) + t) * upsample - a + pad, end = begin + upsample;
    if (backward) {
      begin = upsample > 1 ? filter - 1 - t : (a + pad) % stride + stride * (taps(a) - 1 - t);
      end = begin + upsample;
    }
    return {begin < 0 ? 0 : begin, end > filter ? filter : end};
  }
  /// Number of outputs of phase a among the first `outputs` of all phases.
  ASSAY_HD constexpr int outputs_of(int a, int outputs) const {
    return outputs > a ? (outputs - a + phases() - 1) / phases() : 0;
  }
  /// Source rows that output 0 of any phase reads: [begin, end).
  constexpr Range reach() const {
    Range all{0, 0};
    for (int a = 0; a < phases(); ++a) {
      if (taps(a) == 0) continue;
      const Range one{first(a), first(a) + taps(a)};
      if (all.begin == all.end) all = one;
      if (one.begin < all.begin) all.begin = one.begin;
      if (one.end > all.end) all.end = one.end;
    }
    return all.begin == all.end ? Range{0, 1} : all;
  }
};

/// fprop or dgrad as dense convolutions of a source (N,H,W,C) into an output (N,P,Q,K).
struct DenseConv {
  int N, H, W, C, P, Q, K;
  int pool;  ///< side of the windows whose pixels are listed together; 1 where there are phases
  PhaseAxis rows, columns;

  ASSAY_HD int phases() const { return rows.phases() * columns.phases(); }
  /// Pixels of the largest phase.
  ASSAY_HD int64_t max_pixels() const {
    return int64_t{N} * rows.outputs_of(0, P / pool) * columns.outputs_of(0, Q / pool) * pool *
           pool;
  }
  ASSAY_HD int max_depth() const { return rows.max_taps() * columns.max_taps() * C; }
  /// Floats of the filters of one phase, rounded up to whole 16 bytes.
  ASSAY_HD int64_t phase_weights() const { return (int64_t{K} * max_depth() + 3) / 4 * 4; }
};

inline DenseConv fprop_conv(const Conv2dShape& s, int pool) {
  return {.N = s.N,
          .H = s.H,
          .W = s.W,
          .C = s.C,
          .P = s.P(),
          .Q = s.Q(),
          .K = s.K,
          .pool = pool,
          .rows = {false, s.R, s.stride, s.pad, s.upsample},
          .columns = {false, s.S, s.stride, s.pad, s.upsample}};
}
inline DenseConv dgrad_conv(const Conv2dShape& s) {
  return {.N = s.N,
          .H = s.P(),
          .W = s.Q(),
          .C = s.K,
          .P = s.H,
          .Q = s.W,
          .K = s.C,
          .pool = 1,
          .rows = {true, s.R, s.stride, s.pad, s.upsample},
          .columns = {true, s.S, s.stride, s.pad, s.upsample}};
}

}  // namespace assay
