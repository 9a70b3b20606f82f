// The definition of the sums: one element after the other.
#pragma once

#include <cmath>

#include "kernels/reduce/reduce.h"

namespace assay::ref {

template <class T>
void reduce_sum(int64_t n, const T* x, T* out) {
  out[0] = 0;
  for (int64_t i = 0; i < n; ++i) out[0] += x[i];
}

template <class T>
void reduce_columns(int64_t rows, int C, const T* x, T* out) {
  for (int c = 0; c < C; ++c) out[c] = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int c = 0; c < C; ++c) out[c] += x[i * C + c];
}

template <class T>
void reduce_rows(int64_t rows, int64_t C, const T* x, T* out) {
  for (int64_t i = 0; i < rows; ++i) reduce_sum(C, x + i * C, out + i);
}

template <class T>
void all_finite(int64_t n, const T* x, bool* finite) {
  *finite = true;
  for (int64_t i = 0; i < n; ++i)
    if (!std::isfinite(x[i])) *finite = false;
}

}  // namespace assay::ref
