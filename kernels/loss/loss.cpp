#include "kernels/loss/loss.h"

#include "kernels/loss/loss_backends.h"
#include "kernels/loss/loss_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void mse_loss(Context& ctx, int64_t n, const T* x, const T* target, T* loss, T* dx) {
  ASSAY_CHECK(n >= 1, "mse_loss: no elements");
  ASSAY_DISPATCH(T, ctx, mse_loss, n, x, target, loss, dx);
}

template <class T>
void mse_rows(Context& ctx, int64_t rows, int64_t C, const T* x, const T* target, T* out) {
  ASSAY_CHECK(C >= 1, "mse_rows: no columns");
  ASSAY_DISPATCH(T, ctx, mse_rows, rows, C, x, target, out);
}

template <class T>
void bce_with_logits_loss(Context& ctx, int64_t n, T pos_weight, const T* x, const T* target,
                          T* loss, T* dx) {
  ASSAY_CHECK(n >= 1, "bce_with_logits_loss: no elements");
  ASSAY_DISPATCH(T, ctx, bce_with_logits_loss, n, pos_weight, x, target, loss, dx);
}

#define ASSAY_INSTANTIATE(T)                                                                    \
  template void mse_loss(Context& ctx, int64_t n, const T* x, const T* target, T* loss, T* dx); \
  template void mse_rows(Context& ctx, int64_t rows, int64_t C, const T* x, const T* target,    \
                         T* out);                                                               \
  template void bce_with_logits_loss(Context& ctx, int64_t n, T pos_weight, const T* x,         \
                                     const T* target, T* loss, T* dx)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
