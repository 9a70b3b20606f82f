// One tiny kernel per PTX wrapper: what goes in, what comes out, and how exactly it must agree.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::conformance {

/// How the inputs are drawn, from Philox: `floats` uniform in [-1, 1), `bits` any 32 bits.
enum class Input { floats, bits };

struct Case {
  const char* name;
  Input input;
  int input_words, output_words;
  /// 0: the same bits. Else outputs are floats that may differ by so much: tensor cores add in an
  /// order and with a rounding of their own.
  double tolerance;
  bool sm90;  ///< needs compute capability 9.0
  void (*launch)(const uint32_t* in, uint32_t* out, void* stream);
};

/// Instructions of the case mma_chain_tf32, 8 products each.
inline constexpr int kChain = 125;

std::vector<Case> cases();       // kernels.cu
std::vector<Case> sm90_cases();  // kernels_sm90.cu

}  // namespace assay::conformance
