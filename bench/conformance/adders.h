// Identifies the model of a tensor core's additions that gives the sums of the case mma_chain_tf32.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/conformance/cases.h"
#include "kernels/emulator/tensor_core.h"

namespace assay::conformance {

/// The operands of a warp as the matrices of mma.m16n8k8: lane (g, q) = (lane / 4, lane % 4).
struct Mma16x8x8 {
  float a[16][8], b[8][8], d[16][8];

  explicit Mma16x8x8(const std::vector<uint32_t>& in) {
    const auto word = [&](int i) { return std::bit_cast<float>(in[static_cast<size_t>(i)]); };
    const auto tf32 = [&](int i) {
      return std::bit_cast<float>(in[static_cast<size_t>(i)] & 0xffffe000u);
    };
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, q = lane % 4;
      for (int i = 0; i < 4; ++i) a[g + 8 * (i % 2)][q + 4 * (i / 2)] = tf32(4 * lane + i);
      for (int i = 0; i < 2; ++i) b[q + 4 * i][g] = tf32(128 + 2 * lane + i);
      for (int i = 0; i < 4; ++i) d[g + 8 * (i / 2)][2 * q + i % 2] = word(192 + 4 * lane + i);
    }
  }
  /// Whether these are the sums that the lanes wrote.
  bool equals(const std::vector<uint32_t>& out) const {
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i)
        if (std::bit_cast<uint32_t>(d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2]) !=
            out[static_cast<size_t>(4 * lane + i)])
          return false;
    return true;
  }
};

/// The first model whose chain ends in the bits of `out`, or "none of the known models".
inline std::string adder_of(const std::vector<uint32_t>& in, const std::vector<uint32_t>& out) {
  const auto truncates = [&](const emulator::TensorCore& core) {
    Mma16x8x8 m(in);
    for (int i = 0; i < kChain; ++i)
      for (int row = 0; row < 16; ++row)
        emulator::tensor_core_row(core.block_tf32, core.extra_bits, m.a[row], m.b, m.d[row]);
    return m.equals(out);
  };
  const auto rounds = [&] {
    Mma16x8x8 m(in);
    for (int i = 0; i < kChain; ++i)
      for (int row = 0; row < 16; ++row)
        for (int n = 0; n < 8; ++n) {
          double sum = m.d[row][n];
          for (int k = 0; k < 8; ++k) sum += double{m.a[row][k]} * double{m.b[k][n]};
          m.d[row][n] = static_cast<float>(sum);
        }
    return m.equals(out);
  };
  if (truncates(emulator::kAmpere)) return "the A100 (blocks of 4, 1 extra bit, truncated)";
  if (truncates(emulator::kHopper)) return "the H100 (blocks of 8, 2 extra bits, truncated)";
  if (rounds()) return "an adder that rounds to nearest";
  return "none of the known models (kernels/emulator/tensor_core.h)";
}

}  // namespace assay::conformance
