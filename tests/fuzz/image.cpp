#include "data/image_io.h"
#include "kernels/runtime/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const assay::DecodedImage decoded = assay::decode({data, size}, "fuzzed", {.alpha = true});
    if (decoded.image.pixels.size() != decoded.image.size() || decoded.image.size() == 0)
      __builtin_trap();
  } catch (const assay::DataError&) {
  }
  return 0;
}
