// The Hopper half of ptx.cuh: mbarrier, TMA, wgmma and the proxy fence. Kernels that use these are
// compiled for sm_90a only.
#pragma once

#include "kernels/runtime/cuda/ptx.cuh"
#if defined(__CUDACC__)
#include <cuda.h>
#endif

namespace assay::ptx {

// ---- mbarrier: a barrier in shared memory whose phase completes when all expected arrivals and
// all expected bytes of asynchronous copies have come ("mbarrier")

ASSAY_PTX void mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
#else
  emulator::memory_barrier_init(barrier, arrivals, site);
#endif
}

/// Makes the new state visible to TMA; call it after mbarrier_init, before the block's barrier.
ASSAY_PTX void mbarrier_init_fence() {
#if defined(__CUDACC__)
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

ASSAY_PTX void mbarrier_arrive(uint64_t* barrier, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
#else
  emulator::memory_barrier_arrive(barrier, 0, site);
#endif
}

/// Arrives, and makes the phase wait for `bytes` more of asynchronous copies.
ASSAY_PTX void mbarrier_arrive_expect_tx(uint64_t* barrier, uint32_t bytes,
                                         Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
#else
  emulator::memory_barrier_arrive(barrier, bytes, site);
#endif
}

/// Waits for the end of the phase with this parity: 0 for the first, 1 for the second, 0, ...
ASSAY_PTX void mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "WAIT_%=:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra DONE_%=;\n"
      "bra WAIT_%=;\n"
      "DONE_%=:\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
#else
  emulator::memory_barrier_wait(barrier, parity, site);
#endif
}

/// Makes this thread's ordinary stores to shared memory visible to TMA and wgmma.
ASSAY_PTX void fence_proxy_async() {
#if defined(__CUDACC__)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
  emulator::fence_proxy_async();
#endif
}

// ---- TMA ("cp.async.bulk.tensor")

/// A matrix in global memory and a box of it, made by make_tensor_map() (tensor_map.cuh). Passed to
/// kernels as `const __grid_constant__ TensorMap`.
#if defined(__CUDACC__)
struct TensorMap {
  CUtensorMap map;
};
#else
using emulator::TensorMap;
#endif

/// Starts the copy of the box at (column, row) to `shared` (a multiple of 128 bytes; of 1024 with
/// the 128-byte swizzle); its bytes count off `barrier`. Outside of the matrix the box is 0.
ASSAY_PTX void tma_load_2d(void* shared, const TensorMap& map, uint64_t* barrier, int column,
                           int row, Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row)
      : "memory");
#else
  emulator::tma_load_2d(shared, map, barrier, column, row, site);
#endif
}

// ---- wgmma: matrix products of a warpgroup (128 threads), operands in shared memory
// ("Asynchronous warpgroup level matrix instructions")

/// Needed before the first wgmma, and after registers or shared operands were written otherwise.
ASSAY_PTX void wgmma_fence() {
#if defined(__CUDACC__)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
  emulator::wgmma_fence();
#endif
}
ASSAY_PTX void wgmma_commit(Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  emulator::warpgroup_collective(emulator::kWgmmaCommit, nullptr, site);
#endif
}
template <int kPending>
ASSAY_PTX void wgmma_wait(Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#else
  emulator::wgmma_wait(kPending, site);
#endif
}

/// Descriptor of a K-major operand with the 128-byte swizzle: atoms of 8 rows x 128 bytes, which
/// follow each other at `stride_bytes` ("Shared memory matrix descriptor").
ASSAY_PTX uint64_t wgmma_descriptor(const void* p, uint32_t stride_bytes = 1024) {
  return uint64_t{(shared_address(p) & 0x3ffff) >> 4} | uint64_t{1} << 16 |
         uint64_t{stride_bytes >> 4} << 32 | uint64_t{1} << 62;
}

/// D (64x64) = A B^T (+ D if `accumulate`); A and B are 64x8 tiles of TF32. Thread t of the
/// warpgroup, with w = t / 32, g = t % 32 / 4, q = t % 4, holds in d[4j + e] the element
/// D(16w + g + 8(e/2), 8j + 2q + e%2). To be waited for with wgmma_commit and wgmma_wait.
ASSAY_PTX void wgmma_m64n64k8_tf32(float (&d)[32], uint64_t a, uint64_t b, bool accumulate,
                                   Site site = Site::current()) {
#if defined(__CUDACC__)
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, p, 1, 1;\n"
      "}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
        "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
#else
  emulator::wgmma_check_fence(site);
  emulator::WgmmaOperand operand{d, a, b, accumulate};
  emulator::warpgroup_collective(emulator::kWgmmaM64N64K8Tf32, &operand, site);
#endif
}

}  // namespace assay::ptx
