// How a convolution pass on the CPU is cut into tasks, and what a task does.
//
// A task is a row block: some output rows of one image, or several small images. Its source is
// staged with its padding, small enough to stay in the second-level cache, and the microkernels of
// kernels/gemm/cpu/tile.h run over it. Everything is fused in the block: dz is formed while it is
// staged, bias starts the accumulators, the max-pool is taken in registers.
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/gemm/cpu/tile.h"

namespace assay::cpu {

// ---- Staging ----

/// The staged region: source rows [row, row + rows) and columns [-left, width - left), zero outside
/// the image.
struct Stage {
  int row, rows;
  int left, width;
};

/// One image x (H,W,C) -> out (rows,width,C).
void stage_image(const Stage& g, int H, int W, int C, const float* x, float* out);
/// dz of image n (conv2d.h, Conv2dGrad) -> out (rows,width,K).
void stage_dz(const Stage& g, const Conv2dShape& s, const Conv2dEpilogue& e,
              const Conv2dGrad<float>& grad, int n, float* out);

// ---- A pass as phases (geometry.h), with the margins that its taps reach into ----

struct DensePass {
  PhaseAxis rows, columns;
  /// Source rows and columns that output 0 reads, over all phases.
  Range row_reach = rows.reach(), column_reach = columns.reach();

  int step() const { return rows.step(); }
  /// Output rows between neighbours of a phase.
  int out_step() const { return rows.phases(); }
  int staged_rows(int phase_rows) const {
    return (phase_rows - 1) * step() + row_reach.end - row_reach.begin;
  }
  int staged_width(int phase_columns) const {
    return (phase_columns - 1) * step() + column_reach.end - column_reach.begin;
  }
  /// The region to stage for phase rows [i0, i1) of a phase with `phase_columns` columns.
  Stage stage(int i0, int i1, int phase_columns) const {
    return {.row = i0 * step() + row_reach.begin,
            .rows = staged_rows(i1 - i0),
            .left = -column_reach.begin,
            .width = staged_width(phase_columns)};
  }
};

inline DensePass fprop_pass(const Conv2dShape& s) {
  const DenseConv conv = fprop_conv(s, 1);
  return {conv.rows, conv.columns};
}
inline DensePass dgrad_pass(const Conv2dShape& s) {
  const DenseConv conv = dgrad_conv(s);
  return {conv.rows, conv.columns};
}

/// Floats of all packed filters of a pass.
int64_t panels_size(const DensePass& pass, int in_channels, int out_channels);

/// Packs the filters of every phase: [phase][panel][tap row][tap column][in channel][panel width].
/// `value` gives w for (filter row, filter column, in channel, out channel).
template <class Value>
void pack_panels(const DensePass& pass, int in_channels, int out_channels, const Value& value,
                 float* out) {
  for (int a = 0; a < pass.rows.phases(); ++a)
    for (int b = 0; b < pass.columns.phases(); ++b)
      for_each_panel(out_channels, [&](int first, int width, int real) {
        float* panel = out;
        for (int i = 0; i < pass.rows.taps(a); ++i)
          for (int j = 0; j < pass.columns.taps(b); ++j) {
            const Range rows = pass.rows.summed(a, i), columns = pass.columns.summed(b, j);
            for (int c = 0; c < in_channels; ++c, out += width)
              for (int k = 0; k < width; ++k) {
                float sum = 0;
                if (k < real)
                  for (int r = rows.begin; r < rows.end; ++r)
                    for (int t = columns.begin; t < columns.end; ++t)
                      sum += value(r, t, c, first + k);
                out[k] = sum;
              }
          }
        ASSAY_ISA_CALL(interleave_panel, (out - panel) / width, width,
                       pass.columns.taps(b) * in_channels, panel);
      });
}

// ---- Row blocks ----

/// How a call is cut, by its shape alone: `rows` phase rows of one image a block, or `images` whole
/// images.
struct RowBlocks {
  int rows, per_image, images;
  int64_t count;
};
struct RowBlock {
  int n0, n1, i0, i1;  ///< images [n0, n1), phase rows [i0, i1)
};

/// As many rows (a multiple of `unit`) as fit into the cache, fewer where that leaves too few
/// blocks for many cores; several images where one is small, so that filters are read less often.
RowBlocks row_blocks_of(int N, int total_rows, int64_t bytes_per_row, int unit);
RowBlock row_block(const RowBlocks& blocks, int N, int total_rows, int64_t index);

// ---- Running ----

struct RowBlockJob {
  RowBlock block;
  const float* staged;
  int64_t staged_image;  ///< floats between staged images
  int staged_width;
  int in_channels;          ///< of the source
  int out_rows, out_width;  ///< of one whole output image
  int out_channels;
  const float* panels;
  const float* bias;
  float* out;  ///< the whole output (N,out_rows,out_width,out_channels)
  int pool = 1;
  uint8_t* argmax = nullptr;  ///< shape of out, or null
};

/// All phases of a pass over one block. With pool > 1 there is one phase of step 1.
void run_row_block(const DensePass& pass, const RowBlockJob& job);

// ---- Gradients of filters, summed in partials ----

/// Adds the sum over pixels of dz (pixels,K) to sum (K).
void sum_bias(const float* dz, int64_t pixels, int K, float* sum);
/// Adds partials 1, 2, ... of `size` floats in order to the first.
void sum_partials(Context& ctx, int64_t partials, int64_t size, float* sums);

}  // namespace assay::cpu
