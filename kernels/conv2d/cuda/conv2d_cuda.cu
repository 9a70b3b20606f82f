// Which rung runs, and the gradient of the bias.
#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/rungs.h"
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

}  // namespace

void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  naive::fprop(ctx, s, e, x, w.data, bias, y, argmax);
}

void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                  Weights<float> w, float* dx) {
  naive::dgrad(ctx, s, e, g, w.data, dx);
}

void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Conv2dGrad<float> g, float* dw, float* dbias) {
  naive::wgrad(ctx, s, e, x, g, dw);
  if (dbias == nullptr) return;
  const int64_t rows = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool);
  column_sums<1>(ctx, rows, s.K, BiasGradient{GradientOfZ(s, e, g)}, StoreBiasGradient{dbias});
}

}  // namespace assay::cuda
