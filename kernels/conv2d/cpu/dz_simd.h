// The gradient of z, formed row by row from dy, y and argmax (conv2d.h, Conv2dGrad).
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// One row of dz: row `a` of a row of pooling windows. `out` holds `width` columns of it, beginning
/// with column -left of z; columns outside all windows are not written.
struct DzRow {
  const float* dy;        ///< (windows, K)
  const float* y;         ///< (windows, K); not read when activation is none
  const uint8_t* argmax;  ///< (windows, K); not read when pool is 1
  int windows, K;
  Activation activation;
  float slope;
  int pool, a;
  int left, width;
  float* out;  ///< (width, K)
};

ASSAY_ISA_DECLARE(void dz_row(const DzRow& row);
                  // sum (columns) += every row of x (rows,columns), in order.
                  void add_rows(int64_t rows, int columns, const float* x, float* sum);)

}  // namespace assay
