// dz in memory, for versions whose copies cannot form it.
#pragma once

#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/divisor.h"

namespace assay::cuda {

/// out (N,P,Q,K) = dz. One thread per element.
template <class T>
__global__ void __launch_bounds__(kThreads)
    form_dz(GradientOfZFrom<T> dz, Divisor by_P, Divisor by_Q, Divisor by_K, int elements,
            T* __restrict__ out) {
  const int64_t thread = global_thread();
  if (thread >= elements) return;
  const int i = static_cast<int>(thread), pixel = by_K.quotient(i), row = by_Q.quotient(pixel);
  const int n = by_P.quotient(row);
  out[i] = static_cast<T>(
      dz(n, row - n * by_P.value(), pixel - row * by_Q.value(), i - pixel * by_K.value()));
}

/// dz (N,P,Q,K) of fewer than 2^31 elements: dy itself where they are equal.
template <class T>
class StoredDz {
 public:
  StoredDz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dGrad<T>& g)
      : dz_(g.dy) {
    if (dz_is_dy(e)) return;
    const int64_t elements = int64_t{s.N} * s.P() * s.Q() * s.K;
    memory_ = Scratch(ctx, sizeof(T) * static_cast<size_t>(elements));
    launch(form_dz<T>, blocks_for(elements, kThreads), kThreads, 0, stream_of(ctx),
           GradientOfZFrom<T>(s, e, g), Divisor(s.P()), Divisor(s.Q()), Divisor(s.K),
           static_cast<int>(elements), memory_.as<T>());
    dz_ = memory_.as<T>();
  }
  const T* get() const { return dz_; }

 private:
  Scratch memory_;
  const T* dz_;
};

}  // namespace assay::cuda
