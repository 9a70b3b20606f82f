// Version 3: where a pixel and a tap lie is computed once, before the loop, and a copy moves four
// channels. Each of 128 threads has 8 x 8 sums (fma_tile.cuh), 4 x 4 in small tiles. The block
// still waits for its copies in every step (pipeline.cuh, one stage).
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/pipeline_wgrad.cuh"
#include "kernels/gemm/cuda/fma_tile.cuh"

namespace assay::cuda::hoisted {
namespace {

template <int kM, int kN, bool kDepthContiguous>
using Tile = OneStage<FmaTile<kM, kN, kDepthContiguous, kDepthContiguous>>;

}  // namespace

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return pipeline_covers(pass, s, e);
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  pipeline_fprop<Tile<128, 64, true>, Tile<64, 32, true>>(ctx, s, e, x, w, bias, y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  pipeline_dgrad<Tile<128, 64, true>, Tile<64, 32, true>>(ctx, s, e, g, w, dx);
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  return pipeline_wgrad<Tile<64, 128, false>, Tile<32, 64, false>>(ctx, s, e, x, g, dw, dbias);
}

}  // namespace assay::cuda::hoisted
