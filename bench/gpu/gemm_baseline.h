// cuBLASLt as the baseline of matrix products.
#pragma once

#include <memory>
#include <optional>

#include "bench/gpu/buffers.h"
#include "bench/gpu/device_ops.h"

namespace assay::bench {

/// Relative Frobenius error of three rows of (the first) C against float64 on the CPU; NaN counts
/// as infinite.
double gemm_error(Context& ctx, const GemmShape& s, const float* a, const float* b, const float* c);

/// The largest relative Frobenius error of a correct result.
constexpr double max_gemm_error(Precision p) {
  return p == Precision::bf16 ? 1e-2 : p == Precision::tf32 ? 2e-3 : 1e-5;
}

/// The operands of a product in the element type of the mode; C is fp32.
struct GemmBuffers {
  Vectors fp32;
  std::unique_ptr<TensorSets> narrow;  // A and B, where they are bf16
};

/// The fastest of cuBLASLt's algorithms for `batches` products that is accurate enough, by warm
/// time; none if the build has no cuBLASLt. Writes it to the row.
std::optional<BufferedWork<GemmBuffers>> best_product(Bench& bench, Row& row, const GemmShape& s,
                                                      int batches, Precision precision);

}  // namespace assay::bench
