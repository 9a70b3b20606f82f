#include "kernels/runtime/simd.h"

#include "kernels/conv2d/dz_simd.h"
#include "kernels/pointwise/activation_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

template <Activation A>
ASSAY_INLINE void unpool_row(const DzRow& r) {
  const vf slope = broadcast(r.slope);
  for (int j = 0; j < r.windows; ++j) {
    const int column = j * r.pool + r.left;
    const int b0 = column < 0 ? -column : 0;
    const int b1 = column + r.pool > r.width ? r.width - column : r.pool;
    const int64_t at = int64_t{j} * r.K;
    float* out = r.out + int64_t{column} * r.K;
    int k = 0;
    for (; k + kLanes <= r.K; k += kLanes) {
      vf d = load(r.dy + at + k);
      if constexpr (A != Activation::none) d *= activation_slope<A>(slope, load(r.y + at + k));
      const Bytes from = *reinterpret_cast<const Bytes*>(r.argmax + at + k);
      const vi position = __builtin_convertvector(from, vi);
      for (int b = b0; b < b1; ++b)
        store(out + int64_t{b} * r.K + k, select(position == r.a * r.pool + b, d, vf{}));
    }
    for (; k < r.K; ++k) {
      float d = r.dy[at + k];
      if constexpr (A != Activation::none)
        d *= activation_slope<A>(slope, broadcast(r.y[at + k]))[0];
      for (int b = b0; b < b1; ++b)
        out[int64_t{b} * r.K + k] = r.argmax[at + k] == r.a * r.pool + b ? d : 0.0f;
    }
  }
}

template <Activation A>
ASSAY_INLINE void plain_row(const DzRow& r) {
  const int first = r.left < 0 ? -r.left : 0;
  const int last = r.windows + r.left > r.width ? r.width - r.left : r.windows;
  const int64_t n = int64_t{last - first} * r.K;
  const float* dy = r.dy + int64_t{first} * r.K;
  float* out = r.out + int64_t{first + r.left} * r.K;
  if constexpr (A == Activation::none) {
    for (int64_t i = 0; i < n; ++i) out[i] = dy[i];
    return;
  }
  const float* y = r.y + int64_t{first} * r.K;
  const vf slope = broadcast(r.slope);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(out + i, load(dy + i) * activation_slope<A>(slope, load(y + i)));
  for (; i < n; ++i) out[i] = dy[i] * activation_slope<A>(slope, broadcast(y[i]))[0];
}

}  // namespace

void dz_row(const DzRow& r) {
  with_activation(r.activation, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    if (r.pool > 1)
      unpool_row<kActivation>(r);
    else
      plain_row<kActivation>(r);
  });
}

}  // namespace assay::cpu::ASSAY_ISA
