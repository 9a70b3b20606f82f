// Winograd's F(4,3) for 16 channels on both sides: one tile's channels are one vector of AVX-512,
// so a few tiles go through transform, products and back while they are in the first-level cache.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

inline constexpr int kNarrowChannels = 16;
inline constexpr int kNarrowTiles = 12;  ///< most tiles that go through together
/// Floats of scratch that a row of tiles needs.
inline constexpr int64_t kNarrowScratch = int64_t{36 + 24} * kNarrowTiles * kNarrowChannels;

/// A row of tiles of one staged picture -> output.
struct NarrowTiles {
  const float* picture;  ///< the first patch, pixels of 16 channels
  int64_t row;           ///< floats between rows of the picture
  int tiles;
  const float* filters;  ///< (36,16,16): product, source channel, output channel
  const float* bias;     ///< (16) or null
  int pool;              ///< 1, 2 or 4
  int first_row;         ///< output row (after the pool) of the tiles
  int rows, width;       ///< of the output picture
  float* out;            ///< the output picture (rows,width,16)
  uint8_t* argmax;       ///< like out, or null
  float* scratch;        ///< (kNarrowScratch)
};

ASSAY_ISA_DECLARE(void winograd_narrow(const NarrowTiles& job);)

}  // namespace assay
