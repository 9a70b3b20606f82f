#include "tensor/safetensors.h"

#include "kernels/runtime/error.h"
#include "tests/fuzz/scratch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const assay::ScratchFolder folder;
  try {
    for (const auto& [name, tensor] :
         assay::read_safetensors(folder.write("x", data, size)).tensors)
      if (static_cast<size_t>(assay::numel(tensor.shape)) * size_of(tensor.type) !=
          tensor.bytes.size())
        __builtin_trap();
  } catch (const assay::CheckpointError&) {
  }
  return 0;
}
