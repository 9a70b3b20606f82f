// Element by element: four elements a thread in one access each if the addresses allow it. The
// arithmetic is fp32. All of these are bound by memory, so there is one version.
#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/runtime/cuda/elements.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// out(i) = f(a(i), b(i), i); a null operand counts as 0. No __restrict__: out may be a or b.
template <class F, class T, class Out>
__global__ void __launch_bounds__(kThreads)
    map_scalars(int64_t n, F f, const T* a, const T* b, Out* out) {
  const int64_t i = global_thread();
  const auto element = [i](const T* p) { return p != nullptr ? static_cast<float>(p[i]) : 0.0f; };
  if (i < n) out[i] = static_cast<Out>(f(element(a), element(b), i));
}

/// out(i) = f(a(i), b(i), i) for 4 n elements at addresses that are aligned_by_4().
template <class F, class T, class Out>
__global__ void __launch_bounds__(kThreads)
    map_vectors(int64_t n, F f, const T* a, const T* b, Out* out) {
  const int64_t i = 4 * global_thread();
  if (i >= 4 * n) return;
  const float4 zero = make_float4(0, 0, 0, 0);
  const float4 x = a != nullptr ? load_4(a + i) : zero;
  const float4 y = b != nullptr ? load_4(b + i) : zero;
  store_4(out + i,
          make_float4(f(x.x, y.x, i), f(x.y, y.y, i + 1), f(x.z, y.z, i + 2), f(x.w, y.w, i + 3)));
}

template <class F, class T, class Out>
void map(Context& ctx, int64_t n, const F& f, const T* a, const T* b, Out* out) {
  if (n == 0) return;
  if (n % 4 == 0 && aligned_by_4(a) && aligned_by_4(b) && aligned_by_4(out))
    launch(map_vectors<F, T, Out>, blocks_for(n / 4, kThreads), kThreads, 0, stream_of(ctx), n / 4,
           f, a, b, out);
  else
    launch(map_scalars<F, T, Out>, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, f, a, b,
           out);
}
template <class T>
constexpr const T* kNone = nullptr;

struct Identity {
  __device__ float operator()(float x, float, int64_t) const { return x; }
};
struct Activate {
  Activation activation;
  float slope;
  __device__ float operator()(float x, float, int64_t) const {
    return activate(activation, slope, x);
  }
};
struct ActivateGradient {
  Activation activation;
  float slope;
  __device__ float operator()(float y, float dy, int64_t) const {
    return dy * activation_slope(activation, slope, y);
  }
};
struct Add {
  __device__ float operator()(float a, float b, int64_t) const { return a + b; }
};
struct Subtract {
  __device__ float operator()(float a, float b, int64_t) const { return a - b; }
};
struct Multiply {
  __device__ float operator()(float a, float b, int64_t) const { return a * b; }
};
struct Affine {
  float scale, shift;
  __device__ float operator()(float x, float, int64_t) const { return scale * x + shift; }
};
struct Scale {
  const float* factor;
  __device__ float operator()(float x, float, int64_t) const { return *factor * x; }
};
struct Constant {
  float value;
  __device__ float operator()(float, float, int64_t) const { return value; }
};
struct BiasActivate {
  Activation activation;
  float slope;
  const float* bias;
  int C;
  __device__ float operator()(float x, float, int64_t i) const {
    return activate(activation, slope, x + bias[i % C]);
  }
};

/// out(i) = x at the strides of i. Neighbouring threads write neighbouring elements and read
/// elements that lie apart.
template <class T>
__global__ void __launch_bounds__(kThreads) gather(int64_t n, const __grid_constant__ Strides s,
                                                   const T* __restrict__ x, T* __restrict__ out) {
  const int64_t i = global_thread();
  if (i >= n) return;
  int64_t rest = i, source = 0;
  for (int d = s.rank - 1; d >= 0; --d) {
    source += rest % s.size[d] * s.stride[d];
    rest /= s.size[d];
  }
  out[i] = x[source];
}

}  // namespace

template <class T>
void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x, T* y) {
  map(ctx, n, Activate{a, slope}, x, kNone<T>, y);
}

template <class T>
void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y, const T* dy,
                      T* dx) {
  map(ctx, n, ActivateGradient{a, slope}, y, dy, dx);
}

template <class T>
void add(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  map(ctx, n, Add{}, a, b, out);
}

template <class T>
void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  map(ctx, n, Subtract{}, a, b, out);
}

template <class T>
void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  map(ctx, n, Multiply{}, a, b, out);
}

template <class T>
void affine(Context& ctx, int64_t n, float scale, float shift, const T* x, T* out) {
  map(ctx, n, Affine{scale, shift}, x, kNone<T>, out);
}

template <class T>
void scale(Context& ctx, int64_t n, const float* factor, const T* x, T* out) {
  map(ctx, n, Scale{factor}, x, kNone<T>, out);
}

template <class T>
void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const T* x,
                     const float* bias, T* y) {
  map(ctx, rows * C, BiasActivate{a, slope, bias, C}, x, kNone<T>, y);
}

template <class T>
void fill(Context& ctx, int64_t n, T value, T* out) {
  map(ctx, n, Constant{static_cast<float>(value)}, kNone<T>, kNone<T>, out);
}

template <class T>
void permute(Context& ctx, const Strides& s, const T* x, T* out) {
  int64_t n = 1;
  for (int d = 0; d < s.rank; ++d) n *= s.size[d];
  if (n != 0) launch(gather<T>, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s, x, out);
}

void convert(Context& ctx, int64_t n, const float* x, bf16* y) {
  map(ctx, n, Identity{}, x, kNone<float>, y);
}
void convert(Context& ctx, int64_t n, const bf16* x, float* y) {
  map(ctx, n, Identity{}, x, kNone<bf16>, y);
}

ASSAY_INSTANTIATE_POINTWISE(float);
ASSAY_INSTANTIATE_POINTWISE(bf16);

}  // namespace assay::cuda
