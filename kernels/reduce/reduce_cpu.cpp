#include "kernels/reduce/reduce_backends.h"
#include "kernels/reduce/reduce_ref.h"

namespace assay::cpu {
void reduce_sum(Context&, int64_t n, const float* x, float* out) {
  ref::reduce_sum(n, x, out);
}
void reduce_columns(Context&, int64_t rows, int C, const float* x, float* out) {
  ref::reduce_columns(rows, C, x, out);
}
void reduce_rows(Context&, int64_t rows, int64_t C, const float* x, float* out) {
  ref::reduce_rows(rows, C, x, out);
}
void all_finite(Context&, int64_t n, const float* x, bool* finite) {
  ref::all_finite(n, x, finite);
}
}  // namespace assay::cpu
