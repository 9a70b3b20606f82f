#include <algorithm>

#include "kernels/loss/loss_backends.h"
#include "kernels/loss/loss_simd.h"
#include "kernels/reduce/ordered_sum.h"

namespace assay::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;

float* offset_or_null(float* p, int64_t offset) {
  return p == nullptr ? nullptr : p + offset;
}

}  // namespace

void mse_loss(Context& ctx, int64_t n, const float* x, const float* target, float* loss,
              float* dx) {
  const double count = static_cast<double>(n);
  const double sum = ordered_sum(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    return ASSAY_ISA_CALL(squared_error, end - begin, x + begin, target + begin,
                          static_cast<float>(2 / count), offset_or_null(dx, begin));
  });
  loss[0] = static_cast<float>(sum / count);
}

void mse_rows(Context& ctx, int64_t rows, int64_t C, const float* x, const float* target,
              float* out) {
  const int64_t rows_per_part = std::max<int64_t>(1, kGrain / C);
  parallel_blocks(ctx, rows, rows_per_part, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double sum = ASSAY_ISA_CALL(squared_error, C, x + i * C, target + i * C, 0.0f, nullptr);
      out[i] = static_cast<float>(sum / static_cast<double>(C));
    }
  });
}

void bce_with_logits_loss(Context& ctx, int64_t n, float pos_weight, const float* x,
                          const float* target, float* loss, float* dx) {
  const double count = static_cast<double>(n);
  const double sum = ordered_sum(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    return ASSAY_ISA_CALL(bce_with_logits, end - begin, pos_weight, x + begin, target + begin,
                          static_cast<float>(1 / count), offset_or_null(dx, begin));
  });
  loss[0] = static_cast<float>(sum / count);
}

}  // namespace assay::cpu
