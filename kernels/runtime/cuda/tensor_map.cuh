// Tensor maps: TMA's descriptors of matrices, made on the host.
#pragma once

#include "kernels/runtime/cuda/check.cuh"
#include "kernels/runtime/cuda/ptx_sm90.cuh"

namespace assay::cuda {

/// A row-major (rows, columns) matrix of floats at `base` (a multiple of 16 bytes, as is a row),
/// read in boxes of (box_rows, box_columns); `swizzle_bytes` is 0, 32, 64 or 128 and at least a row
/// of the box. Throws DeviceError if the driver refuses it.
inline ptx::TensorMap make_tensor_map(const float* base, uint64_t columns, uint64_t rows,
                                      uint32_t box_columns, uint32_t box_rows,
                                      uint32_t swizzle_bytes) {
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
  const cuuint64_t size[2] = {columns, rows}, row_bytes[1] = {columns * sizeof(float)};
  const cuuint32_t box[2] = {box_columns, box_rows}, every_element[2] = {1, 1};
  const CUtensorMapSwizzle swizzle = swizzle_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                     : swizzle_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                     : swizzle_bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                           : CU_TENSOR_MAP_SWIZZLE_NONE;
  ptx::TensorMap map;
  const CUresult result =
      encode(&map.map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, const_cast<float*>(base), size,
             row_bytes, box, every_element, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw DeviceError("tensor map: cuTensorMapEncodeTiled gives " + std::to_string(result) +
                      " for a matrix of " + std::to_string(rows) + "x" + std::to_string(columns));
  return map;
#else
  return emulator::make_tensor_map(base, columns, rows, columns * sizeof(float), box_columns,
                                   box_rows, swizzle_bytes);
#endif
}

}  // namespace assay::cuda
