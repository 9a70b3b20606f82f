// The transforms of a Winograd convolution, per instruction set. Channel counts are multiples of
// 16, so that no vector is ever partly filled.
//
// What is kept between transform and product are planes: element (i,j) of the transformed patch of
// every tile and channel stands in plane i*n + j.
#pragma once

#include <cstdint>

#include "kernels/conv2d/winograd.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// Which of the axes of winograd.h stands in both dimensions.
enum class WinogradKind { fprop, dgrad, fprop_upsampled, dgrad_upsampled };

/// A row of tiles of one staged picture -> planes.
struct WinogradPatches {
  const float* picture;  ///< first pixel of the first tile's patch
  int64_t row;           ///< floats between rows of the picture; columns stand `channels` apart
  int64_t step;          ///< floats between tiles
  int tiles, channels;
  float* planes;  ///< of the first tile; (tiles, channels) in each plane
  int64_t plane;  ///< floats between planes
};

/// Planes -> output of a row of tiles, in as many columns as one panel has.
struct WinogradOutput {
  const float* planes;  ///< of the first tile
  int64_t plane;
  int tiles;
  int64_t tile;  ///< floats between tiles in a plane
  int columns;   ///< channels of the panel
  const float* bias;
  int pool;          ///< 1, 2 or 4; > 1 only with kind fprop
  int first_row;     ///< output row (after the pool) of the tiles, may be -1
  int first_column;  ///< of the first tile
  int rows, width;   ///< of the output picture
  int64_t pixel;     ///< floats between output columns: channels of the output
  float* out;        ///< the output picture, first channel of the panel
  uint8_t* argmax;   ///< like out, or null
};

/// Filters -> panels: element e of the transformed filter as a (depth, width) panel at
/// out + e*plane.
struct WinogradFilters {
  const float* w;  ///< (tap, depth, column) by the strides
  int64_t tap, depth_step, column_step;
  int depth, width;
  float* out;
  int64_t plane;
};

/// Gradients of transformed filters, (e, C, K), -> dw (K,3,3,C) for filters [k0, k1) and channels
/// [c0, c1).
struct WinogradFilterGradient {
  const float* planes;
  int C, K;
  int k0, k1, c0, c1;
  float* dw;
};

ASSAY_ISA_DECLARE(void winograd_source(WinogradKind kind, const WinogradPatches& job);
                  // The transposed output transform, of dz; kinds of fprop only.
                  void winograd_dz(WinogradKind kind, const WinogradPatches& job);
                  void winograd_output(WinogradKind kind, const WinogradOutput& job);
                  void winograd_filters(WinogradKind kind, const WinogradFilters& job);
                  // The transposed filter transform; kinds of fprop only.
                  void winograd_filter_gradient(WinogradKind kind,
                                                const WinogradFilterGradient& job);)

}  // namespace assay
