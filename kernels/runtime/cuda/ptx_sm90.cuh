// The Hopper half of ptx.cuh: mbarrier, TMA, wgmma, setmaxnreg and the proxy fence. Kernels that
// use these are compiled for sm_90a only.
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

/// A tensor in global memory and the boxes in which it is copied, made by make_tensor_map()
/// (tensor_map.cuh). Passed to kernels as `const __grid_constant__ TensorMap`. TensorElement is the
/// type of its elements: float32, tfloat32 (rounded to TF32 by the copy) or bfloat16.
#if defined(__CUDACC__)
struct TensorMap {
  CUtensorMap map;
};
enum class TensorElement : uint8_t { float32, tfloat32, bfloat16 };
#else
using emulator::TensorElement;
using emulator::TensorMap;
#endif

/// Starts the copy of the box whose first element has the indices `at`, innermost first, to
/// `shared` (a multiple of 128 bytes, and of 8 times the swizzle); its bytes count off `barrier`.
/// Outside of the tensor the box is 0. One thread calls it: tma_load(to, map, barrier, {column,
/// row}).
template <int kRank>
ASSAY_PTX void tma_load(void* shared, const TensorMap& map, uint64_t* barrier,
                        const int (&at)[kRank], Site site = Site::current()) {
  static_assert(kRank >= 2 && kRank <= 5);
#if defined(__CUDACC__)
#define ASSAY_TMA_LOAD(rank, indices)                               \
  "cp.async.bulk.tensor." rank                                      \
  "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "     \
  "[%0], [%1, {" indices "}], [%2];" ::"r"(shared_address(shared)), \
      "l"(&map), "r"(shared_address(barrier)), "r"(at[0]), "r"(at[1])
  if constexpr (kRank == 2)
    asm volatile(ASSAY_TMA_LOAD("2", "%3, %4") : "memory");
  else if constexpr (kRank == 3)
    asm volatile(ASSAY_TMA_LOAD("3", "%3, %4, %5"), "r"(at[2]) : "memory");
  else if constexpr (kRank == 4)
    asm volatile(ASSAY_TMA_LOAD("4", "%3, %4, %5, %6"), "r"(at[2]), "r"(at[3]) : "memory");
  else
    asm volatile(ASSAY_TMA_LOAD("5", "%3, %4, %5, %6, %7"), "r"(at[2]), "r"(at[3]), "r"(at[4])
                 : "memory");
#undef ASSAY_TMA_LOAD
#else
  emulator::tma_load(shared, map, barrier, at, kRank, site);
#endif
}

// ---- setmaxnreg: registers move from the warpgroups that need few to those that need many
// ("Miscellaneous instructions")

/// Gives back all registers of a thread above kCount, or waits until it has kCount. All threads of
/// the warpgroup call it. The kernel has a __launch_bounds__ that fixes what each starts with.
template <int kCount>
ASSAY_PTX void give_registers_back(Site site = Site::current()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
#if defined(__CUDACC__)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
#else
  int count = kCount;
  emulator::warpgroup_collective(emulator::kSetMaxRegisters, &count, site);
#endif
}
template <int kCount>
ASSAY_PTX void get_registers(Site site = Site::current()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
#if defined(__CUDACC__)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
#else
  int count = kCount;
  emulator::warpgroup_collective(emulator::kSetMaxRegisters, &count, site);
#endif
}

// ---- wgmma: matrix products of a warpgroup (128 threads) ("Asynchronous warpgroup level matrix
// instructions")

/// Needed before the first wgmma, and after registers that a wgmma uses were written otherwise.
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

/// Descriptor of a K-major operand with the 128 or 64-byte swizzle: atoms of 8 rows of so many
/// bytes, which follow each other at `stride_bytes` ("Shared memory matrix descriptor").
template <int kSwizzleBytes = 128>
ASSAY_PTX uint64_t wgmma_descriptor(const void* p, uint32_t stride_bytes = 8 * kSwizzleBytes) {
  static_assert(kSwizzleBytes == 128 || kSwizzleBytes == 64);
  return uint64_t{(shared_address(p) & 0x3ffff) >> 4} | uint64_t{1} << 16 |
         uint64_t{stride_bytes >> 4} << 32 | uint64_t{kSwizzleBytes == 128 ? 1 : 2} << 62;
}

// D (64 x kN) = A B^T (+ D if `accumulate`): A is 64 x K, B kN x K; K is 8 in TF32, 16 in bf16.
// Thread t of the warpgroup, with w = t / 32, g = t % 32 / 4, q = t % 4, holds in d[4j + e] the
// element D(16w + g + 8(e/2), 8j + 2q + e%2). To be waited for with wgmma_commit and wgmma_wait.
//
// A lies in shared memory or in registers, there as mma.sync has it (ptx.cuh): TF32 A(16w + g, q),
// A(.. + 8, q), A(.., q + 4), A(.. + 8, q + 4); bf16 the pairs 2q, 2q + 1 and those 8 further.

#if defined(__CUDACC__)
#define ASSAY_REGISTERS_4 "%0,%1,%2,%3"
#define ASSAY_REGISTERS_8 ASSAY_REGISTERS_4 ",%4,%5,%6,%7"
#define ASSAY_REGISTERS_16 ASSAY_REGISTERS_8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define ASSAY_REGISTERS_32 \
  ASSAY_REGISTERS_16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define ASSAY_REGISTERS_64                                                           \
  ASSAY_REGISTERS_32                                                                 \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51" \
  ",%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define ASSAY_REGISTERS_128                                                               \
  ASSAY_REGISTERS_64                                                                      \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83"      \
  ",%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103"  \
  ",%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120" \
  ",%121,%122,%123,%124,%125,%126,%127"
