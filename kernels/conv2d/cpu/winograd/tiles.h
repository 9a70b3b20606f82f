// How a Winograd pass is cut into tiles on the CPU: what fprop, dgrad and wgrad share.
#pragma once

#include <cstdint>

#include "kernels/conv2d/cpu/row_blocks.h"
#include "kernels/conv2d/cpu/winograd/simd.h"

namespace assay::cpu {

/// A WinogradAxis (winograd_transforms.h) without its matrices, for code that is not a template.
struct WinogradSizes {
  int patch, values, products, sums, out, step, out_first;
  int phases;  ///< products that share a sum in one dimension; they stand side by side
  int value_of[10], sum_of[10];

  int value_planes() const { return values * values; }
  int product_planes() const { return products * products; }
  int sum_planes() const { return sums * sums; }
  /// The planes that product (i,j) reads and adds to.
  int value_plane(int i, int j) const { return plane_of(value_of[i], value_of[j], values, phases); }
  int sum_plane(int i, int j) const { return sum_of[i] * sums + sum_of[j]; }
  bool first_of_sum(int i, int j) const;
};

const WinogradSizes& winograd_sizes(WinogradKind kind);

/// Tiles over an output of some rows and columns.
struct Tiling {
  const WinogradSizes& z;
  int rows, columns;  ///< of tiles

  Tiling(WinogradKind kind, int out_rows, int out_columns);
  /// The source pixels of tile rows [i0, i1).
  Stage source(int i0, int i1) const;
  /// The output pixels of tile rows [i0, i1), whole tiles.
  Stage output(int i0, int i1) const;
};

/// Floats between planes of (tiles, channels). One cache line more than the plane: at a multiple of
/// 4096 bytes all planes would fall on the same sets of the first-level cache.
inline int64_t plane_stride(int64_t tiles, int channels) {
  return tiles * channels + 16;
}

/// wgrad by blocks of filters and channels, each finished before the next: no partial sums of dw.
/// Defined in strided.cpp.
void winograd_wgrad_by_blocks(Context& ctx, WinogradKind kind, const Conv2dShape& s,
                              const Conv2dEpilogue& e, const float* x, Conv2dGrad<float> g,
                              float* dw, float* dbias);

}  // namespace assay::cpu
