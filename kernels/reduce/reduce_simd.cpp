#include "kernels/reduce/reduce_simd.h"

#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {

double sum_of(int64_t n, const float* x) {
  constexpr int64_t kBlock = 512;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    const float* block = x + begin;
    vf even{}, odd{};  // two chains halve the wait for an addition
    for_each_register(count, [&](auto at) {
      even += at.get(block);
      const vf next = odd;
      odd = even;
      even = next;
    });
    total += static_cast<double>(sum(even + odd));
  }
  return total;
}

void add_column_sums(int64_t rows, int C, const float* x, double* sums) {
  constexpr int64_t kRows = 64;
  constexpr int kStrip = 64;  // columns that stay in registers
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t end = rows - row < kRows ? rows : row + kRows;
    for (int c = 0; c < C; c += kStrip) {
      float strip[kStrip] = {};
      const int width = C - c < kStrip ? C - c : kStrip;
      for (int64_t i = row; i < end; ++i) {
        const float* xi = x + i * C + c;
        for_each_register(width, [&](auto at) { at.put(strip, at.get(strip) + at.get(xi)); });
      }
      for (int k = 0; k < width; ++k) sums[c + k] += static_cast<double>(strip[k]);
    }
  }
}

bool all_finite(int64_t n, const float* x) {
  constexpr int32_t kExponent = 0x7f800000;
  vi bad{};
  for_each_register(n, [&](auto at) { bad |= ((vi)at.get(x) & kExponent) == kExponent; });
  int32_t any = 0;
  for (int i = 0; i < kLanes; ++i) any |= bad[i];
  return any == 0;
}

}  // namespace assay::cpu::ASSAY_ISA
