// The definition of the operations element by element.
#pragma once

#include "kernels/pointwise/pointwise.h"

namespace assay::ref {

template <class T>
void activation_fprop(Activation a, float slope, int64_t n, const T* x, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = activate(a, static_cast<T>(slope), x[i]);
}

template <class T>
void activation_bprop(Activation a, float slope, int64_t n, const T* y, const T* dy, T* dx) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * activation_slope(a, static_cast<T>(slope), y[i]);
}

template <class T>
void add(int64_t n, const T* a, const T* b, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

template <class T>
void subtract(int64_t n, const T* a, const T* b, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

template <class T>
void multiply(int64_t n, const T* a, const T* b, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

template <class T>
void affine(int64_t n, T scale, T shift, const T* x, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = scale * x[i] + shift;
}

template <class T>
void scale(int64_t n, const T* factor, const T* x, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = *factor * x[i];
}

template <class T>
void bias_activation(Activation a, float slope, int64_t rows, int C, const T* x, const T* bias,
                     T* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int c = 0; c < C; ++c)
      y[i * C + c] = activate(a, static_cast<T>(slope), x[i * C + c] + bias[c]);
}

template <class T>
void fill(int64_t n, T value, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = value;
}

/// Element i of `out` by its index in every dimension.
template <class T>
void permute(const Strides& s, const T* x, T* out) {
  int64_t at[Strides::kMaxRank] = {}, n = 1, source = 0;
  for (int d = 0; d < s.rank; ++d) n *= s.size[d];
  for (int64_t i = 0; i < n; ++i) {
    out[i] = x[source];
    for (int d = s.rank - 1; d >= 0; --d) {  // count up, the last dimension fastest
      source += s.stride[d];
      if (++at[d] < s.size[d]) break;
      source -= s.stride[d] * at[d];
      at[d] = 0;
    }
  }
}

/// y = x, in the type of y.
template <class T, class To>
void convert(int64_t n, const T* x, To* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(x[i]);
}

}  // namespace assay::ref
