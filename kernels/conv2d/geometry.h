// What every convolution pass is on the CPU: one or more dense convolutions (phases) of one staged
// picture. Upsampling, strides and gradients only change the list of phases.
//
//   out(out_row0 + i*out_step, out_col0 + j*out_step, :) =
//       sum_{r < taps_r, t < taps_s}  source(i*step + row0 + r, j*step + col0 + t, :) W(r,t)
//
//   fprop              one phase, step = stride, row0 = -pad
//   fprop, upsample u  u*u phases on the small picture, out_step = u: rows of the filter that fall
//   on
//                      the same small row are summed beforehand (3x3 behind x2: four 2x2 filters,
//                      4/9 of the products; behind x4: 1/4)
//   dgrad              one phase over dz with the filter turned round; behind an upsampling the
//                      u*u copies are summed into a filter of R+u-1 rows with step = u (4/9 again)
//   dgrad, stride t    t*t phases over dz, each with every t-th filter row: no products with zeros
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// One dimension of a phase: which taps of the filter each tap of the dense filter sums.
struct PhaseAxis {
  int out0;                            ///< first output row
  int first;                           ///< source row of output row 0, tap 0 (row0)
  std::vector<std::vector<int>> taps;  ///< filter rows summed in each tap
};

struct DensePass {
  int step = 1;                          ///< source rows per output row of a phase
  int out_step = 1;                      ///< output rows between neighbours of a phase
  std::vector<PhaseAxis> rows, columns;  ///< every pair is a phase
};

inline int floor_div(int a, int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/// Phases of one dimension of fprop: filter length R, stride, pad, upsample (one of them 1).
inline std::vector<PhaseAxis> fprop_axis(int R, int pad, int upsample) {
  std::vector<PhaseAxis> phases;
  for (int a = 0; a < upsample; ++a) {
    PhaseAxis axis{a, floor_div(a - pad, upsample), {}};
    const int last = floor_div(a - pad + R - 1, upsample);
    axis.taps.resize(static_cast<size_t>(last - axis.first + 1));
    for (int r = 0; r < R; ++r)
      axis.taps[static_cast<size_t>(floor_div(a - pad + r, upsample) - axis.first)].push_back(r);
    phases.push_back(axis);
  }
  return phases;
}

/// Phases of one dimension of dgrad (the source is dz, the output dx).
inline std::vector<PhaseAxis> dgrad_axis(int R, int stride, int pad, int upsample) {
  std::vector<PhaseAxis> phases;
  if (stride == 1) {
    PhaseAxis axis{0, pad - (R - 1), {}};
    for (int t = 0; t < R + upsample - 1; ++t) {
      axis.taps.emplace_back();
      for (int e = 0; e < upsample; ++e)
        if (const int r = e + R - 1 - t; r >= 0 && r < R) axis.taps.back().push_back(r);
    }
    phases.push_back(axis);
    return phases;
  }
  for (int a = 0; a < stride; ++a) {
    const int r0 = (a + pad) % stride;
    const int count = R > r0 ? (R - r0 + stride - 1) / stride : 0;
    PhaseAxis axis{a, (a + pad - r0) / stride - (count - 1), {}};
    for (int t = 0; t < count; ++t) axis.taps.push_back({r0 + stride * (count - 1 - t)});
    phases.push_back(axis);
  }
  return phases;
}

}  // namespace assay::cpu
