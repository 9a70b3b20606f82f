#include <algorithm>

#include "kernels/ssim/ssim_backends.h"
#include "kernels/ssim/ssim_simd.h"

namespace assay::cpu {
namespace {

constexpr int kBlockRows = 8;  // rows of a task

int row_blocks(const SsimShape& s) {
  return (s.H + kBlockRows - 1) / kBlockRows;
}
int64_t row_length(const SsimShape& s) {
  return int64_t{s.W} * s.C;
}

struct Weights11 {
  double value[kSsimTaps];
  Weights11() { ssim_weights(value); }
};

/// The rows under the window around row h of image n.
SsimRows rows_around(const SsimShape& s, const float* x, const float* y, int64_t n, int h) {
  SsimRows rows{.W = s.W, .C = s.C, .x = {}, .y = {}};
  for (int k = 0; k < kSsimTaps; ++k) {
    const int64_t offset = (n * s.H + reflect(h + k - kSsimRadius, s.H)) * row_length(s);
    rows.x[k] = x + offset;
    rows.y[k] = y + offset;
  }
  return rows;
}

/// The sum of the inner pixels of a row of values.
double inner_sum(const SsimShape& s, const double* values) {
  double sum = 0;
  const int64_t border = int64_t{kSsimRadius} * s.C;
  for (int64_t i = border; i < row_length(s) - border; ++i) sum += values[i];
  return sum;
}

}  // namespace

void ssim(Context& ctx, const SsimShape& s, const float* x, const float* y, float* value,
          float* map) {
  const Weights11 weights;
  const int64_t tasks = int64_t{s.N} * row_blocks(s), length = row_length(s);
  const Scratch scratch(ctx, tasks * sizeof(double));
  double* sums = scratch.as<double>();
  parallel_for(ctx, tasks, [&](int64_t task) {
    const int64_t n = task / row_blocks(s);
    const int begin = static_cast<int>(task % row_blocks(s)) * kBlockRows,
              end = std::min(begin + kBlockRows, s.H);
    const Scratch work(ctx, (ssim_row_space(s.W, s.C) + length) * sizeof(double));
    double* values = work.as<double>() + ssim_row_space(s.W, s.C);
    sums[task] = 0;
    for (int h = begin; h < end; ++h) {
      if (map == nullptr && !is_inner(h, s.H)) continue;
      ASSAY_ISA_CALL(ssim_values, rows_around(s, x, y, n, h), weights.value, work.as<double>(),
                     values);
      if (is_inner(h, s.H)) sums[task] += inner_sum(s, values);
      if (map != nullptr)
        std::transform(values, values + length, map + (n * s.H + h) * length,
                       [](double v) { return static_cast<float>(v); });
    }
  });
  for (int64_t n = 0; n < s.N; ++n) {
    double sum = 0;
    for (int b = 0; b < row_blocks(s); ++b) sum += sums[n * row_blocks(s) + b];
    value[n] = static_cast<float>(sum / static_cast<double>(ssim_inner_count(s.H, s.W, s.C)));
  }
}

// The windows of inner pixels lie inside the image, so the gradient has no reflected edges: dx is
// the slope maps, 0 outside the inner pixels, under the same symmetric window.
void ssim_bprop(Context& ctx, const SsimShape& s, const float* x, const float* y,
                const float* dvalue, float* dx) {
  const Weights11 weights;
  const int64_t length = row_length(s), space = ssim_row_space(s.W, s.C) * sizeof(double);
  const Scratch maps(ctx, 3 * s.H * length * sizeof(double));  // (H,3,W,C), of one image
  const auto slopes_of = [&](int64_t h) { return maps.as<double>() + h * 3 * length; };
  for (int64_t n = 0; n < s.N; ++n) {
    parallel_blocks(ctx, s.H, kBlockRows, [&](int64_t begin, int64_t end) {
      const Scratch work(ctx, space);
      for (int h = static_cast<int>(begin); h < end; ++h)
        if (is_inner(h, s.H))
          ASSAY_ISA_CALL(ssim_slope_row, rows_around(s, x, y, n, h), weights.value,
                         work.as<double>(), slopes_of(h));
    });
    const double scale = dvalue[n] / static_cast<double>(ssim_inner_count(s.H, s.W, s.C));
    parallel_blocks(ctx, s.H, kBlockRows, [&](int64_t begin, int64_t end) {
      const Scratch work(ctx, space);
      for (int h = static_cast<int>(begin); h < end; ++h) {
        SsimSlopeRows rows{.W = s.W, .C = s.C, .slopes = {}};
        for (int k = 0; k < kSsimTaps; ++k) {
          const int from = h + k - kSsimRadius;
          rows.slopes[k] = is_inner(from, s.H) ? slopes_of(from) : nullptr;
        }
        const int64_t at = (n * s.H + h) * length;
        ASSAY_ISA_CALL(ssim_gradient_row, rows, weights.value, scale, x + at, y + at,
                       work.as<double>(), dx + at);
      }
    });
  }
}

}  // namespace assay::cpu
