#include "kernels/ssim/ssim.h"

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"
#include "kernels/ssim/ssim_backends.h"
#include "kernels/ssim/ssim_ref.h"

namespace assay {
namespace {
void check(const SsimShape& s) {
  ASSAY_CHECK(s.H >= kSsimTaps && s.W >= kSsimTaps,
              "ssim: images of {}x{} are smaller than the window of 11x11", s.H, s.W);
}
}  // namespace

template <class T>
void ssim(Context& ctx, const SsimShape& s, const T* x, const T* y, T* value, T* map) {
  check(s);
  ASSAY_DISPATCH(T, ctx, ssim, s, x, y, value, map);
}

template <class T>
void ssim_bprop(Context& ctx, const SsimShape& s, const T* x, const T* y, const T* dvalue, T* dx) {
  check(s);
  ASSAY_DISPATCH(T, ctx, ssim_bprop, s, x, y, dvalue, dx);
}

#define ASSAY_INSTANTIATE(T)                                                                      \
  template void ssim(Context& ctx, const SsimShape& s, const T* x, const T* y, T* value, T* map); \
  template void ssim_bprop(Context& ctx, const SsimShape& s, const T* x, const T* y,              \
                           const T* dvalue, T* dx)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
