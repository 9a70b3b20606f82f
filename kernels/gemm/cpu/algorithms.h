// The CPU's matrix products, which the table in dispatch.cpp lists. Each is gemm() of gemm.h.
#pragma once

#include "kernels/gemm/gemm.h"

namespace assay::cpu {

/// Plain loops, one sum after the other.
void gemm_naive(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                Weights<float> b, const float* bias, float* c);
/// Packed panels of B, register tiles of rows x panel, blocks that stay in the cache.
void gemm_blocked(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                  Weights<float> b, const float* bias, float* c);

}  // namespace assay::cpu
