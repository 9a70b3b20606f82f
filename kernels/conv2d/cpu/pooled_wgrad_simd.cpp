// Lists the gradients of windows, gathers 16-channel products (the lanes are channels) and permutes
// those of few channels (the lanes are filters).
#include "kernels/runtime/simd.h"

#include "kernels/conv2d/cpu/pooled_wgrad_simd.h"
#include "kernels/pointwise/activation_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));
typedef vi vi_unaligned __attribute__((aligned(4), may_alias));

template <Activation A>
void list_row(const PooledRow& r) {
  const vf slope = broadcast(r.slope);
  const int shift = r.pool == 4 ? 2 : 1;
  for (int w = 0; w < r.windows; ++w) {
    const int64_t at = int64_t{w} * r.K;
    const int32_t first = r.first + w * r.next;
    int k = 0;
    for (; k + kLanes <= r.K; k += kLanes) {
      vf d = load(r.dy + at + k);
      if constexpr (A != Activation::none) d *= activation_slope<A>(slope, load(r.y + at + k));
      const vi from =
          __builtin_convertvector(*reinterpret_cast<const Bytes*>(r.argmax + at + k), vi);
      store(r.d + at + k, d);
      *reinterpret_cast<vi_unaligned*>(r.position + at + k) =
          (from >> shift) * r.down + (from & (r.pool - 1)) * r.right + first;
      if (r.bias != nullptr) store(r.bias + k, load(r.bias + k) + d);
    }
    for (; k < r.K; ++k) {
      float d = r.dy[at + k];
      if constexpr (A != Activation::none)
        d *= activation_slope<A>(slope, broadcast(r.y[at + k]))[0];
      const int from = r.argmax[at + k];
      r.d[at + k] = d;
      r.position[at + k] = (from >> shift) * r.down + (from & (r.pool - 1)) * r.right + first;
      if (r.bias != nullptr) r.bias[k] += d;
    }
  }
}

#if defined(__AVX512F__)
// Each lane (a filter) picks a tap's pixel from one of two neighbouring rows of pixels. kRows
// filter rows at a time: with one channel all nine taps fit into registers.
template <int C, int kRows>
void permuted(const PermutedProducts& t) {
  constexpr int kRun = 3 * C, kTaps = kRows * kRun;
  for (int k = 0; k < t.K; k += kLanes)
    for (int r = 0; r < 3; r += kRows) {
      float* sum = t.sum + int64_t{k} * 9 * C + r * kRun * kLanes;
      vf acc[kTaps];
      for (int i = 0; i < kTaps; ++i) acc[i] = load(sum + i * kLanes);
      const float* x = t.x + r * t.row;
      for (int w = 0; w < t.windows; ++w, x += 2 * C) {
        vf pixels[kRows + 1];
        for (int i = 0; i <= kRows; ++i) pixels[i] = load(x + i * t.row);
        const vf d = load(t.d + w * t.K + k);
        const vi position = *reinterpret_cast<const vi_unaligned*>(t.position + w * t.K + k);
        for (int j = 0; j < kRun; ++j)
          for (int i = 0; i < kRows; ++i)
            acc[i * kRun + j] +=
                d * _mm512_permutex2var_ps(pixels[i], (__m512i)(position + j), pixels[i + 1]);
      }
      for (int i = 0; i < kTaps; ++i) store(sum + i * kLanes, acc[i]);
    }
}
#endif

}  // namespace

void pooled_row(const PooledRow& r) {
  with_activation(r.activation, [&](auto kind) { list_row<decltype(kind)::value>(r); });
}

void gathered_products(const GatheredProducts& t) {
  for (int k = 0; k < t.K; ++k)
    for (int c = 0; c < kGatheredChannels; c += kLanes) {
      float* sum = t.sum + int64_t{k} * 9 * kGatheredChannels + c;
      vf acc[9];
      for (int i = 0; i < 9; ++i) acc[i] = load(sum + i * kGatheredChannels);
      for (int64_t w = 0; w < t.windows; ++w) {
        const float* x = t.x + t.position[w * t.K + k] + c;
        const float d = t.d[w * t.K + k];
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s)
            acc[r * 3 + s] += d * load(x + r * t.row + s * kGatheredChannels);
      }
      for (int i = 0; i < 9; ++i) store(sum + i * kGatheredChannels, acc[i]);
    }
}

#if defined(__AVX512F__)
void permuted_products(const PermutedProducts& t) {
  switch (t.C) {
    case 1:
      return permuted<1, 3>(t);
    case 2:
      return permuted<2, 1>(t);
    default:
      return permuted<3, 1>(t);
  }
}
#endif

}  // namespace assay::cpu::ASSAY_ISA
