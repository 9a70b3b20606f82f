// The algorithms of the matrix product, one table per backend, which the dispatcher and
// `assay describe --algorithms` read. A new algorithm is a file with its product and a row in
// cpu/dispatch.cpp or cuda/dispatch.cu.
#pragma once

#include <span>

#include "kernels/gemm/gemm.h"
#include "kernels/runtime/algorithm_table.h"

namespace assay {

/// A row of the table. Every row computes every shape and transpose.
struct GemmAlgorithm {
  const char* name;
  Algorithm algo;           ///< the request that this row serves
  const char* covers_text;  ///< how it works, for `describe --algorithms`
  const char* file;
  Coverage (*covers)(const Context& ctx);
  /// gemm() of gemm.h.
  void (*product)(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                  Weights<float> b, const float* bias, float* c);
};

/// The rows of a device's backend in order of preference.
std::span<const GemmAlgorithm> gemm_algorithms(Device device);

/// The row that a call on float tensors with this context runs.
const GemmAlgorithm& gemm_algorithm(const Context& ctx);
/// Whether gemm() (gemm_wgrad(), if A is transposed) computes a product of bf16 tensors as they
/// are, by tiles (cpu/tiles.h); else it runs gemm_algorithm() between conversions.
bool gemm_uses_tiles(const Context& ctx, const GemmShape& s);

namespace cpu {
std::span<const GemmAlgorithm> gemm_table();
}
namespace cuda {
std::span<const GemmAlgorithm> gemm_table();
}

}  // namespace assay
