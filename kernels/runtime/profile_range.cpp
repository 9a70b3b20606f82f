#include "kernels/runtime/profile_range.h"

#if ASSAY_HAVE_CUDA
#include "kernels/runtime/cuda/cuda_context.h"
#endif

namespace assay {

#if ASSAY_HAVE_CUDA
ProfileRange::ProfileRange(std::string_view name) {
  cuda::begin_range(name);
}
ProfileRange::~ProfileRange() {
  cuda::end_range();
}
#else
ProfileRange::ProfileRange(std::string_view) {}
ProfileRange::~ProfileRange() = default;
#endif

}  // namespace assay
