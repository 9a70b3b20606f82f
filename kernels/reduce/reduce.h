// Sums in a fixed order: the same bits at any thread count. Those of bf16 elements are float.
#pragma once

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/context.h"
#include "kernels/runtime/partial_sum.h"

namespace assay {

/// out[0] = sum of n elements.
template <class T>
void reduce_sum(Context& ctx, int64_t n, const T* x, Master<T>* out);
/// out (C) = sums over the rows of x (rows, C).
template <class T>
void reduce_columns(Context& ctx, int64_t rows, int C, const T* x, Master<T>* out);
/// out (rows) = sums over the columns of x (rows, C).
template <class T>
void reduce_rows(Context& ctx, int64_t rows, int64_t C, const T* x, Master<T>* out);
/// Whether all n elements are finite. Waits for the device.
template <class T>
bool all_finite(Context& ctx, int64_t n, const T* x);
/// out (sum.n) = the sum, on the CUDA device that left it.
void finish_sum(Context& ctx, const PartialSum& sum, float* out);

}  // namespace assay
