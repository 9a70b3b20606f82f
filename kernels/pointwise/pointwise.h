// Operations element by element, on float, double or bf16. Beside bf16 elements the scalars and
// biases are float (Master), and the arithmetic too.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/context.h"

namespace assay {

/// Throws Error, with the name `op`, unless the activation (leaky_relu: slope > 0) can be fused
/// behind a max-pool of `pool` x `pool` (1: no pool).
void check_activation(const char* op, Activation a, float slope, int pool = 1);

/// y = f(x), n elements; y may be x.
template <class T>
void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x, T* y);
/// dx = dy f'(z) with f'(z) from y = f(z), n elements; dx may be dy.
template <class T>
void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y, const T* dy,
                      T* dx);

/// out = a + b, a - b or a * b, n elements; out may be a or b.
template <class T>
void add(Context& ctx, int64_t n, const T* a, const T* b, T* out);
template <class T>
void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out);
template <class T>
void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out);
/// out = scale * x + shift, n elements.
template <class T>
void affine(Context& ctx, int64_t n, Master<T> scale, Master<T> shift, const T* x, T* out);
/// out = *factor * x, n elements. The factor is in the memory of ctx.device, so the host need not
/// wait for it.
template <class T>
void scale(Context& ctx, int64_t n, const Master<T>* factor, const T* x, T* out);
/// y(i,c) = f(x(i,c) + bias(c)) for x (rows, C).
template <class T>
void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const T* x,
                     const Master<T>* bias, T* y);
/// out = value, n elements.
template <class T>
void fill(Context& ctx, int64_t n, T value, T* out);

/// y = x, n elements, rounded to nearest, ties to even; NaN becomes 0x7fff.
void convert(Context& ctx, int64_t n, const float* x, bf16* y);
/// y = x, n elements, exactly.
void convert(Context& ctx, int64_t n, const bf16* x, float* y);

/// The dimensions of a result, the last one fastest, and for each the distance in the source, in
/// elements, between neighbours.
struct Strides {
  static constexpr int kMaxRank = 8;
  int rank = 0;
  int64_t size[kMaxRank] = {};
  int64_t stride[kMaxRank] = {};
};
/// Copies x with its dimensions in another order. out must not overlap x.
template <class T>
void permute(Context& ctx, const Strides& s, const T* x, T* out);

}  // namespace assay
