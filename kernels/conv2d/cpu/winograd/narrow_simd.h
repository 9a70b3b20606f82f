// Winograd's F(4,3) for few source channels, 16 or at most 3. A few tiles are transformed,
// multiplied and transformed back while they are in the first-level cache, 16 output channels at a
// time.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

inline constexpr int kNarrowChannels = 16;  ///< channels of the source, and of an output panel
inline constexpr int kMaxFewChannels = 3;   ///< largest number of source channels below 16
inline constexpr int kNarrowTiles = 12;     ///< largest number of tiles in the scratch memory
/// Floats of scratch memory for a row of tiles.
inline constexpr int64_t kNarrowScratch = int64_t{36 + 24} * kNarrowTiles * kNarrowChannels;
/// Floats readable behind the last pixel of an image.
inline constexpr int64_t kNarrowSlack = 16;

/// A row of tiles of one staged image and where their output goes.
struct NarrowTiles {
  const float* image;  ///< the first patch, pixels of `in_channels` channels
  int64_t row;         ///< floats between rows of the image
  int tiles;
  int in_channels;       ///< 1, 2, 3 or 16
  int out_channels;      ///< a multiple of 16
  const float* filters;  ///< (out_channels/16, 36, in_channels, 16)
  const float* bias;     ///< (out_channels) or null
  int pool;              ///< 1, 2 or 4
  int first_row;         ///< output row (after the pool) of the tiles
  int rows, width;       ///< of the output image
  float* out;            ///< the output image (rows,width,out_channels)
  uint8_t* argmax;       ///< shape of out, or null
  float* scratch;        ///< (kNarrowScratch)
};

ASSAY_ISA_DECLARE(void winograd_narrow_tiles(const NarrowTiles& job);)

}  // namespace assay
