// The transforms of a Winograd convolution, per instruction set. Channel counts are multiples of
// 16, so that every vector is full.
//
// Between transform and product the data lie in planes: plane_of(i, j, n, phases) has element (i,j)
// of the transformed patch of every tile and channel. `phases` is 2 for fprop_strided, else 1.
#pragma once

#include <cstdint>

#include "kernels/conv2d/winograd_transforms.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// The pass, which chooses the matrices of winograd_transforms.h for rows and columns alike.
enum class WinogradKind {
  fprop,
  dgrad,
  fprop_upsampled,
  dgrad_upsampled,
  fprop_strided,
  dgrad_strided
};

/// A row of tiles of one staged image -> planes.
struct WinogradPatches {
  const float* image;   ///< first pixel of the first tile's patch
  int64_t row, column;  ///< floats between rows and columns of the image
  int64_t step;         ///< floats between tiles
  int tiles, channels;
  float* planes;  ///< at the first tile; a plane is (tiles, channels)
  int64_t plane;  ///< floats between planes
};

/// Planes -> output of a row of tiles, in the output channels of one panel.
struct WinogradOutput {
  const float* planes;  ///< at the first tile
  int64_t plane;        ///< floats between planes
  int tiles;
  int64_t tile;      ///< floats between tiles in a plane
  int out_channels;  ///< channels of the panel
  const float* bias;
  int pool;          ///< 1, 2 or 4; > 1 only with kind fprop
  int first_row;     ///< output row (after the pool) of the tiles, may be -1
  int first_column;  ///< output column of the first tile
  int rows, width;   ///< of the output image
  int64_t pixel;     ///< floats between output columns: channels of the output
  float* out;        ///< the output image, first channel of the panel
  uint8_t* argmax;   ///< layout of out, or null
};

/// Filters -> panels (phases*phases, in_channels, width) of transformed filters. The panel of sum
/// (i,j) is at out + (i*sums + j)*plane. dgrad_strided transforms only the products of `row`, and
/// their panel is at out + j*plane.
struct WinogradFilters {
  const float* w;  ///< (tap, in channel, out channel), strides below
  int64_t tap, in_step, out_step;
  int in_channels, width;
  float* out;
  int64_t plane;
  int row = 0;  ///< row of products; dgrad_strided only
};

/// Gradients of transformed filters -> dw.
struct WinogradFilterGradient {
  const float* planes;  ///< a plane is (filters, channels)
  int64_t plane, row;   ///< floats between planes, between filters
  int filters, channels;
  float* dw;  ///< (filter, tap, channel), strides below
  int64_t filter, tap;
  bool accumulate;  ///< adds to dw instead of overwriting it
};

ASSAY_ISA_DECLARE(void winograd_source(WinogradKind kind, const WinogradPatches& job);
                  // dz -> planes by the transposed output transform; kinds of fprop only.
                  void winograd_dz(WinogradKind kind, const WinogradPatches& job);
                  void winograd_output(WinogradKind kind, const WinogradOutput& job);
                  void winograd_filters(WinogradKind kind, const WinogradFilters& job);
                  // Planes -> dw by the transposed filter transform; kinds of fprop only.
                  void winograd_filter_gradient(WinogradKind kind,
                                                const WinogradFilterGradient& job);)

}  // namespace assay
