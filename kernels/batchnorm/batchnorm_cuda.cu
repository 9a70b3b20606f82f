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

template <class T>
struct ShiftedPowers {
  const T* x;
  int C;
  __device__ ColumnValues<2> operator()(int64_t row, int c) const {
    const float d = static_cast<float>(x[row * C + c]) - static_cast<float>(x[c]);
    return {{d, d * d}};
  }
};

template <class T>
struct StoreStatistics {
  const T* x;
  const float* gamma;
  double rows, eps, momentum;
  float *mean, *rstd, *scale, *running_mean, *running_var;
  __device__ void operator()(int c, const ColumnTotals<2>& sum) const {
    const double shift = sum.v[0] / rows;
    const double m2 = sum.v[1] - sum.v[0] * shift;  // sum of squared deviations
    const double m = static_cast<float>(x[c]) + shift, r = 1 / sqrt((m2 > 0 ? m2 : 0) / rows + eps);
    mean[c] = static_cast<float>(m);
    rstd[c] = static_cast<float>(r);
    scale[c] = static_cast<float>(gamma[c] * r);
    running_mean[c] = static_cast<float>((1 - momentum) * running_mean[c] + momentum * m);
    running_var[c] =
        static_cast<float>((1 - momentum) * running_var[c] + momentum * m2 / (rows - 1));
  }
};

/// y = f(scale(c) (x - mean(c)) + shift(c)), n elements.
template <class T>
__global__ void __launch_bounds__(kThreads)
    normalise(int64_t n, int C, Activation activation, float slope, const T* __restrict__ x,
              const float* __restrict__ mean, const float* __restrict__ scale,
              const float* __restrict__ shift, T* __restrict__ y) {
  const int64_t i = global_thread();
  if (i >= n) return;
  const int c = static_cast<int>(i % C);
  const float centred = static_cast<float>(x[i]) - mean[c];
  y[i] = static_cast<T>(activate(activation, slope, scale[c] * centred + shift[c]));
}

__global__ void __launch_bounds__(kThreads)
    inference_scale(int C, double eps, const float* __restrict__ gamma,
                    const float* __restrict__ running_var, float* __restrict__ scale) {
  const int64_t c = global_thread();
  if (c < C) scale[c] = static_cast<float>(gamma[c] / sqrt(running_var[c] + eps));
}

/// dz = dy f'(y); y is null when there is no activation.
template <class T>
struct GradientOfZ {
  Activation activation;
  float slope;
  const T* y;
  const T* dy;
  __device__ float operator()(int64_t i) const {
    const float d = static_cast<float>(dy[i]);
    return y == nullptr ? d : d * activation_slope(activation, slope, static_cast<float>(y[i]));
  }
};

template <class T>
struct GradientSums {
  GradientOfZ<T> dz;
  const T* x;
  const float* mean;
  int C;
  __device__ ColumnValues<2> operator()(int64_t row, int c) const {
    const int64_t i = row * C + c;
    const float d = dz(i);
    return {{d, d * (static_cast<float>(x[i]) - mean[c])}};
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

template <class T>
__global__ void __launch_bounds__(kThreads)
    input_gradient(int64_t n, int C, GradientOfZ<T> dz, const T* __restrict__ x,
                   const float* __restrict__ mean, Coefficients by, T* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= n) return;
  const int c = static_cast<int>(i % C);
  const float centred = static_cast<float>(x[i]) - mean[c];
  dx[i] = static_cast<T>(by.scale[c] * (dz(i) - by.mean_dz[c] - centred * by.slope_dz[c]));
}

template <class T>
void normalise_rows(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, const T* x,
                    const float* mean, const float* scale, const float* shift, T* y) {
  const int64_t n = s.rows * s.C;
  launch(normalise<T>, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s.C, o.activation,
         o.slope, x, mean, scale, shift, y);
}

}  // namespace

template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t) {
  const Scratch scale(ctx, s.C * sizeof(float));
  column_sums<2>(ctx, s.rows, s.C, ShiftedPowers<T>{t.x, s.C},
                 StoreStatistics<T>{.x = t.x,
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

template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t) {
  const Scratch scale(ctx, s.C * sizeof(float));
  launch(inference_scale, blocks_for(s.C, kThreads), kThreads, 0, stream_of(ctx), s.C, o.eps,
         t.gamma, t.running_var, scale.as<float>());
  normalise_rows(ctx, s, o, t.x, t.running_mean, scale.as<float>(), t.beta, t.y);
}

template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t) {
  const Scratch scratch(ctx, 3 * s.C * sizeof(float));
  float* const rows = scratch.as<float>();
  const Coefficients coefficients{rows, rows + s.C, rows + 2 * s.C};
  const GradientOfZ<T> dz{o.activation, o.slope, o.activation == Activation::none ? nullptr : t.y,
                          t.dy};
  column_sums<2>(ctx, s.rows, s.C, GradientSums<T>{dz, t.x, t.mean, s.C},
                 StoreGradients{t.gamma, t.rstd, static_cast<double>(s.rows), t.dgamma, t.dbeta,
                                coefficients});
  const int64_t n = s.rows * s.C;
  launch(input_gradient<T>, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s.C, dz, t.x,
         t.mean, coefficients, t.dx);
}

ASSAY_INSTANTIATE_BATCHNORM(float);
ASSAY_INSTANTIATE_BATCHNORM(bf16);

}  // namespace assay::cuda
