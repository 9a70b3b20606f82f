// dz row by row: dy f'(y) is scattered to the argmax of each window. With few channels a register
// takes several windows.
#include "kernels/runtime/simd.h"

#include "kernels/conv2d/cpu/dz_simd.h"
#include "kernels/pointwise/activation_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

// dy f'(y) of kLanes outputs; positions() says which pixel of its window each belongs to.
template <Activation A>
ASSAY_INLINE vf slope_times_dy(const DzRow& r, vf slope, int64_t at) {
  const vf d = load(r.dy + at);
  if constexpr (A == Activation::none) return d;
  return d * activation_slope<A>(slope, load(r.y + at));
}
ASSAY_INLINE vi positions(const DzRow& r, int64_t at) {
  return __builtin_convertvector(*reinterpret_cast<const Bytes*>(r.argmax + at), vi);
}

// Takes kLanes / kK windows of kK channels at a time; returns the number of windows done.
template <Activation A, int kK>
ASSAY_INLINE int unpool_few(const DzRow& r) {
  constexpr int kWindows = kLanes / kK;
  const vf slope = broadcast(r.slope);
  int j = 0;
  for (; j + kWindows <= r.windows; j += kWindows) {
    const vf d = slope_times_dy<A>(r, slope, int64_t{j} * kK);
    const vi position = positions(r, int64_t{j} * kK);
    for (int b = 0; b < r.pool; ++b) {
      float lane[kLanes];
      store(lane, select(position == r.a * r.pool + b, d, vf{}));
      for (int window = 0; window < kWindows; ++window) {
        const int column = (j + window) * r.pool + r.left + b;
        if (column >= 0 && column < r.width)
          __builtin_memcpy(r.out + int64_t{column} * kK, lane + window * kK, sizeof(float) * kK);
      }
    }
  }
  return j;
}

// Writes the columns [b0, b1) of window j.
template <Activation A>
ASSAY_INLINE void unpool_window(const DzRow& r, int j, int b0, int b1) {
  const vf slope = broadcast(r.slope);
  const int64_t at = int64_t{j} * r.K;
  float* out = r.out + int64_t{j * r.pool + r.left} * r.K;
  int k = 0;
  for (; k + kLanes <= r.K; k += kLanes) {
    const vf d = slope_times_dy<A>(r, slope, at + k);
    const vi position = positions(r, at + k);
    for (int b = b0; b < b1; ++b)
      store(out + int64_t{b} * r.K + k, select(position == r.a * r.pool + b, d, vf{}));
  }
  for (; k < r.K; ++k) {
    float d = r.dy[at + k];
    if constexpr (A != Activation::none) d *= activation_slope<A>(slope, broadcast(r.y[at + k]))[0];
    for (int b = b0; b < b1; ++b)
      out[int64_t{b} * r.K + k] = r.argmax[at + k] == r.a * r.pool + b ? d : 0.0f;
  }
}

template <Activation A>
ASSAY_INLINE void unpool_row(const DzRow& r) {
  int j = 0;
  if constexpr (kLanes > 4)
    if (r.K == 4) j = unpool_few<A, 4>(r);
  if constexpr (kLanes > 8)
    if (r.K == 8) j = unpool_few<A, 8>(r);
  for (; j < r.windows; ++j) {
    const int column = j * r.pool + r.left;
    const int b0 = column < 0 ? -column : 0;
    const int b1 = column + r.pool > r.width ? r.width - column : r.pool;
    unpool_window<A>(r, j, b0, b1);
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

void add_rows(int64_t rows, int columns, const float* x, float* sum) {
  constexpr int kVectors = 4;
  int k = 0;
  for (; k + kVectors * kLanes <= columns; k += kVectors * kLanes) {
    vf total[kVectors];
    for (int v = 0; v < kVectors; ++v) total[v] = load(sum + k + v * kLanes);
    for (int64_t i = 0; i < rows; ++i)
      for (int v = 0; v < kVectors; ++v) total[v] += load(x + i * columns + k + v * kLanes);
    for (int v = 0; v < kVectors; ++v) store(sum + k + v * kLanes, total[v]);
  }
  if (k < columns)
    for (int64_t i = 0; i < rows; ++i)
      for (int c = k; c < columns; ++c) sum[c] += x[i * columns + c];
}

}  // namespace assay::cpu::ASSAY_ISA
