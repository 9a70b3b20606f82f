#include "kernels/ssim/ssim_backends.h"
#include "kernels/ssim/ssim_ref.h"

namespace assay::cpu {
void ssim(Context&, const SsimShape& s, const float* x, const float* y, float* value, float* map) {
  ref::ssim(s, x, y, value, map);
}
void ssim_bprop(Context&, const SsimShape& s, const float* x, const float* y, const float* dvalue,
                float* dx) {
  ref::ssim_bprop(s, x, y, dvalue, dx);
}
}  // namespace assay::cpu
