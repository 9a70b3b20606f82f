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

/// A row of the table. Its passes are those of conv2d.h, with a null argmax where pool is 1.
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

  /// Whether the row has this pass at all, for some shape.
  bool has(ConvPass pass) const {
    return pass == ConvPass::fprop   ? fprop != nullptr
           : pass == ConvPass::dgrad ? dgrad != nullptr
                                     : wgrad != nullptr;
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
  Algorithm algo() const { return gemm != nullptr ? gemm->algo : conv->algo; }
  const char* file(ConvPass pass) const;
};

/// The choice for a call with this context.
Conv2dChoice conv2d_algorithm(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                              const Conv2dEpilogue& e);

namespace cpu {
std::span<const Conv2dAlgorithm> conv2d_table();
}
namespace cuda {
std::span<const Conv2dAlgorithm> conv2d_table();
}

}  // namespace assay
