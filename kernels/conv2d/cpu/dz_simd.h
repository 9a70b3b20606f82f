// The gradient of z, formed on the fly from what the forward pass left (conv2d.h, Conv2dGrad).
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// One row of windows, of which row `a` of z is wanted: dz(j*pool + b, k) for every window j that
/// reaches into the `width` columns of `out`, whose column 0 is column -left of z.
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
