// The implementations behind pointwise.h; the dispatch in pointwise.cpp picks one.
#pragma once

#include "kernels/pointwise/pointwise.h"

/// The templates of this family for elements T; stands at the end of a backend's file.
#define ASSAY_INSTANTIATE_POINTWISE(T)                                                             \
  template void activation_fprop(Context&, Activation, float, int64_t, const T*, T*);              \
  template void activation_bprop(Context&, Activation, float, int64_t, const T*, const T*, T*);    \
  template void add(Context&, int64_t, const T*, const T*, T*);                                    \
  template void subtract(Context&, int64_t, const T*, const T*, T*);                               \
  template void multiply(Context&, int64_t, const T*, const T*, T*);                               \
  template void affine(Context&, int64_t, float, float, const T*, T*);                             \
  template void scale(Context&, int64_t, const float*, const T*, T*);                              \
  template void bias_activation(Context&, Activation, float, int64_t, int, const T*, const float*, \
                                T*);                                                               \
  template void fill(Context&, int64_t, T, T*);                                                    \
  template void permute(Context&, const Strides&, const T*, T*)

/// T is float or bf16.
#define ASSAY_POINTWISE_BACKEND                                                                  \
  template <class T>                                                                             \
  void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x, T* y);   \
  template <class T>                                                                             \
  void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y,          \
                        const T* dy, T* dx);                                                     \
  template <class T>                                                                             \
  void add(Context& ctx, int64_t n, const T* a, const T* b, T* out);                             \
  template <class T>                                                                             \
  void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out);                        \
  template <class T>                                                                             \
  void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out);                        \
  template <class T>                                                                             \
  void affine(Context& ctx, int64_t n, float scale, float shift, const T* x, T* out);            \
  template <class T>                                                                             \
  void scale(Context& ctx, int64_t n, const float* factor, const T* x, T* out);                  \
  template <class T>                                                                             \
  void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const T* x, \
                       const float* bias, T* y);                                                 \
  template <class T>                                                                             \
  void fill(Context& ctx, int64_t n, T value, T* out);                                           \
  template <class T>                                                                             \
  void permute(Context& ctx, const Strides& s, const T* x, T* out);                              \
  void convert(Context& ctx, int64_t n, const float* x, bf16* y);                                \
  void convert(Context& ctx, int64_t n, const bf16* x, float* y);

namespace assay {
namespace cpu {
ASSAY_POINTWISE_BACKEND
}
namespace cuda {
ASSAY_POINTWISE_BACKEND
}
}  // namespace assay
#undef ASSAY_POINTWISE_BACKEND
