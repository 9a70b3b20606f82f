// Batch normalisation on a CUDA device:
//
//   forward   column sums of d = x - x(0,c) and d^2 -> mean, rstd, running statistics -> y
//   backward  column sums of dz and dz (x - mean)   -> dbeta, dgamma                  -> dx
//
// The sums are shifted by the first row, so that no difference of large numbers loses digits where
// the mean is far from 0 (Chan, Golub and LeVeque, 1983, section 2), and added in double.
#include <cmath>

#include "kernels/batchnorm/batchnorm_backends.h"
#include "kernels/runtime/cuda/column_sums.cuh"

namespace assay::cuda {
namespace {

struct ShiftedPowers {
  const float* x;
  int C;
  __device__ ColumnValues<2> operator()(int64_t row, int c) const {
    const float d = x[row * C + c] - x[c];
    return {{d, d * d}};
  }
};

struct StoreStatistics {
  const float* x;
  const float* gamma;
  double rows, eps, momentum;
  float *mean, *rstd, *scale, *running_mean, *running_var;
  __device__ void operator()(int c, const ColumnTotals<2>& sum) const {
    const double shift = sum.v[0] / rows;
    const double m2 = sum.v[1] - sum.v[0] * shift;  // sum of squared deviations
    const double m = x[c] + shift, r = 1 / sqrt((m2 > 0 ? m2 : 0) / rows + eps);
    mean[c] = static_cast<float>(m);
    rstd[c] = static_cast<float>(r);
    scale[c] = static_cast<float>(gamma[c] * r);
    running_mean[c] = static_cast<float>((1 - momentum) * running_mean[c] + momentum * m);
    running_var[c] =
        static_cast<float>((1 - momentum) * running_var[c] + momentum * m2 / (rows - 1));
  }
};

/// y = f(scale(c) (x - mean(c)) + shift(c)), n elements.
__global__ void __launch_bounds__(kThreads)
    normalise(int64_t n, int C, Activation activation, float slope, const float* __restrict__ x,
              const float* __restrict__ mean, const float* __restrict__ scale,
              const float* __restrict__ shift, float* __restrict__ y) {
  const int64_t i = global_thread();
  if (i >= n) return;
  const int c = static_cast<int>(i % C);
  y[i] = activate(activation, slope, scale[c] * (x[i] - mean[c]) + shift[c]);
}

__global__ void __launch_bounds__(kThreads)
    inference_scale(int C, double eps, const float* __restrict__ gamma,
                    const float* __restrict__ running_var, float* __restrict__ scale) {
  const int64_t c = global_thread();
  if (c < C) scale[c] = static_cast<float>(gamma[c] / sqrt(running_var[c] + eps));
}

/// dz = dy f'(y); y is null when there is no activation.
struct GradientOfZ {
  Activation activation;
  float slope;
  const float* y;
  const float* dy;
  __device__ float operator()(int64_t i) const {
    return y == nullptr ? dy[i] : dy[i] * activation_slope(activation, slope, y[i]);
  }
};

struct GradientSums {
  GradientOfZ dz;
  const float* x;
  const float* mean;
  int C;
  __device__ ColumnValues<2> operator()(int64_t row, int c) const {
    const int64_t i = row * C + c;
    const float d = dz(i);
    return {{d, d * (x[i] - mean[c])}};
  }
};

/// The coefficients per channel of dx = scale (dz - mean_dz - (x - mean) slope_dz).
struct Coefficients {
  float *scale, *mean_dz, *slope_dz;
};

struct StoreGradients {
  const float* gamma;
  const float* rstd;
  double rows;
  float *dgamma, *dbeta;
  Coefficients to;
  __device__ void operator()(int c, const ColumnTotals<2>& sum) const {
    const double r = rstd[c];
    dbeta[c] = static_cast<float>(sum.v[0]);
    dgamma[c] = static_cast<float>(sum.v[1] * r);
    to.scale[c] = static_cast<float>(gamma[c] * r);
    to.mean_dz[c] = static_cast<float>(sum.v[0] / rows);
    to.slope_dz[c] = static_cast<float>(sum.v[1] * r * r / rows);
  }
};

__global__ void __launch_bounds__(kThreads)
    input_gradient(int64_t n, int C, GradientOfZ dz, const float* __restrict__ x,
                   const float* __restrict__ mean, Coefficients by, float* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= n) return;
  const int c = static_cast<int>(i % C);
  dx[i] = by.scale[c] * (dz(i) - by.mean_dz[c] - (x[i] - mean[c]) * by.slope_dz[c]);
}

void normalise_rows(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                    const float* x, const float* mean, const float* scale, const float* shift,
                    float* y) {
  const int64_t n = s.rows * s.C;
  launch(normalise, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s.C, o.activation,
         o.slope, x, mean, scale, shift, y);
}

}  // namespace

void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<float>& t) {
  const Scratch scale(ctx, s.C * sizeof(float));
  column_sums<2>(ctx, s.rows, s.C, ShiftedPowers{t.x, s.C},
                 StoreStatistics{.x = t.x,
                                 .gamma = t.gamma,
                                 .rows = static_cast<double>(s.rows),
                                 .eps = o.eps,
                                 .momentum = o.momentum,
                                 .mean = t.mean,
                                 .rstd = t.rstd,
                                 .scale = scale.as<float>(),
                                 .running_mean = t.running_mean,
                                 .running_var = t.running_var});
  normalise_rows(ctx, s, o, t.x, t.mean, scale.as<float>(), t.beta, t.y);
}

void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<float>& t) {
  const Scratch scale(ctx, s.C * sizeof(float));
  launch(inference_scale, blocks_for(s.C, kThreads), kThreads, 0, stream_of(ctx), s.C, o.eps,
         t.gamma, t.running_var, scale.as<float>());
  normalise_rows(ctx, s, o, t.x, t.running_mean, scale.as<float>(), t.beta, t.y);
}

void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<float>& t) {
  const Scratch scratch(ctx, 3 * s.C * sizeof(float));
  float* const rows = scratch.as<float>();
  const Coefficients coefficients{rows, rows + s.C, rows + 2 * s.C};
  const GradientOfZ dz{o.activation, o.slope, o.activation == Activation::none ? nullptr : t.y,
                       t.dy};
  column_sums<2>(ctx, s.rows, s.C, GradientSums{dz, t.x, t.mean, s.C},
                 StoreGradients{t.gamma, t.rstd, static_cast<double>(s.rows), t.dgamma, t.dbeta,
                                coefficients});
  const int64_t n = s.rows * s.C;
  launch(input_gradient, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s.C, dz, t.x,
         t.mean, coefficients, t.dx);
}

}  // namespace assay::cuda
