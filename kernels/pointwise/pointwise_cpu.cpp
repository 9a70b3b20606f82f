#include <algorithm>

#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/pointwise/pointwise_ref.h"
#include "kernels/pointwise/pointwise_simd.h"

namespace assay::cpu {
namespace {

// Elements of a task: enough to pay for handing it to a thread, few enough to occupy all threads.
constexpr int64_t kGrain = 1 << 15;

}  // namespace

template <class T>
void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x, T* y) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(activation_fprop, a, slope, end - begin, x + begin, y + begin);
  });
}

template <class T>
void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y, const T* dy,
                      T* dx) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(activation_bprop, a, slope, end - begin, y + begin, dy + begin, dx + begin);
  });
}

template <class T>
void add(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(add, end - begin, a + begin, b + begin, out + begin);
  });
}

template <class T>
void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(subtract, end - begin, a + begin, b + begin, out + begin);
  });
}

template <class T>
void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(multiply, end - begin, a + begin, b + begin, out + begin);
  });
}

template <class T>
void affine(Context& ctx, int64_t n, float scale, float shift, const T* x, T* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(affine, end - begin, scale, shift, x + begin, out + begin);
  });
}

template <class T>
void scale(Context& ctx, int64_t n, const float* factor, const T* x, T* out) {
  affine(ctx, n, *factor, 0.0f, x, out);
}

template <class T>
void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const T* x,
                     const float* bias, T* y) {
  const int64_t rows_per_part = std::max<int64_t>(1, kGrain / C);
  parallel_blocks(ctx, rows, rows_per_part, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(bias_activation, a, slope, end - begin, C, x + begin * C, bias, y + begin * C);
  });
}

template <class T>
void fill(Context& ctx, int64_t n, T value, T* out) {
  parallel_blocks(ctx, n, kGrain,
                  [&](int64_t begin, int64_t end) { std::fill(out + begin, out + end, value); });
}

// One thread suffices: tensors are permuted when they are imported or exported, not in a step.
template <class T>
void permute(Context&, const Strides& s, const T* x, T* out) {
  ref::permute(s, x, out);
}

void convert(Context& ctx, int64_t n, const float* x, bf16* y) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(convert, end - begin, x + begin, y + begin);
  });
}

void convert(Context& ctx, int64_t n, const bf16* x, float* y) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(convert, end - begin, x + begin, y + begin);
  });
}

ASSAY_INSTANTIATE_POINTWISE(float);
ASSAY_INSTANTIATE_POINTWISE(bf16);

}  // namespace assay::cpu
