// wgrad by tiles: what the vector code of wgrad_simd.cpp is told.
//
//   dw(k; r,t,c) = sum over pixels of dz(pixel, k) x(pixel + tap, c)
//
// The values that a product of tiles sums over are pixels, so both operands are staged with pixels
// along the rows of A and in the pairs of B. A pair is two neighbouring columns. The images of a
// block stand side by side, so that narrow ones fill a tile; position (pair, image) of a row is two
// pixels, and 16 positions are one step.
//
//   A = dz   [product][16 filters][row][step]   tiles of 16 filters x 32 pixels
//   B = x    [16 channels][column mod stride][shift][row][pair][image][16 channels][2 pixels]
//
// Shift 0 pairs the columns (0,1) (2,3) ..., shift 1 (1,2) (3,4) ..., so that the tile of every tap
// begins at a pair: a tile whose rows cross cache lines costs three times the cycles.
#pragma once

#include <cstdint>

#include "kernels/conv2d/cpu/tiles/source.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/isa.h"

namespace assay {
namespace cpu::tiles {

/// Images of a block that stand side by side, at most.
inline constexpr int kMaxImages = 32;

/// Pixels of a block: rows [i0, i1) of each phase of images [n0, n0 + real_images).
struct PixelBlock {
  int n0, real_images;  ///< behind them up to `images` stand zeros
  int i0, i1;
  int images;
  int columns, pairs, steps;  ///< of a row of a phase
};

/// dz of a block as A.
struct StagedGradient {
  int upsample;  ///< phases of each dimension
  bool merged;   ///< the filters of all phases are in one tile: (phase row, phase column, k)
  int64_t product_bytes, filter_bytes;  ///< between products; between tiles of 16 filters
  char* at = nullptr;
  bf16* room = nullptr;  ///< upsample * images rows of 2 * pairs * upsample pixels, and 16 values
};

/// x of a block as B. Distances are bytes.
struct StagedPixels {
  Reduction reduction;
  int step;           ///< the stride
  int first_row = 0;  ///< of the source, under the block's first one
  int first_column, window_rows, window_columns;
  int positions = 0;           ///< pairs of a row that are staged of each image
  int shifts;                  ///< 1 or 2; 1 for Reduction::window
  int group0 = 0, group1 = 0;  ///< of 16 channels, or of 16 values of the window
  int64_t pair, row = 0, shift = 0, remainder = 0, group = 0;
  char* at = nullptr;
  bf16* room = nullptr;  ///< for Reduction::window: rows of x and a line
};

/// A tile of 16 columns of dw.
struct GradientColumn {
  int64_t at;   ///< bytes into B; -1: ones, whose product with dz is the bias's gradient
  int64_t row;  ///< bytes from a row of pixels to the next
  int64_t to;   ///< floats into a filter's sums
};

/// The products of a block with some columns of dw, of one phase or of all.
struct GradientProducts {
  const char *dz, *x;
  int64_t filter_bytes;
  int filter_tiles, rows, steps;
  const GradientColumn* columns;
  int column_count;
  float* sums;  ///< (16 filter_tiles, filter_floats)
  int64_t filter_floats;
  float* bias_sums;  ///< (filter_tiles, 16, 16), all columns alike
  bool first;        ///< the sums are written, else added to
};

}  // namespace cpu::tiles

ASSAY_TILES_DECLARE(void stage_gradient(const cpu::tiles::Source& dz,
                                        const cpu::tiles::PixelBlock& block,
                                        const cpu::tiles::StagedGradient& staged);
                    void stage_pixels(const cpu::tiles::Source& x,
                                      const cpu::tiles::PixelBlock& block,
                                      const cpu::tiles::StagedPixels& staged);
                    void multiply_gradient(const cpu::tiles::GradientProducts& job);)

}  // namespace assay
