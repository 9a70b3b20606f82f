// Every PTX instruction that Assay's kernels use, behind a named function.
//
// Only this file and its Hopper half, ptx_sm90.cuh, contain asm. Each function has two bodies: the
// instruction, for nvcc, and its meaning, for the emulator. bench/conformance compares them on a
// real GPU. Section names refer to the PTX ISA reference.
#pragma once

#include <cstdint>

#include "kernels/runtime/bf16.h"
#if defined(__CUDACC__)
#define ASSAY_PTX __device__ __forceinline__
#else
#include <bit>

#include "kernels/emulator/instructions.h"
#define ASSAY_PTX inline
#endif

namespace assay::ptx {

// The source line that calls a collective. The emulator reports it; nvcc drops the empty argument.
#if defined(__CUDACC__)
struct Site {
  __device__ static constexpr Site current() { return {}; }
};
#else
using emulator::Site;
#endif

/// Address in the 32-bit window of shared memory, as PTX expects it.
ASSAY_PTX uint32_t shared_address(const void* p) {
#if defined(__CUDACC__)
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
#else
  return emulator::shared_address(p);
#endif
}

// ---- cp.async: global to shared memory without registers ("Non-bulk copy")

/// Starts a copy of kBytes = 4, 8 or 16, all addresses multiples of kBytes. If `valid` is false it
/// writes zeros and does not read `global`, which may lie anywhere (CUTLASS's cp_async_zfill counts
/// on that). Copies of 16 bytes bypass L1.
template <int kBytes>
ASSAY_PTX void cp_async(void* shared, const void* global, bool valid = true,
                        Site site = Site::current()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#if defined(__CUDACC__)
  const int source_bytes = valid ? kBytes : 0;
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(source_bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                 "l"(global), "n"(kBytes), "r"(source_bytes)
                 : "memory");
#else
  emulator::cp_async(shared, global, kBytes, valid, site);
#endif
}

/// Ends a group of copies of this thread.
ASSAY_PTX void cp_async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulator::cp_async_commit();
#endif
}

/// Waits until at most kPending groups of this thread are unfinished. Other threads see the data
/// only after a barrier as well.
template <int kPending>
ASSAY_PTX void cp_async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#else
  emulator::cp_async_wait(kPending);
#endif
}

// ---- conversions

/// Rounds to TF32 (11 significant bits, 10 of them stored); the result is a float's bits. Ties go
/// to even on sm_90 and in the emulator, away from zero on sm_80.
ASSAY_PTX uint32_t cvt_tf32(float f) {
#if defined(__CUDACC__)
  uint32_t r;
#if __CUDA_ARCH__ >= 900  // one instruction; .rna would be three there
  asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(r) : "f"(f));
#else
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(f));
#endif
  return r;
#else
  return emulator::round_to_tf32(std::bit_cast<uint32_t>(f));
#endif
}

/// Two floats as two bf16, rounded to nearest even: `low` in bits 0-15, `high` in bits 16-31.
ASSAY_PTX uint32_t cvt_bf16x2(float low, float high) {
#if defined(__CUDACC__)
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  return uint32_t{bf16(low).bits} | uint32_t{bf16(high).bits} << 16;
#endif
}

// ---- mma.sync: D += A B on the tensor cores, one warp ("Matrix multiply-accumulate
// instructions"). With g = lane / 4, q = lane % 4 a lane holds
//   d[0..3]  D(g, 2q), D(g, 2q+1), D(g+8, 2q), D(g+8, 2q+1)

/// a: A(g, q), A(g+8, q); b: B(q, g); TF32 bits.
ASSAY_PTX void mma_m16n8k4_tf32(float (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1],
                                Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]));
#else
  emulator::MmaOperand operand{d, a, b};
  emulator::warp_collective(emulator::kMmaM16N8K4Tf32, ~0u, &operand, site);
#endif
}

/// a: A(g, q), A(g+8, q), A(g, q+4), A(g+8, q+4); b: B(q, g), B(q+4, g); TF32 bits.
ASSAY_PTX void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  emulator::MmaOperand operand{d, a, b};
  emulator::warp_collective(emulator::kMmaM16N8K8Tf32, ~0u, &operand, site);
#endif
}

/// Pairs of bf16, the even column (row of B) in the low half. a: A(g, 2q..), A(g+8, 2q..),
/// A(g, 2q+8..), A(g+8, 2q+8..); b: B(2q.., g), B(2q+8.., g).
ASSAY_PTX void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  emulator::MmaOperand operand{d, a, b};
  emulator::warp_collective(emulator::kMmaM16N8K16Bf16, ~0u, &operand, site);
