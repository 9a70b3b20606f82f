// How a tensor core adds: c + a . b as NVIDIA's hardware computes it, which is not IEEE fp32.
//
// A tensor core forms all products of a block exactly, shifts them and the accumulator to the
// largest exponent among them, drops what lies below the last kept bit, adds, and drops again when
// it writes fp32. Nothing is rounded to nearest, so errors of a long chain all point toward zero.
//
//   generation  tf32 block  bf16 block  kept bits below fp32's last one
//   V100            -           -       0   (fp16: blocks of 4)
//   A100            4           8       1
//   H100            8          16       2
//
// Sources: Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ
// Computer Science 7:e330 (2021); Khattak, Mikaitis, "Accurate Models of NVIDIA Tensor Cores",
// arXiv:2512.07004 (2025). The conformance case mma_chain_tf32 tests the table on a GPU; none has
// run it yet.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace assay::emulator {

struct TensorCore {
  int block_tf32, block_bf16;
  int extra_bits;  ///< bits kept below the last bit of the largest term
};
/// mma.sync, which every kernel for sm_80 and later uses: the model with the larger error.
inline constexpr TensorCore kAmpere{4, 8, 1};
/// The model of wgmma.
inline constexpr TensorCore kHopper{8, 16, 2};

/// The biased exponent; 1 for 0 and subnormal numbers, whose value is 0.f * 2^(1 - 127).
inline int exponent_of(float f) {
  return std::max(1, static_cast<int>(std::bit_cast<uint32_t>(f) >> 23 & 0xff));
}
/// 2^e as a double, -1022 <= e <= 1023.
inline double power_of_two(int e) {
  return std::bit_cast<double>(static_cast<uint64_t>(e + 1023) << 52);
}
/// Rounds toward zero to 24 significant bits; infinity and NaN stay.
inline float truncate_to_float(double sum) {
  const auto bits = std::bit_cast<uint64_t>(sum) & ~((uint64_t{1} << 29) - 1);
  return static_cast<float>(std::bit_cast<double>(bits));
}

/// d(n) += a . b(:, n) for the N columns of one row: K products in blocks of `block`.
template <int K, int N>
void tensor_core_row(int block, int extra_bits, const float (&a)[K], const float (&b)[K][N],
                     float (&d)[N]) {
  for (int k0 = 0; k0 < K; k0 += block) {
    const int k1 = std::min(k0 + block, K);
    for (int n = 0; n < N; ++n) {
      int largest = exponent_of(d[n]);
      for (int k = k0; k < k1; ++k) {
        if (a[k] == 0 || b[k][n] == 0) continue;
        largest = std::max(largest, exponent_of(a[k]) + exponent_of(b[k][n]) - 127);
      }
      // Terms become multiples of `unit`; a sum of them is exact in double.
      const int unit_exponent = std::max(-1022, largest - 127 - 23 - extra_bits);
      const double unit = power_of_two(unit_exponent), per_unit = power_of_two(-unit_exponent);
      const auto aligned = [&](double term) { return __builtin_trunc(term * per_unit); };
      double sum = aligned(d[n]);
      for (int k = k0; k < k1; ++k) sum += aligned(double{a[k]} * double{b[k][n]});
      d[n] = truncate_to_float(sum * unit);
    }
  }
}

}  // namespace assay::emulator
