// Losses on a CUDA device: one pass over x and the targets gives the gradient and partial sums.
#include "kernels/loss/loss_backends.h"
#include "kernels/loss/loss_formula.h"
#include "kernels/runtime/cuda/long_sums.cuh"

namespace assay::cuda {
namespace {

struct SquaredError {
  const float* x;
  const float* target;
  float* dx;  // null: not wanted
  float slope;
  __device__ float operator()(int64_t i) const {
    const float d = x[i] - target[i];
    if (dx != nullptr) dx[i] = slope * d;
    return d * d;
  }
};

struct CrossEntropy {
  const float* x;
  const float* target;
  float* dx;  // null: not wanted
  float pos_weight, n;
  __device__ float operator()(int64_t i) const {
    const float z = x[i], t = target[i];
    const float e = expf(-fabsf(z));
    if (dx != nullptr) dx[i] = bce_slope((z > 0 ? e : 1.0f) / (1 + e), t, pos_weight) / n;
    return bce_value(z, t, pos_weight, log1pf(e), z < 0 ? -z : 0.0f);
  }
};

struct StoreMean {
  double n;
  float* out;
  __device__ void operator()(int64_t row, double sum) const {
    out[row] = static_cast<float>(sum / n);
  }
};

}  // namespace

void mse_loss(Context& ctx, int64_t n, const float* x, const float* target, float* loss,
              float* dx) {
  const double count = static_cast<double>(n);
  long_sums(ctx, 1, n, SquaredError{x, target, dx, static_cast<float>(2 / count)},
            StoreMean{count, loss});
}

void mse_rows(Context& ctx, int64_t rows, int64_t C, const float* x, const float* target,
              float* out) {
  long_sums(ctx, rows, C, SquaredError{x, target, nullptr, 0},
            StoreMean{static_cast<double>(C), out});
}

void bce_with_logits_loss(Context& ctx, int64_t n, float pos_weight, const float* x,
                          const float* target, float* loss, float* dx) {
  long_sums(ctx, 1, n, CrossEntropy{x, target, dx, pos_weight, static_cast<float>(n)},
            StoreMean{static_cast<double>(n), loss});
}

}  // namespace assay::cuda
