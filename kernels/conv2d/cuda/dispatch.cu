// Which rung runs, and the gradient of the bias.
#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/special.h"
#include "kernels/runtime/cuda/column_sums.cuh"

namespace assay::cuda {
namespace {

struct BiasGradient {
  GradientOfZ dz;
  __device__ ColumnValues<1> operator()(int64_t row, int k) const {
    return {{dz.behind_pool(row * dz.K + k)}};
  }
};
struct StoreBiasGradient {
  float* dbias;
  __device__ void operator()(int k, const ColumnTotals<1>& sum) const {
    dbias[k] = static_cast<float>(sum.v[0]);
  }
};

/// One rung of the ladder, or the kernels for few channels that stand beside it.
struct Rung {
  decltype(&naive::covers) covers;
  decltype(&naive::fprop) fprop;
  decltype(&naive::dgrad) dgrad;
  decltype(&naive::wgrad) wgrad;
};
#define ASSAY_RUNG(name) \
  { name::covers, name::fprop, name::dgrad, name::wgrad }
constexpr Rung kNaive = ASSAY_RUNG(naive), kTiled = ASSAY_RUNG(tiled),
               kPipelined = ASSAY_RUNG(pipelined), kTensorCore = ASSAY_RUNG(tensor_core),
               kDirect = ASSAY_RUNG(direct);
#undef ASSAY_RUNG

/// Null for what has no CUDA kernels.
const Rung* rung_of(ConvAlgo algo) {
  switch (algo) {
    case ConvAlgo::naive:
      return &kNaive;
    case ConvAlgo::tiled:
      return &kTiled;
    case ConvAlgo::pipelined:
      return &kPipelined;
    case ConvAlgo::tensor_core:
      return &kTensorCore;
    case ConvAlgo::direct:
      return &kDirect;
    default:
      return nullptr;
  }
}

/// The rung to try where `algo` does not cover a shape.
ConvAlgo below(ConvAlgo algo) {
  switch (algo) {
    case ConvAlgo::hopper:
    case ConvAlgo::winograd:
    case ConvAlgo::direct:
      return ConvAlgo::tensor_core;
    case ConvAlgo::tensor_core:
      return ConvAlgo::pipelined;
    case ConvAlgo::pipelined:
      return ConvAlgo::tiled;
    default:
      return ConvAlgo::naive;
  }
}

/// Where a tile of a matrix product would be mostly padding.
bool has_few_channels(const Conv2dShape& s) {
  return std::min(s.C, s.K) <= 4 || std::max(s.C, s.K) <= 16;
}

bool is_special(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return ctx.conv == ConvAlgo::automatic && special::applies(s, e);
}

const Rung& choose(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                   const Conv2dEpilogue& e) {
  return *rung_of(cuda::conv2d_rung(ctx, pass, s, e));
}

}  // namespace

ConvAlgo conv2d_rung(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                     const Conv2dEpilogue& e) {
  if (is_special(ctx, s, e)) return special::rung(ctx, pass, s, e);
  const auto covers = [&](ConvAlgo algo) {
    const Rung* rung = rung_of(algo);
    return rung != nullptr && rung->covers(ctx.precision, pass, s, e);
  };
  ConvAlgo algo = ctx.conv;
  if (algo == ConvAlgo::automatic)
    algo = has_few_channels(s) ? ConvAlgo::direct : ConvAlgo::tensor_core;
  while (!covers(algo)) algo = below(algo);
  return algo;
}

void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  if (is_special(ctx, s, e)) return special::fprop(ctx, s, e, x, w, bias, y);
  choose(ctx, ConvPass::fprop, s, e)
      .fprop(ctx, s, e, x, w.data, bias, y, e.pool > 1 ? argmax : nullptr);
}

void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                  Weights<float> w, float* dx) {
  if (is_special(ctx, s, e)) return special::dgrad(ctx, s, e, g, w, dx);
  choose(ctx, ConvPass::dgrad, s, e).dgrad(ctx, s, e, g, w.data, dx);
}

void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Conv2dGrad<float> g, float* dw, float* dbias) {
  if (is_special(ctx, s, e))
    special::wgrad(ctx, s, e, x, g, dw);
  else
    choose(ctx, ConvPass::wgrad, s, e).wgrad(ctx, s, e, x, g, dw);
  if (dbias == nullptr) return;
  const int64_t rows = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool);
  column_sums<1>(ctx, rows, s.K, BiasGradient{GradientOfZ(s, e, g)}, StoreBiasGradient{dbias});
}

}  // namespace assay::cuda
