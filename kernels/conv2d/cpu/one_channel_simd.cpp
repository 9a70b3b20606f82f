// The lanes are filters: each pixel of x is broadcast and multiplied by a tap of kLanes filters.
#include "kernels/runtime/simd.h"

#include "kernels/conv2d/cpu/one_channel_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

}  // namespace

void one_channel_windows(const OneChannelWindows& t) {
  for (int k = 0; k < t.K; k += kLanes) {
    vf w[9];
    for (int i = 0; i < 9; ++i) w[i] = load(t.filters + i * t.K + k);
    const vf bias = t.bias != nullptr ? load(t.bias + k) : vf{};
    const float* x = t.image;
    for (int64_t at = k; at < int64_t{t.windows} * t.K; at += t.K, x += 2) {
      vf z[4] = {bias, bias, bias, bias};
      for (int r = 0; r < 3; ++r)
        for (int s = 0; s < 3; ++s)
          for (int i = 0; i < 4; ++i) z[i] += x[(r + i / 2) * t.row + s + i % 2] * w[r * 3 + s];
      vf best = z[0];
      vi position{};
      for (int i = 1; i < 4; ++i) {
        const vi larger = z[i] > best;
        best = select(larger, z[i], best);
        position = larger ? position * 0 + i : position;
      }
      store(t.out + at, best);
      if (t.argmax != nullptr)
        *reinterpret_cast<Bytes*>(t.argmax + at) = __builtin_convertvector(position, Bytes);
    }
  }
}

}  // namespace assay::cpu::ASSAY_ISA
