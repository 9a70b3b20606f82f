// Matrix product with an optional bias and activation: the dense layer, and the core of the KDE.
//
//   C(m,n) = f( bias(n) + sum_k op(A)(m,k) op(B)(k,n) ) [+ C(m,n)]      all row-major
//
// op(A) is A (M,K), or the transpose of A (K,M); op(B) is B (K,N), or the transpose of B (N,K).
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/context.h"

namespace assay {

struct GemmShape {
  int M, N, K;
  bool transpose_a = false;
  bool transpose_b = false;
  friend bool operator==(const GemmShape&, const GemmShape&) = default;
};

struct GemmEpilogue {
  Activation activation = Activation::none;
  float slope = 0;
  bool accumulate = false;  ///< adds to C; requires activation none
};

/// Writes C (M,N). `bias` (N) may be null. With K = 0 the sums are 0. Throws Error for `accumulate`
/// with an activation or with bf16. Beside bf16 activations A and C the weights B are float.
template <class T>
void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const T* a, Weights<Master<T>> b,
          const Master<T>* bias, T* c);
/// The gradient of weights: C (M,N) = the transpose of A (K,M) times B (K,N), as s must say. A and
/// B are activations, C has the type of weights.
template <class T>
void gemm_wgrad(Context& ctx, const GemmShape& s, const T* a, const T* b, Master<T>* c);

/// 2 M N K, a multiply-add counting as two.
int64_t gemm_flops(const GemmShape& s);

}  // namespace assay
