// fprop and dgrad by tiles: what the vector code of pass_simd.cpp and pack_simd.cpp is told.
#pragma once

#include <cstdint>

#include "kernels/conv2d/cpu/tiles/source.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/isa.h"

namespace assay {
namespace cpu::tiles {

/// The 32 channels and 16 output channels of w under one tap.
struct FilterTile {
  const float* w;                                ///< first weight
  int rows, columns;                             ///< filter taps that are summed
  int64_t row, column, in_channel, out_channel;  ///< floats between neighbours; a channel's is 1
  bf16* out;                                     ///< (16 pairs, 16 output channels, 2)
};

/// A row block of the source as it is staged, so that a tile of 16 pixels is one run of memory, or
/// 16 runs at equal distances. Distances are bytes from one element to the next.
///
///   Reduction::channels   [slice][column mod step][row][column / step][image][32 channels]
///   Reduction::window     [row of the output][column][row of the window][channel]
struct StagedBlock {
  Reduction reduction;
  int n0 = 0, images;
  int first_row = 0, first_column;  ///< of the source, at row 0 and column 0 of the block
  int rows = 0, columns = 0;        ///< for `channels`: columns of each remainder
  int step, slices, window_rows;
  int64_t pixel = 0;  ///< between neighbouring output pixels
  int64_t column = 0, row = 0, remainder = 0, slice = 0;
  int64_t bytes = 0;     ///< of the block
  char* at = nullptr;    ///< the block
  bf16* room = nullptr;  ///< for rows: one row of the source and, for `window`, all lines
};

/// The products of a row block with panels of filters of one Plan::steps, and what happens to the
/// sums: bias, max-pool, activation, rounding.
struct BlockProducts {
  const char* staged = nullptr;
  int64_t pixel, row;                ///< bytes in the block between output pixels, output rows
  const int64_t* offsets = nullptr;  ///< bytes from an output pixel to the operand of each step
  int steps = 0;
  int rows, pixels;  ///< pixels of a row, images side by side: (column, image)
  const char* panels = nullptr;
  int panel_count, width_tiles;
  int prefetched_lines = 0;  ///< of the next panel, in each step
  const float* bias;         ///< of the panels' output channels, padded, or null
  Activation activation;
  float slope;
  int pool;
  int out_channels;  ///< from the first panel's first one on
  bf16* out;         ///< first pixel and output channel
  uint8_t* argmax;   ///< like out, or null
  int images;
  int64_t out_image, out_pixel, out_row;  ///< values between neighbours, behind the pool
  int merged_rows;  ///< phase rows among the output channels; 0 if phases are not merged
  bool streamed;    ///< the output goes past the caches, in aligned lines of 32 values
};

}  // namespace cpu::tiles

ASSAY_TILES_DECLARE(void pack_filters(const cpu::tiles::FilterTile& job);
                    void stage_block(const cpu::tiles::Source& source,
                                     const cpu::tiles::StagedBlock& block);
                    void multiply_block(const cpu::tiles::BlockProducts& job);)

}  // namespace assay
