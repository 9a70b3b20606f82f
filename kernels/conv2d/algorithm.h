// The algorithms of the convolution, one table per backend. The dispatcher chooses a row of it, and
// `assay describe --algorithms` prints the same choice. A new algorithm is a file with its passes
// and its Coverage, and a row in cpu/dispatch.cpp or cuda/dispatch.cu.
#pragma once

#include <span>
#include <string_view>

#include "kernels/conv2d/lowering.h"
#include "kernels/gemm/algorithm.h"
#include "kernels/runtime/algorithm_table.h"

namespace assay {

/// A row of the table. Its passes are those of conv2d.h, with a null argmax where pool is 1, on
/// float or on bf16 tensors, not on both. A call on bf16 tensors that no bf16 row takes runs an
/// fp32 row between conversions.
struct Conv2dAlgorithm {
  const char* name;         ///< unique in the table: "winograd_narrow"
  Algorithm algo;           ///< the request that this row serves; several rows may share one
  const char* covers_text;  ///< what it covers and how, for `describe --algorithms`
  const char* file;         ///< the file that has fprop and dgrad
  const char* wgrad_file;   ///< the file that has wgrad
  /// Whether the row can and should compute a pass, with this context's precision.
  Coverage (*covers)(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                     const Conv2dEpilogue& e);
  void (*fprop)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                Weights<float> w, const float* bias, float* y, uint8_t* argmax);
  void (*dgrad)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                Weights<float> w, float* dx);
  void (*wgrad)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                Conv2dGrad<float> g, float* dw, float* dbias);
  void (*bf16_fprop)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                     Weights<float> w, const float* bias, bf16* y, uint8_t* argmax) = nullptr;
  void (*bf16_dgrad)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                     Conv2dGrad<bf16> g, Weights<float> w, bf16* dx) = nullptr;
  void (*bf16_wgrad)(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                     Conv2dGrad<bf16> g, float* dw, float* dbias) = nullptr;

  /// Whether the row computes on bf16 tensors instead of float ones.
  bool is_bf16() const { return bf16_fprop != nullptr; }
  /// Whether the row has this pass at all, for some shape.
  bool has(ConvPass pass) const {
    return pass == ConvPass::fprop   ? fprop != nullptr || bf16_fprop != nullptr
           : pass == ConvPass::dgrad ? dgrad != nullptr || bf16_dgrad != nullptr
                                     : wgrad != nullptr || bf16_wgrad != nullptr;
  }
};

/// The rows of a device's backend in order of preference; the last row covers everything.
std::span<const Conv2dAlgorithm> conv2d_algorithms(Device device);

/// The algorithm of that name on a device, or automatic. Throws UsageError, which lists the known
/// names, for any other.
Algorithm conv2d_algorithm_from_name(Device device, std::string_view name);

/// What a call runs: a lowering, under `automatic` alone, and then a row of a table.
struct Conv2dChoice {
  Lowering lowering = Lowering::none;
  Conv2dShape shape;                      ///< after the lowering
  Conv2dEpilogue epilogue;                ///< after the lowering
  const Conv2dAlgorithm* conv = nullptr;  ///< null if the lowering is gemm
  const GemmAlgorithm* gemm = nullptr;    ///< null unless the lowering is gemm

  const char* name() const { return gemm != nullptr ? gemm->name : conv->name; }
  /// Whether bf16 tensors are converted to float before this choice and its results back.
  bool converts(DType type) const {
    return type == DType::bf16 && (conv == nullptr || !conv->is_bf16());
  }
  Algorithm algo() const { return gemm != nullptr ? gemm->algo : conv->algo; }
  const char* file(ConvPass pass) const;
};

/// The choice for a call with this context on tensors of this type, f32 or bf16.
Conv2dChoice conv2d_algorithm(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                              const Conv2dEpilogue& e, DType type = DType::f32);

namespace cpu {
std::span<const Conv2dAlgorithm> conv2d_table();
}
namespace cuda {
std::span<const Conv2dAlgorithm> conv2d_table();
}

}  // namespace assay
