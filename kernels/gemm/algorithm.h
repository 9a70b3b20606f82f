// The algorithms of the matrix product, one table per backend, which the dispatcher and
// `assay describe --algorithms` read. A new algorithm is a file with its product and a row in
// cpu/dispatch.cpp or cuda/dispatch.cu.
#pragma once

#include <span>

#include "kernels/gemm/gemm.h"
#include "kernels/runtime/algorithm_table.h"

namespace assay {

/// A row of the table, on float or on bf16 tensors, not on both. The last row on float tensors
/// computes every shape and transpose. A product of bf16 tensors that no bf16 row takes runs an
/// fp32 row between conversions.
struct GemmAlgorithm {
  const char* name;
  Algorithm algo;           ///< the request that this row serves
  const char* covers_text;  ///< how it works, for `describe --algorithms`
  const char* file;
  Coverage (*covers)(const Context& ctx, const GemmShape& s);
  /// gemm() of gemm.h.
  void (*product)(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                  Weights<float> b, const float* bias, float* c);
  Coverage (*bf16_covers)(const Context& ctx, const GemmShape& s) = nullptr;
  /// gemm() of gemm.h, without `accumulate` and with A not transposed.
  void (*bf16_product)(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                       Weights<float> b, const float* bias, bf16* c) = nullptr;
  /// gemm_wgrad() of gemm.h.
  void (*bf16_wgrad)(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b,
                     float* c) = nullptr;

  /// Whether the row computes on bf16 tensors instead of float ones.
  bool is_bf16() const { return bf16_covers != nullptr; }
};

/// The rows of a device's backend in order of preference.
std::span<const GemmAlgorithm> gemm_algorithms(Device device);

/// The row that a call with this context runs on float tensors.
const GemmAlgorithm& gemm_algorithm(const Context& ctx, const GemmShape& s);
/// The row that a call runs on bf16 tensors as they are; null if an fp32 row runs between
/// conversions.
const GemmAlgorithm* gemm_bf16_algorithm(const Context& ctx, const GemmShape& s);

namespace cpu {
std::span<const GemmAlgorithm> gemm_table();
}
namespace cuda {
std::span<const GemmAlgorithm> gemm_table();
}

}  // namespace assay
