#include "bench/conformance/cases.h"
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"
#include "kernels/runtime/cuda/tensor_map.cuh"

namespace assay::conformance {
namespace {

// Two phases of an mbarrier between two warps.
__global__ void mbarrier(const uint32_t* in, uint32_t* out) {
  ASSAY_SHARED(uint64_t, barriers, [2]);  // full, empty
  ASSAY_SHARED(uint32_t, tile, [32]);
  const int lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barriers[0], 32);
    ptx::mbarrier_init(&barriers[1], 32);
    ptx::mbarrier_init_fence();
  }
  __syncthreads();
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x < 32) {
      if (round > 0) ptx::mbarrier_wait(&barriers[1], 0);
      tile[lane] = in[32 * round + lane];
      ptx::mbarrier_arrive(&barriers[0]);
    } else {
      ptx::mbarrier_wait(&barriers[0], static_cast<uint32_t>(round));
      out[32 * round + lane] = tile[31 - lane];
      ptx::mbarrier_arrive(&barriers[1]);
    }
  }
}

// A box of 8 rows that hangs over the lower right corner of a 13 x 36 matrix.
constexpr int kRows = 13, kColumns = 36, kBoxRows = 8;

template <int kBoxColumns>
__global__ void tma_load(const __grid_constant__ ptx::TensorMap map, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tile);
  ASSAY_SHARED(uint64_t, barrier, [1]);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 1);
    ptx::mbarrier_init_fence();
    ptx::mbarrier_arrive_expect_tx(barrier, 4 * kBoxColumns * kBoxRows);
    ptx::tma_load(tile, map, barrier, {kColumns - kBoxColumns / 2, kRows - kBoxRows / 2});
  }
  __syncthreads();
  ptx::mbarrier_wait(barrier, 0);
  for (int i = threadIdx.x; i < kBoxColumns * kBoxRows; i += 32) out[i] = tile[i];
}

template <int kBoxColumns, int kSwizzle>
void launch_tma(const uint32_t* in, uint32_t* out, void* stream) {
  const ptx::TensorMap map = cuda::make_tensor_map<2>({.base = in,
                                                       .size = {kColumns, kRows},
                                                       .box = {kBoxColumns, kBoxRows},
                                                       .swizzle_bytes = kSwizzle});
  cuda::launch(tma_load<kBoxColumns>, 1, 32, 4 * kBoxColumns * kBoxRows,
               static_cast<cudaStream_t>(stream), map, out);
}

// A box at the lower corner of a tensor of kRank dimensions, over its edge in each; of the outer
// dimensions every second index.
template <int kRank>
__global__ void tma_box(const __grid_constant__ ptx::TensorMap map, int words, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tile);
  ASSAY_SHARED(uint64_t, barrier, [1]);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 1);
    ptx::mbarrier_init_fence();
    ptx::mbarrier_arrive_expect_tx(barrier, 4 * words);
    int at[kRank];
    for (int& i : at) i = -1;
    ptx::tma_load(tile, map, barrier, at);
  }
  __syncthreads();
  ptx::mbarrier_wait(barrier, 0);
  for (int i = threadIdx.x; i < words; i += 32) out[i] = tile[i];
}

constexpr uint64_t kSizes[5] = {8, 7, 5, 3, 2};  // elements of 4 bytes
constexpr uint32_t kBox[5] = {8, 4, 3, 2, 2}, kBoxSteps[5] = {1, 2, 2, 2, 1};

template <int kRank>
constexpr int box_words() {
  int words = 1;
  for (int i = 0; i < kRank; ++i) words *= static_cast<int>(kBox[i]);
  return words;
}
template <int kRank, ptx::TensorElement kElement>
void launch_box(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::BoxedTensor<kRank> t{.base = in, .swizzle_bytes = 32, .element = kElement};
  for (int i = 0; i < kRank; ++i) {
    t.size[i] = kSizes[i];
    t.box[i] = kBox[i];
    t.step[i] = kBoxSteps[i];
  }
  if (kElement == ptx::TensorElement::bfloat16) {
    t.size[0] *= 2;
    t.box[0] *= 2;
  }
  constexpr int kWords = box_words<kRank>();
  cuda::launch(tma_box<kRank>, 1, 32, 4 * kWords, static_cast<cudaStream_t>(stream),
               cuda::make_tensor_map(t), kWords, out);
}

