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
// Up to four columns would leave most lanes of a vector empty. If the run is whole vectors, such a
// panel is interleaved so that the lanes are values of the run; the sum of the lanes of vector k is
// column k.
//
// With `window` > 1 the rows are listed window by window and only the maximum of each window is
// stored: the max-pool behind a convolution is taken in registers, and z is never written.
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
  int columns;                ///< columns without the padding
  const float* bias;          ///< (columns) or null
  float* out;                 ///< not read unless accumulate
  const int64_t* out_offset;  ///< (M/window)
  bool accumulate;            ///< only with window 1
  int window = 1;             ///< 1, 4 or 16 rows, of which the maximum is stored
  uint8_t* argmax = nullptr;  ///< at out_offset: the window's first row with the maximum; or null
};

/// out[i*out_row + j] += sum_m a[a_offset[m] + i] b[b_offset[m] + j], i < I, j < J. Readable memory
/// must extend one vector (64 bytes) beyond b's last element, and each row of out to J rounded up
/// to 32 columns.
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

/// c[m*c_row + n] = bias[n] + sum_k a[m*a_row + k*a_term] b[k*b_row + n], k < K: a product of so
/// few terms that its time is that of storing c. b is read unpacked and each row of c stored in
/// order.
struct FewTermsJob {
  const float* a;
  int64_t a_row, a_term;
  const float* b;
  int64_t b_row;
  int M, N, K;
  const float* bias;  ///< (N) or null
  float* c;           ///< not read unless accumulate
  int64_t c_row;
  bool accumulate;
};

/// A row of OuterJob::out is rounded up to a multiple of this many columns.
inline constexpr int kOuterColumns = 32;

ASSAY_ISA_DECLARE(
    // Width of the panel that holds the next columns when `columns` are left.
    int panel_width(int columns);
    // The last step of packing a panel (rows, width): in place, (rows/lanes, lanes, 4) ->
    // (rows/lanes, 4, lanes) if the panel is narrow and `run` is whole vectors; else nothing.
    void interleave_panel(int64_t rows, int width, int run, float* panel);
    void tile_product(const TileJob& job); void outer_product(const OuterJob& job);
    void few_terms_product(const FewTermsJob& job);
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