#define ASSAY_SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define ASSAY_SUMS_8(i) ASSAY_SUMS_4(i), ASSAY_SUMS_4(i + 4)
#define ASSAY_SUMS_16(i) ASSAY_SUMS_8(i), ASSAY_SUMS_8(i + 8)
#define ASSAY_SUMS_32(i) ASSAY_SUMS_16(i), ASSAY_SUMS_16(i + 16)
#define ASSAY_SUMS_64(i) ASSAY_SUMS_32(i), ASSAY_SUMS_32(i + 32)
#define ASSAY_SUMS_128(i) ASSAY_SUMS_64(i), ASSAY_SUMS_64(i + 64)
// i0, i1, ...: the operands' numbers, which follow those of the sums.
#define ASSAY_WGMMA_SHARED(n, sums, i0, i1, i2, kind, tail)                                 \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" i2                                      \
               ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n kind "{" ASSAY_REGISTERS_##sums \
               "}, %" i0 ", %" i1 ", p, 1, 1" tail ";\n}"                                   \
               : ASSAY_SUMS_##sums(0)                                                       \
               : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)))
#define ASSAY_WGMMA_REGISTERS(n, sums, i0, i1, i2, i3, i4, i5, kind, tail)                  \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" i5                                      \
               ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n kind "{" ASSAY_REGISTERS_##sums \
               "}, {%" i0 ",%" i1 ",%" i2 ",%" i3 "}, %" i4 ", p, 1, 1" tail ";\n}"         \
               : ASSAY_SUMS_##sums(0)                                                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                        \
                 "r"(static_cast<int>(accumulate)))
#define ASSAY_WGMMA_OF_ANY_WIDTH(instruction, ...)  \
  if constexpr (kN == 8)                            \
    ASSAY_##instruction##_4(8, 4, __VA_ARGS__);     \
  else if constexpr (kN == 16)                      \
    ASSAY_##instruction##_8(16, 8, __VA_ARGS__);    \
  else if constexpr (kN == 32)                      \
    ASSAY_##instruction##_16(32, 16, __VA_ARGS__);  \
  else if constexpr (kN == 64)                      \
    ASSAY_##instruction##_32(64, 32, __VA_ARGS__);  \
  else if constexpr (kN == 128)                     \
    ASSAY_##instruction##_64(128, 64, __VA_ARGS__); \
  else                                              \
    ASSAY_##instruction##_128(256, 128, __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_4(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "4", "5", "6", __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_8(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "8", "9", "10", __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_16(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "16", "17", "18", __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_32(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "32", "33", "34", __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_64(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "64", "65", "66", __VA_ARGS__)
#define ASSAY_WGMMA_SHARED_128(n, s, ...) ASSAY_WGMMA_SHARED(n, s, "128", "129", "130", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_4(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "4", "5", "6", "7", "8", "9", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_8(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "8", "9", "10", "11", "12", "13", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_16(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "16", "17", "18", "19", "20", "21", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_32(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "32", "33", "34", "35", "36", "37", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_64(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "64", "65", "66", "67", "68", "69", __VA_ARGS__)
#define ASSAY_WGMMA_REGISTERS_128(n, s, ...) \
  ASSAY_WGMMA_REGISTERS(n, s, "128", "129", "130", "131", "132", "133", __VA_ARGS__)
#else
inline void wgmma(const emulator::WgmmaOperand& operand, Site site) {
  emulator::wgmma_check_fence(site);
  emulator::WgmmaOperand mine = operand;
  emulator::warpgroup_collective(emulator::kWgmma, &mine, site);
}
#endif

/// The widths that have a wrapper.
template <int kN>
constexpr bool kIsWgmmaWidth =
    kN == 8 || kN == 16 || kN == 32 || kN == 64 || kN == 128 || kN == 256;

/// A and B in shared memory, by their descriptors. wgmma_tf32<64>(d, a, b, true).
template <int kN>
ASSAY_PTX void wgmma_tf32(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate,
                          Site site = Site::current()) {
  static_assert(kIsWgmmaWidth<kN>);
#if defined(__CUDACC__)
  ASSAY_WGMMA_OF_ANY_WIDTH(WGMMA_SHARED, "k8.f32.tf32.tf32 ", "");
#else
  wgmma({d, nullptr, a, b, accumulate, kN, false}, site);
#endif
}
template <int kN>
ASSAY_PTX void wgmma_bf16(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate,
                          Site site = Site::current()) {
  static_assert(kIsWgmmaWidth<kN>);
#if defined(__CUDACC__)
  ASSAY_WGMMA_OF_ANY_WIDTH(WGMMA_SHARED, "k16.f32.bf16.bf16 ", ", 0, 0");
#else
  wgmma({d, nullptr, a, b, accumulate, kN, true}, site);
#endif
}
/// A in registers, which must not change before the wait.
template <int kN>
ASSAY_PTX void wgmma_tf32(float (&d)[kN / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                          Site site = Site::current()) {
  static_assert(kIsWgmmaWidth<kN>);
#if defined(__CUDACC__)
  ASSAY_WGMMA_OF_ANY_WIDTH(WGMMA_REGISTERS, "k8.f32.tf32.tf32 ", "");
#else
  wgmma({d, a, 0, b, accumulate, kN, false}, site);
#endif
}
template <int kN>
ASSAY_PTX void wgmma_bf16(float (&d)[kN / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                          Site site = Site::current()) {
  static_assert(kIsWgmmaWidth<kN>);
#if defined(__CUDACC__)
  ASSAY_WGMMA_OF_ANY_WIDTH(WGMMA_REGISTERS, "k16.f32.bf16.bf16 ", ", 0");
#else
  wgmma({d, a, 0, b, accumulate, kN, true}, site);
#endif
}

}  // namespace assay::ptx
