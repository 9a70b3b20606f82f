#include "kernels/batchnorm/batchnorm_simd.h"

#include "kernels/pointwise/activation_simd.h"
#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

/// dy f'(z), with f'(z) from y. Without an activation y may be null.
template <Activation A, class At, class T>
ASSAY_INLINE vf gradient_before(At at, vf slope, const T* y, const T* dy) {
  if constexpr (A == Activation::none) return at.get(dy);
  return at.get(dy) * activation_slope<A>(slope, at.get(y));
}

}  // namespace

template <class T>
void block_moments(int64_t rows, int C, const T* x, double* mean, double* m2) {
  const double per_row = 1.0 / static_cast<double>(rows);
  for_each_register(C, [&](auto at) {
    vf sum{};
    for (int64_t i = 0; i < rows; ++i) sum += at.get(x + i * C);
    const vf rough = sum * static_cast<float>(per_row);
    vf deviations{}, squares{};
    for (int64_t i = 0; i < rows; ++i) {
      const vf d = at.get(x + i * C) - rough;
      deviations += d;
      squares += d * d;
    }
    const int lanes = C - at.i < kLanes ? static_cast<int>(C - at.i) : kLanes;
    for (int k = 0; k < lanes; ++k) {
      const double deviation = static_cast<double>(deviations[k]);
      mean[at.i + k] = static_cast<double>(rough[k]) + deviation * per_row;
      m2[at.i + k] = static_cast<double>(squares[k]) - deviation * deviation * per_row;
    }
  });
}

template <class T>
void normalise(Activation a, float slope, int64_t rows, int C, const T* x, const float* mean,
               const float* scale, const float* shift, T* y) {
  with_activation(a, [&](auto A) {
    for (int64_t i = 0; i < rows; ++i) {
      const T* xi = x + i * C;
      T* yi = y + i * C;
      for_each_register(C, [&](auto at) {
        const vf z = (at.get(xi) - at.get(mean)) * at.get(scale) + at.get(shift);
        at.put(yi, activate<A.value>(broadcast(slope), z));
      });
    }
  });
}

template <class T>
void add_gradient_sums(Activation a, float slope, int64_t rows, int C, const T* x, const T* y,
                       const T* dy, const float* mean, double* sums) {
  with_activation(a, [&](auto A) {
    for (int64_t row = 0; row < rows; row += kBatchNormBlock) {
      const int64_t end = rows - row < kBatchNormBlock ? rows : row + kBatchNormBlock;
      for_each_register(C, [&](auto at) {
        const vf m = at.get(mean);
        vf sum_dz{}, sum_dz_x{};
        for (int64_t i = row; i < end; ++i) {
          const vf dz = gradient_before<A.value>(at, broadcast(slope), y == nullptr ? y : y + i * C,
                                                 dy + i * C);
          sum_dz += dz;
          sum_dz_x += dz * (at.get(x + i * C) - m);
        }
        const int lanes = C - at.i < kLanes ? static_cast<int>(C - at.i) : kLanes;
        for (int k = 0; k < lanes; ++k) {
          sums[at.i + k] += static_cast<double>(sum_dz[k]);
          sums[C + at.i + k] += static_cast<double>(sum_dz_x[k]);
        }
      });
    }
  });
}

template <class T>
void input_gradient(Activation a, float slope, int64_t rows, int C, const T* x, const T* y,
                    const T* dy, const float* mean, const float* scale, const float* mean_dz,
                    const float* slope_dz, T* dx) {
  with_activation(a, [&](auto A) {
    for (int64_t i = 0; i < rows; ++i) {
      const T* xi = x + i * C;
      const T* yi = y == nullptr ? y : y + i * C;
      const T* dyi = dy + i * C;
      T* dxi = dx + i * C;
      for_each_register(C, [&](auto at) {
        const vf dz = gradient_before<A.value>(at, broadcast(slope), yi, dyi);
        at.put(dxi, at.get(scale) *
                        (dz - at.get(mean_dz) - (at.get(xi) - at.get(mean)) * at.get(slope_dz)));
      });
    }
  });
}

#define ASSAY_INSTANTIATE(T)                                                                     \
  template void block_moments(int64_t, int, const T*, double*, double*);                         \
  template void normalise(Activation, float, int64_t, int, const T*, const float*, const float*, \
                          const float*, T*);                                                     \
  template void add_gradient_sums(Activation, float, int64_t, int, const T*, const T*, const T*, \
                                  const float*, double*);                                        \
  template void input_gradient(Activation, float, int64_t, int, const T*, const T*, const T*,    \
                               const float*, const float*, const float*, const float*, T*)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

}  // namespace assay::cpu::ASSAY_ISA
