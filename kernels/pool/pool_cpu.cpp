#include "kernels/pool/pool_backends.h"
#include "kernels/pool/pool_ref.h"

namespace assay::cpu {
void max_pool_fprop(Context&, const PoolShape& s, const float* x, float* y, uint8_t* argmax) {
  ref::max_pool_fprop(s, x, y, argmax);
}
void max_pool_bprop(Context&, const PoolShape& s, const float* dy, const uint8_t* argmax,
                    float* dx) {
  ref::max_pool_bprop(s, dy, argmax, dx);
}
void avg_pool_fprop(Context&, const PoolShape& s, const float* x, float* y) {
  ref::avg_pool_fprop(s, x, y);
}
void avg_pool_bprop(Context&, const PoolShape& s, const float* dy, float* dx) {
  ref::avg_pool_bprop(s, dy, dx);
}
void upsample_fprop(Context&, const UpsampleShape& s, const float* x, float* y) {
  ref::upsample_fprop(s, x, y);
}
void upsample_bprop(Context&, const UpsampleShape& s, const float* dy, float* dx) {
  ref::upsample_bprop(s, dy, dx);
}
}  // namespace assay::cpu
