// Tensor maps: TMA's descriptors of tensors, made on the host.
#pragma once

#include "kernels/runtime/cuda/check.cuh"
#include "kernels/runtime/cuda/ptx_sm90.cuh"

namespace assay::cuda {

/// A dense tensor of kRank dimensions in global memory, innermost first, and the boxes in which TMA
/// copies it: box elements along each dimension, every step-th of the tensor (step[0] is 1).
template <int kRank>
struct BoxedTensor {
  const void* base;           // a multiple of 16 bytes, as are its rows
  uint64_t size[kRank] = {};  // elements
  uint32_t box[kRank] = {};   // at most 256 / step
  uint32_t swizzle_bytes;     // 0, 32, 64 or 128, at least the bytes of a row of the box
  ptx::TensorElement element = ptx::TensorElement::float32;
  uint32_t step[kRank] = {};  // 0 means 1
};

/// Throws DeviceError if the driver refuses the tensor or the box.
template <int kRank>
ptx::TensorMap make_tensor_map(const BoxedTensor<kRank>& t) {
  static_assert(kRank >= 2 && kRank <= 5);
  uint64_t stride = t.element == ptx::TensorElement::bfloat16 ? 2 : 4;
#if defined(__CUDACC__)
  // Through the runtime, so that the program need not link libcuda.
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    ASSAY_CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                      cudaEnableDefault, &found));
    if (found != cudaDriverEntryPointSuccess)
      throw DeviceError("tensor map: this driver has no TMA");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  cuuint64_t size[kRank], stride_bytes[kRank];
  cuuint32_t box[kRank], step[kRank];
  for (int i = 0; i < kRank; ++i) {
    step[i] = t.step[i] == 0 ? 1 : t.step[i];
    size[i] = t.size[i];
    box[i] = t.box[i] * step[i];
    stride_bytes[i] = stride *= t.size[i];  // from one index of dimension i + 1 to the next
  }
  const CUtensorMapDataType element =
      t.element == ptx::TensorElement::float32    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
      : t.element == ptx::TensorElement::tfloat32 ? CU_TENSOR_MAP_DATA_TYPE_TFLOAT32
                                                  : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUtensorMapSwizzle swizzle = t.swizzle_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                     : t.swizzle_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                     : t.swizzle_bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                             : CU_TENSOR_MAP_SWIZZLE_NONE;
  ptx::TensorMap map;
  const CUresult result =
      encode(&map.map, element, kRank, const_cast<void*>(t.base), size, stride_bytes, box, step,
             CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    std::string sizes;
    for (const uint64_t n : t.size) sizes.append(" ").append(std::to_string(n));
    throw DeviceError("tensor map: cuTensorMapEncodeTiled gives " + std::to_string(result) +
                      " for a tensor of" + sizes);
  }
  return map;
#else
  ptx::TensorMap map{
      .base = t.base, .element = t.element, .rank = kRank, .swizzle_bytes = t.swizzle_bytes};
  for (int i = 0; i < kRank; ++i) {
    map.size[i] = t.size[i];
    map.stride_bytes[i] = stride;
    map.step[i] = t.step[i] == 0 ? 1 : t.step[i];
    map.box[i] = t.box[i] * map.step[i];
    stride *= t.size[i];
  }
  emulator::check_tensor_map(map);
  return map;
#endif
}

}  // namespace assay::cuda
