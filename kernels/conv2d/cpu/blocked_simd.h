// The blocked matrix product of the CPU's second step.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

/// C (M,N) += A (M,K) B (K,N), row-major; *_row are the floats between rows.
struct BlockedProduct {
  int64_t M, N, K;
  const float* a;
  int64_t a_row;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
};

ASSAY_ISA_DECLARE(void blocked_product(const BlockedProduct& job);)

}  // namespace assay
