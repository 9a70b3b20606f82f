#include "kernels/runtime/device.h"

#include "kernels/runtime/error.h"

namespace assay {

bool built_with_cuda() {
#if ASSAY_HAVE_CUDA
  return true;
#else
  return false;
#endif
}

#if !ASSAY_HAVE_CUDA
bool cuda_available() {
  return false;
}
#endif

Device Device::cuda() {
#if ASSAY_HAVE_CUDA
  ASSAY_CHECK_AS(DeviceError, cuda_available(),
                 "no CUDA device can be used on this machine; use --device cpu");
#else
  throw DeviceError("this build has no CUDA; use --device cpu, or configure the preset 'cuda'");
#endif
  return {DeviceType::cuda};
}

}  // namespace assay
