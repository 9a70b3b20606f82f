#include <algorithm>
#include <atomic>

#include "kernels/reduce/ordered_sum.h"
#include "kernels/reduce/reduce_backends.h"
#include "kernels/reduce/reduce_simd.h"

namespace assay::cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;

}  // namespace

void reduce_sum(Context& ctx, int64_t n, const float* x, float* out) {
  out[0] = static_cast<float>(ordered_sum(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    return ASSAY_ISA_CALL(sum_of, end - begin, x + begin);
  }));
}

void reduce_columns(Context& ctx, int64_t rows, int C, const float* x, float* out) {
  const int64_t rows_per_part = std::max<int64_t>(64, kGrain / C);
  const OrderedVectorSum sums(
      ctx, rows, rows_per_part, C, [&](int64_t begin, int64_t end, double* part) {
        ASSAY_ISA_CALL(add_column_sums, end - begin, C, x + begin * C, part);
      });
  for (int c = 0; c < C; ++c) out[c] = static_cast<float>(sums[c]);
}

void reduce_rows(Context& ctx, int64_t rows, int64_t C, const float* x, float* out) {
  const int64_t rows_per_part = std::max<int64_t>(1, kGrain / std::max<int64_t>(C, 1));
  parallel_blocks(ctx, rows, rows_per_part, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<float>(ASSAY_ISA_CALL(sum_of, C, x + i * C));
  });
}

void all_finite(Context& ctx, int64_t n, const float* x, bool* finite) {
  std::atomic<bool> all{true};
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    if (all.load(std::memory_order_relaxed) && !ASSAY_ISA_CALL(all_finite, end - begin, x + begin))
      all.store(false, std::memory_order_relaxed);
  });
  *finite = all;
}

}  // namespace assay::cpu
