// The microkernels under every matrix product and convolution on the CPU.
//
// tile_product: rows of `a` times a packed panel, the implicit GEMM of a convolution:
//
//   out[m][k] = bias[k] + sum_r sum_j  a[a_offset[m] + r*a_row + j] * panel[(r*run + j)*width + k]
//
// A convolution in NHWC needs no im2col: for one filter row the S*C values under the filter lie
// side by side, so `run` = S*C, `taps` = R and a_offset[m] is the first value under output pixel m.
// A matrix product has one tap. outer_product is the transposed sum that weight gradients need.
//
// Up to four columns leave most lanes of a vector empty. Where a run is whole vectors, their panel
// is interleaved so that the lanes are values of the run: column k is the sum of the lanes of its
// own vector.
//
// With `window` > 1 the rows are listed window by window and only the largest of each window is
// stored: the max-pool behind a convolution happens in registers, and z is never written.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// Columns of a panel are padded to one of the widths of the instruction set.
struct TileJob {
  const float* a;
  const int64_t* a_offset;  ///< (M)
  int64_t a_row;            ///< floats between filter rows
  int64_t M;
  int taps, run;
  const float* panel;         ///< (taps*run, width), after interleave_panel()
  int width;                  ///< a value of panel_width()
  int columns;                ///< of these, how many are real
  const float* bias;          ///< (columns) or null
  float* out;                 ///< not read unless accumulate
  const int64_t* out_offset;  ///< (M/window)
  bool accumulate;            ///< only with window 1
  int window = 1;             ///< 1, 4 or 16: rows of which the largest is stored
  uint8_t* argmax =
      nullptr;  ///< at out_offset: which row of the window, the first largest; or null
};

/// out[i*out_row + j] += sum_m a[a_offset[m] + i] b[b_offset[m] + j], i < I, j < J. b must be
/// readable for one vector (64 bytes) beyond its last element, and out for J rounded up to 32
/// columns per row.
struct OuterJob {
  const float* a;
  const int64_t* a_offset;  ///< (M)
  const float* b;
  const int64_t* b_offset;  ///< (M)
  int64_t M;
  int I, J;
  float* out;
  int64_t out_row;
};

/// Columns that one OuterJob row is rounded up to.
inline constexpr int kOuterColumns = 32;

ASSAY_ISA_DECLARE(
    // Width of the panel that holds the next columns when `columns` are left.
    int panel_width(int columns);
    // The last step of packing a panel (rows, width) for products of this run. Rearranges, in
    // place, narrow panels whose run is whole vectors: (rows/lanes, lanes, 4) -> (.., 4, lanes);
    // leaves the others as they are.
    void interleave_panel(int64_t rows, int width, int run, float* panel);
    void tile_product(const TileJob& job); void outer_product(const OuterJob& job);
    // y = f(y) for n values.
    void activate_in_place(Activation a, float slope, int64_t n, float* y);)

/// Calls f(first column, width, real columns) for each panel of a matrix with `columns` columns.
template <class F>
void for_each_panel(int columns, const F& f) {
  for (int first = 0; first < columns;) {
    const int width = ASSAY_ISA_CALL(panel_width, columns - first);
    f(first, width, columns - first < width ? columns - first : width);
    first += width;
  }
}
/// Columns of all panels together.
int padded_columns(int columns);

}  // namespace assay
