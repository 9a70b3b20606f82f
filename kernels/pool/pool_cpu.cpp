#include <algorithm>
#include <cstring>

#include "kernels/pool/pool_backends.h"
#include "kernels/pool/pool_simd.h"

namespace assay::cpu {
namespace {

PoolRow row_of(const PoolShape& s) {
  return {s.W, s.C, s.Q(), s.window, s.stride};
}
int64_t input_row(const PoolShape& s) {
  return int64_t{s.W} * s.C;
}
int64_t output_row(const PoolShape& s) {
  return int64_t{s.Q()} * s.C;
}

/// Calls f(input, output) for every row of outputs, in parallel, with the offset of the first input
/// row of its windows and the offset of the output row.
template <class F>
void for_each_output_row(Context& ctx, const PoolShape& s, const F& f) {
  parallel_for(ctx, int64_t{s.N} * s.P(), [&](int64_t part) {
    const int64_t n = part / s.P(), p = part % s.P();
    f((n * s.H + p * s.stride) * input_row(s), part * output_row(s));
  });
}

/// Sets dx to 0 and calls f(input, output) for every row of outputs; f adds to the input rows of
/// its windows. A task is a row of windows with the rows up to the next one, or, because
/// overlapping windows share rows, a whole image.
template <class F>
void scatter_output_rows(Context& ctx, const PoolShape& s, float* dx, const F& f) {
  const int rows_per_part = s.stride < s.window ? s.P() : 1;
  const int parts_per_image = s.P() / rows_per_part;
  parallel_for(ctx, int64_t{s.N} * parts_per_image, [&](int64_t part) {
    const int64_t n = part / parts_per_image;
    const int p = static_cast<int>(part % parts_per_image) * rows_per_part;
    const int p_end = p + rows_per_part;
    const int64_t h_begin = int64_t{p} * s.stride;
    const int64_t h_end = p_end == s.P() ? s.H : int64_t{p_end} * s.stride;
    std::fill(dx + (n * s.H + h_begin) * input_row(s), dx + (n * s.H + h_end) * input_row(s), 0.0f);
    for (int row = p; row < p_end; ++row)
      f((n * s.H + int64_t{row} * s.stride) * input_row(s), (n * s.P() + row) * output_row(s));
  });
}

}  // namespace

void max_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y, uint8_t* argmax) {
  for_each_output_row(ctx, s, [&](int64_t in, int64_t out) {
    ASSAY_ISA_CALL(max_pool_row, row_of(s), x + in, y + out,
                   argmax == nullptr ? nullptr : argmax + out);
  });
}

void max_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, const uint8_t* argmax,
                    float* dx) {
  scatter_output_rows(ctx, s, dx, [&](int64_t in, int64_t out) {
    ASSAY_ISA_CALL(max_pool_row_gradient, row_of(s), dy + out, argmax + out, dx + in);
  });
}

void avg_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y) {
  for_each_output_row(ctx, s, [&](int64_t in, int64_t out) {
    ASSAY_ISA_CALL(avg_pool_row, row_of(s), x + in, y + out);
  });
}

void avg_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, float* dx) {
  scatter_output_rows(ctx, s, dx, [&](int64_t in, int64_t out) {
    ASSAY_ISA_CALL(avg_pool_row_gradient, row_of(s), dy + out, dx + in);
  });
}

void upsample_fprop(Context& ctx, const UpsampleShape& s, const float* x, float* y) {
  const int64_t out_row = int64_t{s.W} * s.factor * s.C;
  parallel_for(ctx, int64_t{s.N} * s.H, [&](int64_t row) {
    float* first = y + row * s.factor * out_row;
    ASSAY_ISA_CALL(upsample_row, s.W, s.C, s.factor, x + row * s.W * s.C, first);
    for (int a = 1; a < s.factor; ++a)
      std::memcpy(first + a * out_row, first, out_row * sizeof(float));
  });
}

void upsample_bprop(Context& ctx, const UpsampleShape& s, const float* dy, float* dx) {
  const int64_t out_row = int64_t{s.W} * s.factor * s.C;
  parallel_for(ctx, int64_t{s.N} * s.H, [&](int64_t row) {
    ASSAY_ISA_CALL(upsample_row_gradient, s.W, s.C, s.factor, dy + row * s.factor * out_row,
                   dx + row * s.W * s.C);
  });
}

}  // namespace assay::cpu
