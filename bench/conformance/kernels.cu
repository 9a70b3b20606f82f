#include "bench/conformance/cases.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::conformance {
namespace {

// ---- cp.async: 32 lanes copy; every third one writes zeros instead

template <int kBytes>
__global__ void cp_async(const uint32_t* in, uint32_t* out) {
  constexpr int kWords = kBytes / 4;
  ASSAY_SHARED(uint32_t, tile, [32 * 4]);
  const int lane = threadIdx.x;
  ptx::cp_async<kBytes>(&tile[lane * kWords], in + lane * kWords, lane % 3 != 0);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < kWords; ++i) out[lane * kWords + i] = tile[lane * kWords + i];
}

__global__ void cp_async_groups(const uint32_t* in, uint32_t* out) {
  ASSAY_SHARED(uint32_t, tile, [2][32]);
  const int lane = threadIdx.x;
  for (int group = 0; group < 2; ++group) {
    ptx::cp_async<4>(&tile[group][lane], in + 32 * group + lane);
    ptx::cp_async_commit();
  }
  ptx::cp_async_wait<1>();
  out[lane] = tile[0][lane];
  ptx::cp_async_wait<0>();
  out[32 + lane] = tile[1][lane];
}

// ---- conversions

__global__ void cvt_tf32(const uint32_t* in, uint32_t* out) {
  const uint32_t bits = in[threadIdx.x];
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;  // which NaN comes out is not specified
  const bool tie = (bits & 0x1fffu) == 0x1000u;  // sm_80 rounds it away from zero, sm_90 to even
  out[threadIdx.x] = ptx::cvt_tf32(__uint_as_float(nan || tie ? 0x3f801001u : bits));
}

__global__ void cvt_bf16x2(const uint32_t* in, uint32_t* out) {
  const int lane = threadIdx.x;
  out[lane] = ptx::cvt_bf16x2(__uint_as_float(in[2 * lane]), __uint_as_float(in[2 * lane + 1]));
  out[32 + lane] = bf16(__uint_as_float(in[lane])).bits;
}

// ---- mma: each lane's registers straight from the input, so the layout itself is compared

template <int kA, int kB, class Mma>
__device__ __forceinline__ void run_mma(const uint32_t* in, uint32_t* out, Mma mma) {
  const int lane = threadIdx.x;
  uint32_t a[kA], b[kB];
  float d[4];
  for (int i = 0; i < kA; ++i) a[i] = in[kA * lane + i];
  for (int i = 0; i < kB; ++i) b[i] = in[32 * kA + kB * lane + i];
  for (int i = 0; i < 4; ++i) d[i] = __uint_as_float(in[32 * (kA + kB) + 4 * lane + i]);
  mma(d, a, b);
  for (int i = 0; i < 4; ++i) out[4 * lane + i] = __float_as_uint(d[i]);
}

__global__ void mma_m16n8k4_tf32(const uint32_t* in, uint32_t* out) {
  run_mma<2, 1>(in, out, [](auto& d, auto& a, auto& b) { ptx::mma_m16n8k4_tf32(d, a, b); });
}
__global__ void mma_m16n8k8_tf32(const uint32_t* in, uint32_t* out) {
  run_mma<4, 2>(in, out, [](auto& d, auto& a, auto& b) { ptx::mma_m16n8k8_tf32(d, a, b); });
}
// 1000 products: long enough to tell how the additions are rounded (adders.h).
__global__ void mma_chain_tf32(const uint32_t* in, uint32_t* out) {
  run_mma<4, 2>(in, out, [](auto& d, auto& a, auto& b) {
    for (int i = 0; i < kChain; ++i) ptx::mma_m16n8k8_tf32(d, a, b);
  });
}
__global__ void mma_m16n8k16_bf16(const uint32_t* in, uint32_t* out) {
  // The upper half of a float is a bf16 of its own; two of them make a register.
  run_mma<4, 2>(in, out, [](auto& d, auto& a, auto& b) {
    uint32_t pa[4], pb[2];
    for (int i = 0; i < 4; ++i) pa[i] = __byte_perm(a[i], a[(i + 1) % 4], 0x7632);
    for (int i = 0; i < 2; ++i) pb[i] = __byte_perm(b[i], b[(i + 1) % 2], 0x7632);
    ptx::mma_m16n8k16_bf16(d, pa, pb);
  });
}

// ---- ldmatrix: four 8x8 matrices of 16 bits

template <int kMatrices, class Load>
__device__ __forceinline__ void run_ldmatrix(const uint32_t* in, uint32_t* out, Load load) {
  ASSAY_SHARED(uint32_t, rows, [32][4]);
  const int lane = threadIdx.x;
  for (int i = 0; i < 4; ++i) rows[lane][i] = in[4 * lane + i];
  __syncthreads();
  uint32_t r[kMatrices];
  load(r, rows[lane]);
  for (int i = 0; i < kMatrices; ++i) out[kMatrices * lane + i] = r[i];
}
__global__ void ldmatrix_x1(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<1>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x1(r, row); });
}
__global__ void ldmatrix_x2(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<2>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x2(r, row); });
}
__global__ void ldmatrix_x4(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<4>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x4(r, row); });
}
__global__ void ldmatrix_x1_trans(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<1>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x1_trans(r, row); });
}
__global__ void ldmatrix_x2_trans(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<2>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x2_trans(r, row); });
}
__global__ void ldmatrix_x4_trans(const uint32_t* in, uint32_t* out) {
  run_ldmatrix<4>(in, out, [](auto& r, const uint32_t* row) { ptx::ldmatrix_x4_trans(r, row); });
}

