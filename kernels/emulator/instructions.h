// The PTX instructions that the emulator has, as C++ functions. Kernels call their wrappers in
// kernels/runtime/cuda/ptx.cuh, whose comments say what each instruction does.
#pragma once

#include <cstdint>

#include "kernels/emulator/machine.h"

namespace assay::emulator {

// ---- cp.async (async_copy.cpp)
/// `valid` = false writes zeros and reads nothing.
void cp_async(void* shared, const void* global, int bytes, bool valid, Site site);
void cp_async_commit();
void cp_async_wait(int pending_groups);

// ---- tensor cores (mma.cpp)
struct MmaOperand {
  float* d;           // accumulator fragment: 4
  const uint32_t* a;  // 4 registers, or 2 for m16n8k4
  const uint32_t* b;  // 2 registers, or 1
};
extern const WarpOperation kMmaM16N8K4Tf32, kMmaM16N8K8Tf32, kMmaM16N8K16Bf16;
struct LdmatrixOperand {
  const void* row;  // address of one 8x16-bit row, from lanes 0 .. 8 * matrices - 1
  uint32_t* r;      // one register per matrix
};
extern const WarpOperation kLdmatrix[3][2];  // [x1, x2, x4][plain, .trans]

// ---- mbarrier (barriers.cpp)
void memory_barrier_init(uint64_t* barrier, uint32_t arrivals, Site site);
void memory_barrier_arrive(uint64_t* barrier, uint32_t expected_bytes, Site site);
void memory_barrier_wait(uint64_t* barrier, uint32_t parity, Site site);

// ---- TMA (tma.cpp)
/// What a CUtensorMap holds, for a matrix of 4-byte elements.
struct alignas(64) TensorMap {
  const void* base;
  uint64_t columns, rows, row_bytes;
  uint32_t box_columns, box_rows;
  uint32_t swizzle_bytes;  // 0, 32, 64 or 128
};
/// Throws Error for arguments that cuTensorMapEncodeTiled refuses.
TensorMap make_tensor_map(const void* base, uint64_t columns, uint64_t rows, uint64_t row_bytes,
                          uint32_t box_columns, uint32_t box_rows, uint32_t swizzle_bytes);
void tma_load_2d(void* shared, const TensorMap& map, uint64_t* barrier, int column, int row,
                 Site site);
/// The address to which the swizzle moves the byte at `address` of shared memory.
uint32_t swizzled(uint32_t address, uint32_t swizzle_bytes);

// ---- wgmma (wgmma.cpp)
struct WgmmaOperand {
  float* d;  // 32 values of a 64x64 tile
  uint64_t a, b;
  bool accumulate;
};
extern const WarpgroupOperation kWgmmaM64N64K8Tf32, kWgmmaCommit;
void wgmma_fence();
void wgmma_check_fence(Site site);
void wgmma_wait(int pending_groups, Site site);

// ---- proxies (check.cpp)
void fence_proxy_async();

}  // namespace assay::emulator
