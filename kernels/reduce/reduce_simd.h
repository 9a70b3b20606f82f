// The vector loops of reduce_simd.cpp, once per instruction set, on one thread.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

ASSAY_ISA_DECLARE(
    /// Sum of n elements. Blocks of 512 are summed in float, their sums in double.
    double sum_of(int64_t n, const float* x);
    /// sums (C) += column sums of x (rows,C), added in float over at most 64 rows, then in double.
    void add_column_sums(int64_t rows, int C, const float* x, double* sums);
    bool all_finite(int64_t n, const float* x);)

}  // namespace assay
