// The implementations behind loss.h; the dispatch in loss.cpp picks one.
#pragma once

#include "kernels/loss/loss.h"

namespace assay {
namespace cpu {
void mse_loss(Context& ctx, int64_t n, const float* x, const float* target, float* loss, float* dx);
void mse_rows(Context& ctx, int64_t rows, int64_t C, const float* x, const float* target,
              float* out);
void bce_with_logits_loss(Context& ctx, int64_t n, float pos_weight, const float* x,
                          const float* target, float* loss, float* dx);
}  // namespace cpu

namespace cuda {
void mse_loss(Context& ctx, int64_t n, const float* x, const float* target, float* loss, float* dx);
void mse_rows(Context& ctx, int64_t rows, int64_t C, const float* x, const float* target,
              float* out);
void bce_with_logits_loss(Context& ctx, int64_t n, float pos_weight, const float* x,
                          const float* target, float* loss, float* dx);
}  // namespace cuda
}  // namespace assay
