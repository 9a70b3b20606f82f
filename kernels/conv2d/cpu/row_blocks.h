// How a convolution pass is cut on the CPU and what happens inside a part.
//
// A part is a band: some output rows of one picture, or several small pictures. Its source is
// staged with its padding, small enough to stay in the second-level cache, and the microkernels of
// kernels/gemm/cpu/tile.h run over it. Everything is fused at the band: dz is formed while it is
// staged, bias starts the accumulators, the max-pool is taken in registers.
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/gemm/cpu/tile.h"

namespace assay::cpu {

// ---- Staging ----

/// Source rows [row, row + rows) and columns [-left, width - left), zero outside the picture.
struct Stage {
  int row, rows;
  int left, width;
};

/// One picture x (H,W,C) -> out (rows,width,C).
void stage_picture(const Stage& g, int H, int W, int C, const float* x, float* out);
/// dz of picture n (conv2d.h, Conv2dGrad) -> out (rows,width,K).
void stage_dz(const Stage& g, const Conv2dShape& s, const Conv2dEpilogue& e,
              const Conv2dGrad<float>& grad, int n, float* out);

// ---- The dense pass with its margins ----

/// Source row of output row i, any tap: i*step + [low_row, high_row].
struct Plan {
  DensePass pass;
  int low_row, high_row;
  int low_column, high_column;

  int staged_rows(int rows) const { return (rows - 1) * pass.step + high_row - low_row + 1; }
  int staged_width(int columns) const {
    return (columns - 1) * pass.step + high_column - low_column + 1;
  }
  /// What to stage for phase rows [i0, i1) of a phase with `columns` columns.
  Stage stage(int i0, int i1, int columns) const {
    return {.row = i0 * pass.step + low_row,
            .rows = staged_rows(i1 - i0),
            .left = -low_column,
            .width = staged_width(columns)};
  }
};

Plan fprop_plan(const Conv2dShape& s);
Plan dgrad_plan(const Conv2dShape& s);

/// Floats of all packed filters of a plan.
int64_t panels_size(const Plan& plan, int depth, int columns);

/// Packs the filters of every phase: [phase][panel][tap row][tap column][depth][panel width].
/// `value` gives w for (filter row, filter column, depth index, column).
template <class Value>
void pack_panels(const Plan& plan, int depth, int columns, const Value& value, float* out) {
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns)
      for_each_panel(columns, [&](int first, int width, int real) {
        float* panel = out;
        for (const auto& rows : a.taps)
          for (const auto& cols : b.taps)
            for (int d = 0; d < depth; ++d, out += width)
              for (int k = 0; k < width; ++k) {
                float sum = 0;
                if (k < real)
                  for (const int r : rows)
                    for (const int t : cols) sum += value(r, t, d, first + k);
                out[k] = sum;
              }
        ASSAY_ISA_CALL(turn_panel, (out - panel) / width, width,
                       static_cast<int>(b.taps.size()) * depth, panel);
      });
}

// ---- Parts ----

/// By shape alone: `rows` phase rows of one picture per part, or `images` whole pictures.
struct Cut {
  int rows, bands, images;
  int64_t parts;
};
struct Part {
  int n0, n1, i0, i1;  ///< pictures [n0, n1), phase rows [i0, i1)
};

/// As many rows (a multiple of `unit`) as fit into the cache, fewer where that leaves too few parts
/// for many cores; several pictures where one is small, so that filters are read less often.
Cut cut_work(int N, int total_rows, int64_t bytes_per_row, int unit);
Part part_of(const Cut& cut, int N, int total_rows, int64_t index);

// ---- Running ----

struct Band {
  Part part;
  const float* staged;
  int64_t staged_image;  ///< floats between staged pictures
  int staged_width;
  int depth;                ///< channels of the source
  int out_rows, out_width;  ///< of one whole output picture
  int columns;              ///< channels of the output
  const float* panels;
  const float* bias;
  float* out;  ///< the whole output (N,out_rows,out_width,columns)
  int pool = 1;
  uint8_t* argmax = nullptr;  ///< like out, or null
};

/// All phases of a plan over one band. With pool > 1 there is one phase of step 1.
void run_band(const Plan& plan, const Band& band);

// ---- Gradients of filters, summed in parts ----

/// sum(k) += the sum over pixels of dz (pixels,K).
void sum_bias(const float* dz, int64_t pixels, int K, float* sum);
/// Adds partials 1, 2, ... of `size` floats in order to the first.
void sum_partials(Context& ctx, int64_t parts, int64_t size, float* partials);

}  // namespace assay::cpu