#endif
}

// ---- ldmatrix: 8x8 matrices of 16-bit elements from shared memory into mma fragments.
// Lanes 8j .. 8j+7 give the addresses (multiples of 16) of the 8 rows of matrix j; lane (g, q) gets
// elements 2q, 2q+1 of row g of matrix j in r[j], with _trans of column g.

#if defined(__CUDACC__)
#define ASSAY_LDMATRIX_X1(modifier, r, row)                                       \
  asm volatile("ldmatrix.sync.aligned.m8n8.x1" modifier ".shared.b16 {%0}, [%1];" \
               : "=r"((r)[0])                                                     \
               : "r"(shared_address(row))                                         \
               : "memory")
#define ASSAY_LDMATRIX_X2(modifier, r, row)                                          \
  asm volatile("ldmatrix.sync.aligned.m8n8.x2" modifier ".shared.b16 {%0,%1}, [%2];" \
               : "=r"((r)[0]), "=r"((r)[1])                                          \
               : "r"(shared_address(row))                                            \
               : "memory")
#define ASSAY_LDMATRIX_X4(modifier, r, row)                                                \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4" modifier ".shared.b16 {%0,%1,%2,%3}, [%4];" \
               : "=r"((r)[0]), "=r"((r)[1]), "=r"((r)[2]), "=r"((r)[3])                    \
               : "r"(shared_address(row))                                                  \
               : "memory")
#else
inline void emulate_ldmatrix(int log2_matrices, bool transpose, uint32_t* r, const void* row,
                             Site site) {
  emulator::LdmatrixOperand operand{row, r};
  emulator::warp_collective(emulator::kLdmatrix[log2_matrices][transpose], ~0u, &operand, site);
}
#define ASSAY_LDMATRIX_X1(modifier, r, row) emulate_ldmatrix(0, sizeof(modifier) > 1, r, row, site)
#define ASSAY_LDMATRIX_X2(modifier, r, row) emulate_ldmatrix(1, sizeof(modifier) > 1, r, row, site)
#define ASSAY_LDMATRIX_X4(modifier, r, row) emulate_ldmatrix(2, sizeof(modifier) > 1, r, row, site)
#endif

ASSAY_PTX void ldmatrix_x1(uint32_t (&r)[1], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X1("", r, row);
}
ASSAY_PTX void ldmatrix_x2(uint32_t (&r)[2], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X2("", r, row);
}
ASSAY_PTX void ldmatrix_x4(uint32_t (&r)[4], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X4("", r, row);
}
ASSAY_PTX void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X1(".trans", r, row);
}
ASSAY_PTX void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X2(".trans", r, row);
}
ASSAY_PTX void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, Site site = Site::current()) {
  ASSAY_LDMATRIX_X4(".trans", r, row);
}
#undef ASSAY_LDMATRIX_X1
#undef ASSAY_LDMATRIX_X2
#undef ASSAY_LDMATRIX_X4

// ---- named barriers: some warps of the block meet at barrier `id`, 1 to 15 ("bar, barrier").
// `threads`, a multiple of 32, counts those who wait (bar_sync) and those who only signal.

ASSAY_PTX void bar_sync(unsigned id, unsigned threads, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  emulator::named_barrier_sync(id, threads, site);
#endif
}
ASSAY_PTX void bar_arrive(unsigned id, unsigned threads, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  emulator::named_barrier_arrive(id, threads, site);
#endif
}

// ---- loads and stores with cache hints

/// Reads data that is not written during the kernel and not read again; it is not kept in L1.
ASSAY_PTX float4 load_once(const float4* p) {
#if defined(__CUDACC__)
  float4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(p));
  return v;
#else
  return *p;
#endif
}
ASSAY_PTX float load_once(const float* p) {
#if defined(__CUDACC__)
  float v;
  asm volatile("ld.global.nc.L1::no_allocate.f32 %0, [%1];" : "=f"(v) : "l"(p));
  return v;
#else
  return *p;
#endif
}
/// Writes data that this kernel does not read again; the caches evict it first.
ASSAY_PTX void store_once(float4* p, float4 v) {
#if defined(__CUDACC__)
  asm volatile("st.global.cs.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(p), "f"(v.x), "f"(v.y), "f"(v.z),
               "f"(v.w)
               : "memory");
#else
  *p = v;
#endif
}
ASSAY_PTX void store_once(float* p, float v) {
#if defined(__CUDACC__)
  asm volatile("st.global.cs.f32 [%0], %1;" ::"l"(p), "f"(v) : "memory");
#else
  *p = v;
#endif
}

}  // namespace assay::ptx