// One warpgroup gives registers to the other. What is computed does not depend on it.
__global__ void __launch_bounds__(256, 1) registers(const uint32_t* in, uint32_t* out) {
  if (threadIdx.x < 128)
    ptx::give_registers_back<40>();
  else
    ptx::get_registers<232>();
  out[threadIdx.x] = in[threadIdx.x] + 1;
}
void launch_registers(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(registers, 1, 256, 0, static_cast<cudaStream_t>(stream), in, out);
}

// A (64, 8 * kSteps) B (64, 8 * kSteps)^T; operands swizzled by ordinary stores.
constexpr int kSteps = 4, kDepth = 8 * kSteps, kTile = 64 * kDepth;

__global__ void wgmma(const uint32_t* in, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tiles);
  for (int i = threadIdx.x; i < kTile; i += 128) {
    const int row = i / kDepth, column = i % kDepth;
    const int to = row * kDepth + ((column / 4) ^ (row % 8)) * 4 + column % 4;
    tiles[to] = in[i];
    tiles[kTile + to] = in[kTile + i];
  }
  ptx::fence_proxy_async();
  __syncthreads();
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = __uint_as_float(in[2 * kTile + 32 * threadIdx.x + i]);
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kSteps; ++step)
    ptx::wgmma_tf32<64>(d, ptx::wgmma_descriptor(tiles + 8 * step),
                        ptx::wgmma_descriptor(tiles + kTile + 8 * step), true);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  for (int i = 0; i < 32; ++i) out[32 * threadIdx.x + i] = __float_as_uint(d[i]);
}

// A (64 x kLine words) B (kN x kLine words)^T; a word is a TF32 or two bf16, and the swizzle that
// of a line's bytes. Writes every kEvery-th of a thread's sums, so that expected.txt stays small.
template <int kN, bool kBf16, bool kARegisters, int kLine>
__global__ void wgmma_wide(const uint32_t* in, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tiles);
  const auto word = [&](int i) {
    return kBf16 ? ptx::cvt_bf16x2(__uint_as_float(in[2 * i]), __uint_as_float(in[2 * i + 1]))
                 : in[i];
  };
  const int t = threadIdx.x;
  for (int i = t; i < (64 + kN) * kLine; i += 128) {
    const int row = i / kLine, column = i % kLine;
    const int pattern = kLine == 32 ? row % 8 : row / 2 % 4;
    tiles[row * kLine + ((column / 4) ^ pattern) * 4 + column % 4] = word(i);
  }
  ptx::fence_proxy_async();
  __syncthreads();
  uint32_t a[kLine / 8][4];
