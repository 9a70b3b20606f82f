// One tiny kernel per PTX wrapper: its inputs, its outputs, and the tolerance of the comparison.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::conformance {

/// The random inputs, from Philox: `floats` uniform in [-1, 1), `bits` any 32 bits.
enum class Input { floats, bits };

struct Case {
  const char* name;
  Input input;
  int input_words, output_words;
  /// 0: the same bits. Otherwise outputs are floats that may differ by this much, because tensor
  /// cores add in an unspecified order and with an unspecified rounding.
  double tolerance;
  bool sm90;  ///< needs compute capability 9.0
  void (*launch)(const uint32_t* in, uint32_t* out, void* stream);
};

/// Instructions of the case mma_chain_tf32, 8 products each.
inline constexpr int kChain = 125;

std::vector<Case> cases();       // kernels.cu
std::vector<Case> sm90_cases();  // kernels_sm90.cu

}  // namespace assay::conformance