// ---- named barriers: warp 0 hands a tile to warp 1 and gets it back

__global__ void named_barriers(const uint32_t* in, uint32_t* out) {
  ASSAY_SHARED(uint32_t, tile, [32]);
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    tile[lane] = in[lane];
    ptx::bar_arrive(1, 64);
    ptx::bar_sync(2, 64);
    out[lane] = tile[31 - lane];
  } else {
    ptx::bar_sync(1, 64);
    tile[lane] ^= in[32 + lane];
    ptx::bar_arrive(2, 64);
  }
}

// ---- cache hints

__global__ void load_and_store_once(const uint32_t* in, uint32_t* out) {
  const int lane = threadIdx.x;
  const auto* from = reinterpret_cast<const float*>(in);
  auto* to = reinterpret_cast<float*>(out);
  ptx::store_once(to + lane, ptx::load_once(from + 31 - lane));
  ptx::store_once(reinterpret_cast<float4*>(to + 32) + lane,
                  ptx::load_once(reinterpret_cast<const float4*>(from + 32) + 31 - lane));
}

// ---- the warp intrinsics that have no wrapper

__global__ void shuffles(const uint32_t* in, uint32_t* out) {
  const int lane = threadIdx.x;
  const uint32_t v = in[lane];
  out[lane] = __shfl_sync(~0u, v, int(v % 32));
  out[32 + lane] = __shfl_sync(~0u, v, 5, 8);
  out[64 + lane] = __shfl_up_sync(~0u, v, 3, 16);
  out[96 + lane] = __shfl_down_sync(~0u, v, 3, 16);
  out[128 + lane] = __shfl_xor_sync(~0u, v, 9);
  out[160 + lane] = __shfl_xor_sync(~0u, v, 12, 8);  // a source outside of the segment
}

__global__ void votes_and_reductions(const uint32_t* in, uint32_t* out) {
  const int lane = threadIdx.x;
  const uint32_t v = in[lane];
  const int s = int(v);
  out[lane] = __ballot_sync(~0u, s < 0);
  out[32 + lane] = uint32_t(__any_sync(~0u, v == 7)) | uint32_t(__all_sync(~0u, v != 7)) << 1;
  out[64 + lane] = __reduce_add_sync(~0u, v);
  out[96 + lane] = uint32_t(__reduce_min_sync(~0u, s));
  out[128 + lane] = uint32_t(__reduce_max_sync(~0u, s));
  out[160 + lane] = __reduce_min_sync(~0u, v);
  out[192 + lane] = __reduce_max_sync(~0u, v);
  out[224 + lane] = __reduce_and_sync(~0u, v);
  out[256 + lane] = __reduce_or_sync(~0u, v);
  out[288 + lane] = __reduce_xor_sync(~0u, v);
}

template <void (*kKernel)(const uint32_t*, uint32_t*), int kThreads = 32>
void launch(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(kKernel, 1, kThreads, 0, static_cast<cudaStream_t>(stream), in, out);
}

// K products below 1 and an addend below 1, each addition rounded (or cut off) to 2^-23 of a
// partial sum below K + 1.
constexpr double mma_bound(int K) {
  return K * (K + 1) * 0x1p-23;
}

}  // namespace

std::vector<Case> cases() {
  return {
      {"cp_async_4", Input::bits, 32, 32, 0, false, launch<cp_async<4>>},
      {"cp_async_8", Input::bits, 64, 64, 0, false, launch<cp_async<8>>},
      {"cp_async_16", Input::bits, 128, 128, 0, false, launch<cp_async<16>>},
      {"cp_async_groups", Input::bits, 64, 64, 0, false, launch<cp_async_groups>},
      {"cvt_tf32", Input::bits, 1024, 1024, 0, false, launch<cvt_tf32, 1024>},
      {"cvt_bf16x2", Input::bits, 64, 64, 0, false, launch<cvt_bf16x2>},
      {"mma_m16n8k4_tf32", Input::floats, 224, 128, mma_bound(4), false, launch<mma_m16n8k4_tf32>},
      {"mma_m16n8k8_tf32", Input::floats, 320, 128, mma_bound(8), false, launch<mma_m16n8k8_tf32>},
      {"mma_m16n8k16_bf16", Input::floats, 320, 128, mma_bound(16), false,
       launch<mma_m16n8k16_bf16>},
      {"mma_chain_tf32", Input::floats, 320, 128, mma_bound(8 * kChain), false,
       launch<mma_chain_tf32>},
      {"ldmatrix_x1", Input::bits, 128, 32, 0, false, launch<ldmatrix_x1>},
      {"ldmatrix_x2", Input::bits, 128, 64, 0, false, launch<ldmatrix_x2>},
      {"ldmatrix_x4", Input::bits, 128, 128, 0, false, launch<ldmatrix_x4>},
      {"ldmatrix_x1_trans", Input::bits, 128, 32, 0, false, launch<ldmatrix_x1_trans>},
      {"ldmatrix_x2_trans", Input::bits, 128, 64, 0, false, launch<ldmatrix_x2_trans>},
      {"ldmatrix_x4_trans", Input::bits, 128, 128, 0, false, launch<ldmatrix_x4_trans>},
      {"named_barriers", Input::bits, 64, 32, 0, false, launch<named_barriers, 64>},
      {"load_and_store_once", Input::bits, 160, 160, 0, false, launch<load_and_store_once>},
      {"shuffles", Input::bits, 32, 192, 0, false, launch<shuffles>},
      {"votes_and_reductions", Input::bits, 32, 320, 0, false, launch<votes_and_reductions>},
  };
}

}  // namespace assay::conformance
