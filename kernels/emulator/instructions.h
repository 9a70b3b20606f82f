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
/// Rounds the bits of a float to TF32: 11 significant bits, ties to even. Infinity and NaN stay.
inline uint32_t round_to_tf32(uint32_t bits) {
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? (bits + 0xfffu + (bits >> 13 & 1)) & 0xffffe000u : bits;
}
/// The type of a tensor's elements for TMA; tfloat32 is float in memory and rounded by the copy.
enum class TensorElement : uint8_t { float32, tfloat32, bfloat16 };
/// What a CUtensorMap holds. Dimensions are listed from the innermost, whose elements lie side by
/// side in memory, to the outermost.
struct alignas(64) TensorMap {
  const void* base;
  TensorElement element;
  int rank;                // 1 to 5
  uint32_t swizzle_bytes;  // 0, 32, 64 or 128
  uint64_t size[5] = {};
  uint64_t stride_bytes[5] = {};       // from one index to the next; [0] is the size of an element
  uint32_t box[5] = {}, step[5] = {};  // a box spans box elements and has every step-th of them

  uint32_t element_bytes() const { return element == TensorElement::bfloat16 ? 2 : 4; }
  /// Elements of a box along one dimension, and the bytes of all.
  uint32_t box_elements(int dimension) const {
    return (box[dimension] + step[dimension] - 1) / step[dimension];
  }
  uint32_t box_bytes() const {
    uint32_t bytes = element_bytes();
    for (int i = 0; i < rank; ++i) bytes *= box_elements(i);
    return bytes;
  }
};
/// Throws Error for a map that cuTensorMapEncodeTiled refuses.
void check_tensor_map(const TensorMap& map);
/// at: the indices of the box's first element, `rank` of them.
void tma_load(void* shared, const TensorMap& map, uint64_t* barrier, const int* at, int rank,
              Site site);
/// The address to which the swizzle moves the byte at `address` of shared memory.
uint32_t swizzled(uint32_t address, uint32_t swizzle_bytes);

// ---- wgmma (wgmma.cpp)
struct WgmmaOperand {
  float* d;                     // n / 2 values of a 64 x n tile
  const uint32_t* a_registers;  // 4, or null if A lies in shared memory
  uint64_t a, b;                // descriptors
  bool accumulate;
  int n;         // 8 to 256
  bool is_bf16;  // else TF32
};
extern const WarpgroupOperation kWgmma, kWgmmaCommit;
void wgmma_fence();
void wgmma_check_fence(Site site);
void wgmma_wait(int pending_groups, Site site);
/// setmaxnreg: all threads of a warpgroup ask for the same number.
extern const WarpgroupOperation kSetMaxRegisters;

// ---- proxies (check.cpp)
void fence_proxy_async();

}  // namespace assay::emulator
