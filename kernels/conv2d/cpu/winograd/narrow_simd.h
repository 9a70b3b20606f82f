// Winograd's F(4,3) for few source channels, 16 or at most 3: a few tiles go through transform,
// products and back while they are in the first-level cache, 16 output channels at a time.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

inline constexpr int kNarrowChannels = 16;  ///< of the source, or of an output panel
inline constexpr int kMostFewChannels = 3;  ///< of a source with fewer
inline constexpr int kNarrowTiles = 12;     ///< most tiles that go through together
/// Floats of scratch that a row of tiles needs.
inline constexpr int64_t kNarrowScratch = int64_t{36 + 24} * kNarrowTiles * kNarrowChannels;
/// Floats readable behind the last pixel of a picture.
inline constexpr int64_t kNarrowSlack = 16;

/// A row of tiles of one staged picture -> output.
struct NarrowTiles {
  const float* picture;  ///< the first patch, pixels of `depth` channels
  int64_t row;           ///< floats between rows of the picture
  int tiles;
  int depth;             ///< 1, 2, 3 or 16
  int columns;           ///< output channels, a multiple of 16
  const float* filters;  ///< (columns/16, 36, depth, 16)
  const float* bias;     ///< (columns) or null
  int pool;              ///< 1, 2 or 4
  int first_row;         ///< output row (after the pool) of the tiles
  int rows, width;       ///< of the output picture
  float* out;            ///< the output picture (rows,width,columns)
  uint8_t* argmax;       ///< like out, or null
  float* scratch;        ///< (kNarrowScratch)
};

ASSAY_ISA_DECLARE(void winograd_narrow(const NarrowTiles& job);)

}  // namespace assay
