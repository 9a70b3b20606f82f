#include <algorithm>

#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/pointwise/pointwise_ref.h"
#include "kernels/pointwise/pointwise_simd.h"

namespace assay::cpu {
namespace {

// Elements of a task: enough to pay for handing it to a thread, few enough to occupy all threads.
constexpr int64_t kGrain = 1 << 15;

}  // namespace

void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const float* x,
                      float* y) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(activation_fprop, a, slope, end - begin, x + begin, y + begin);
  });
}

void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const float* y,
                      const float* dy, float* dx) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(activation_bprop, a, slope, end - begin, y + begin, dy + begin, dx + begin);
  });
}

void add(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(add, end - begin, a + begin, b + begin, out + begin);
  });
}

void subtract(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(subtract, end - begin, a + begin, b + begin, out + begin);
  });
}

void multiply(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(multiply, end - begin, a + begin, b + begin, out + begin);
  });
}

void affine(Context& ctx, int64_t n, float scale, float shift, const float* x, float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(affine, end - begin, scale, shift, x + begin, out + begin);
  });
}

void scale(Context& ctx, int64_t n, const float* factor, const float* x, float* out) {
  affine(ctx, n, *factor, 0.0f, x, out);
}

void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const float* x,
                     const float* bias, float* y) {
  const int64_t rows_per_part = std::max<int64_t>(1, kGrain / C);
  parallel_blocks(ctx, rows, rows_per_part, [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(bias_activation, a, slope, end - begin, C, x + begin * C, bias, y + begin * C);
  });
}

void fill(Context& ctx, int64_t n, float value, float* out) {
  parallel_blocks(ctx, n, kGrain,
                  [&](int64_t begin, int64_t end) { std::fill(out + begin, out + end, value); });
}

// One thread suffices: tensors are permuted when they are imported or exported, not in a step.
void permute(Context&, const Strides& s, const float* x, float* out) {
  ref::permute(s, x, out);
}

}  // namespace assay::cpu