#pragma unroll
  for (int step = 0; step < kLine / 8; ++step)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      a[step][e] =
          word((t / 32 * 16 + t % 32 / 4 + e % 2 * 8) * kLine + 8 * step + t % 4 + e / 2 * 4);
  float d[kN / 2];
  for (float& sum : d) sum = 0;
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kLine / 8; ++step) {
    const uint64_t da = ptx::wgmma_descriptor<4 * kLine>(tiles + 8 * step);
    const uint64_t db = ptx::wgmma_descriptor<4 * kLine>(tiles + 64 * kLine + 8 * step);
    if constexpr (kARegisters && kBf16)
      ptx::wgmma_bf16<kN>(d, a[step], db, step > 0);
    else if constexpr (kARegisters)
      ptx::wgmma_tf32<kN>(d, a[step], db, step > 0);
    else if constexpr (kBf16)
      ptx::wgmma_bf16<kN>(d, da, db, step > 0);
    else
      ptx::wgmma_tf32<kN>(d, da, db, step > 0);
  }
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  constexpr int kEvery = kN / 8;
#pragma unroll
  for (int e = 0; e < kN / 2; ++e)
    if (e % kEvery == t % kEvery) out[4 * t + e / kEvery] = __float_as_uint(d[e]);
}
template <int kN, bool kBf16, bool kARegisters, int kLine>
void launch_wide(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(wgmma_wide<kN, kBf16, kARegisters, kLine>, 1, 128, 4 * (64 + kN) * kLine,
               static_cast<cudaStream_t>(stream), in, out);
}
template <int kN, bool kBf16, bool kARegisters, int kLine = 32>
Case wide_case(const char* name) {
  constexpr int kProducts = (kBf16 ? 2 : 1) * kLine;
  return {name,
          Input::floats,
          (kBf16 ? 2 : 1) * (64 + kN) * kLine,
          4 * 128,
          kProducts * (kProducts + 1) * 0x1p-23,
          true,
          launch_wide<kN, kBf16, kARegisters, kLine>};
}

void launch_mbarrier(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(mbarrier, 1, 64, 0, static_cast<cudaStream_t>(stream), in, out);
}
void launch_wgmma(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(wgmma, 1, 128, 2 * 4 * kTile, static_cast<cudaStream_t>(stream), in, out);
}

}  // namespace

std::vector<Case> sm90_cases() {
  using enum ptx::TensorElement;
  constexpr int kMatrix = kRows * kColumns, kTensor = 8 * 7 * 5 * 3 * 2;
  // As for mma, with kDepth products in a sum.
  constexpr double kBound = kDepth * (kDepth + 1) * 0x1p-23;
  return {
      {"mbarrier", Input::bits, 64, 64, 0, true, launch_mbarrier},
      {"tma_plain", Input::bits, kMatrix, 16 * kBoxRows, 0, true, launch_tma<16, 0>},
      {"tma_swizzle_32", Input::bits, kMatrix, 8 * kBoxRows, 0, true, launch_tma<8, 32>},
      {"tma_swizzle_64", Input::bits, kMatrix, 16 * kBoxRows, 0, true, launch_tma<16, 64>},
      {"tma_swizzle_128", Input::bits, kMatrix, 32 * kBoxRows, 0, true, launch_tma<32, 128>},
      {"wgmma_m64n64k8_tf32", Input::floats, 2 * kTile + 64 * 64, 64 * 64, kBound, true,
       launch_wgmma},
      {"tma_box_3d", Input::bits, kTensor, box_words<3>(), 0, true, launch_box<3, float32>},
      {"tma_box_4d_bf16", Input::bits, kTensor, box_words<4>(), 0, true, launch_box<4, bfloat16>},
      {"tma_box_5d_tf32", Input::floats, kTensor, box_words<5>(), 0, true, launch_box<5, tfloat32>},
      {"setmaxnreg", Input::bits, 256, 256, 0, true, launch_registers},
      wide_case<8, false, false>("wgmma_m64n8k8_tf32"),
      wide_case<16, false, true>("wgmma_m64n16k8_tf32_registers"),
      wide_case<32, false, false>("wgmma_m64n32k8_tf32"),
      wide_case<64, false, true>("wgmma_m64n64k8_tf32_registers"),
      wide_case<128, false, false>("wgmma_m64n128k8_tf32"),
      wide_case<128, false, true>("wgmma_m64n128k8_tf32_registers"),
      wide_case<256, false, false>("wgmma_m64n256k8_tf32"),
      wide_case<8, true, true>("wgmma_m64n8k16_bf16_registers"),
      wide_case<64, true, false>("wgmma_m64n64k16_bf16"),
      wide_case<64, true, false, 16>("wgmma_m64n64k16_bf16_lines_of_64_bytes"),
      wide_case<128, true, true>("wgmma_m64n128k16_bf16_registers"),
      wide_case<256, true, false>("wgmma_m64n256k16_bf16"),
  };
}

}  // namespace assay::conformance
