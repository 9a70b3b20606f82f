// Winograd's F(4,3) for few source channels, 16 or at most 3: a few tiles go through transform,
// products and back while they are in the first-level cache, 16 output channels at a time.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

inline constexpr int kNarrowChannels = 16;  ///< of the source, or of an output panel
inline constexpr int kMaxFewChannels = 3;  ///< of a source with fewer
inline constexpr int kNarrowTiles = 12;     ///< most tiles that go through together
/// Floats of scratch that a row of tiles needs.
inline constexpr int64_t kNarrowScratch = int64_t{36 + 24} * kNarrowTiles * kNarrowChannels;
/// Floats readable behind the last pixel of a image.
inline constexpr int64_t kNarrowSlack = 16;

/// A row of tiles of one staged image -> output.
struct NarrowTiles {
  const float* image;  ///< the first patch, pixels of `depth` channels
  int64_t row;           ///< floats between rows of the image
  int tiles;
  int depth;             ///< 1, 2, 3 or 16
  int columns;           ///< output channels, a multiple of 16
  const float* filters;  ///< (columns/16, 36, depth, 16)
  const float* bias;     ///< (columns) or null
  int pool;              ///< 1, 2 or 4
  int first_row;         ///< output row (after the pool) of the tiles
  int rows, width;       ///< of the output image
  float* out;            ///< the output image (rows,width,columns)
  uint8_t* argmax;       ///< like out, or null
  float* scratch;        ///< (kNarrowScratch)
};

ASSAY_ISA_DECLARE(void winograd_narrow_tiles(const NarrowTiles& job);)

}  // namespace assay
