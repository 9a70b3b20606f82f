// Version 6, for sm_90: TMA copies and wgmma multiplies (wgmma_pipeline.cuh). A block takes one
// tile of C after another: 132 blocks, one for each multiprocessor of an H100, and in groups of 8
// tiles down, so that blocks that run at the same time share columns of B in the second-level
// cache.
//
// wgmma reads TF32 operands with k fast alone. A is (M,K) as it is; B is copied to (N,K) first if
// it has k slow, or if its big and small parts are needed, or bf16.
#include <type_traits>

#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/gemm/cuda/epilogue.cuh"
#include "kernels/gemm/cuda/wgmma_pipeline.cuh"
#include "kernels/runtime/cuda/cuda_context.h"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/error.h"

namespace assay::cuda {
namespace {

constexpr int kMaxBlocks = 132, kGroup = 8;

/// packed (parts, N, K) = B as (N,K), in bf16 or in TF32: its big parts and, if there are two, the
/// small ones. A block of 32 x 8 threads transposes a tile of 32 x 32.
template <class T>
__global__ void __launch_bounds__(256) pack_b(const float* __restrict__ b, int N, int K,
                                              bool k_fast, int parts, T* __restrict__ packed) {
  ASSAY_SHARED(float, tile, [32][33]);
  const int x = static_cast<int>(threadIdx.x) % 32, y = static_cast<int>(threadIdx.x) / 32;
  const int n0 = static_cast<int>(blockIdx.y) * 32, k0 = static_cast<int>(blockIdx.x) * 32;
#pragma unroll
  for (int i = y; i < 32; i += 8) {
    const int n = n0 + (k_fast ? i : x), k = k0 + (k_fast ? x : i);
    const bool inside = n < N && k < K;
    const int64_t at = k_fast ? int64_t{n} * K + k : int64_t{k} * N + n;
    tile[k_fast ? i : x][k_fast ? x : i] = inside ? b[at] : 0.0f;
  }
  __syncthreads();
#pragma unroll
  for (int i = y; i < 32; i += 8) {
    if (n0 + i >= N || k0 + x >= K) continue;
    const float value = tile[i][x];
    T* to = packed + int64_t{n0 + i} * K + k0 + x;
    if constexpr (std::is_same_v<T, bf16>) {
      *to = static_cast<bf16>(value);
    } else {
      const float big = __uint_as_float(ptx::cvt_tf32(value));
      *to = big;
      if (parts == 2) to[int64_t{N} * K] = __uint_as_float(ptx::cvt_tf32(value - big));
    }
  }
}

/// First row and column of tile number t.
struct TilePlace {
  int m0, n0;
  __device__ TilePlace(int t, int rows_of_tiles, int columns_of_tiles, int width) {
    const int group = t / (kGroup * columns_of_tiles), first = group * kGroup;
    const int rows = min(kGroup, rows_of_tiles - first);
    const int within = t - first * columns_of_tiles;
    m0 = (first + within % rows) * 128;
    n0 = within / rows * width;
  }
};

template <class Math, int kN>
__global__ void __launch_bounds__(384, 1)
    hopper_product(const __grid_constant__ ptx::TensorMap map_a,
                   const __grid_constant__ ptx::TensorMap map_b,
                   const __grid_constant__ GemmProblemInto<typename Math::Element> p,
                   int rows_of_tiles, int columns_of_tiles) {
  using Pipeline = WgmmaPipeline<Math, kN>;
  ASSAY_DYNAMIC_SHARED(float, stages);
  ASSAY_SHARED(uint64_t, barriers, [2 * Pipeline::kStages]);
  Pipeline pipeline(stages, barriers);
  __syncthreads();
  const int tiles = rows_of_tiles * columns_of_tiles;
  const int steps = (p.s.K + Pipeline::kDepth - 1) / Pipeline::kDepth;
  const int first = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  RingPosition at;
  if (Pipeline::is_producer()) {
    if (!Pipeline::become_producer()) return;
    for (int t = first; t < tiles; t += blocks) {
      const TilePlace place(t, rows_of_tiles, columns_of_tiles, kN);
      pipeline.produce(at, steps, [&](float* a, float* b, uint64_t* full, int step) {
        const int k = step * Pipeline::kDepth;
        ptx::tma_load(a, map_a, full, {k, place.m0});
        ptx::tma_load(b, map_b, full, {k, place.n0, 0});
      });
    }
    return;
  }
  Pipeline::become_consumer();
  for (int t = first; t < tiles; t += blocks) {
    const TilePlace place(t, rows_of_tiles, columns_of_tiles, kN);
    float sums[kN / 2];
    pipeline.consume(at, steps, sums);
    const bool in_pairs =
        p.s.N % 2 == 0 && reinterpret_cast<uintptr_t>(p.c) % (2 * sizeof(*p.c)) == 0;
#pragma unroll
    for (int e = 0; e < kN / 2; e += 2) {
      const int m = place.m0 + Pipeline::row_of(e), n = place.n0 + Pipeline::column_of(e);
      if (m >= p.s.M || n >= p.s.N) continue;
      if (in_pairs)
        store_two_results(p, m, n, sums[e], sums[e + 1]);
      else {
        store_result(p, m, n, sums[e]);
        if (n + 1 < p.s.N) store_result(p, m, n + 1, sums[e + 1]);
      }
    }
  }
}

/// A and C are of the elements of the Math; the words of p.a are two of them if they are bf16.
template <class Math, int kN>
void launch_product(Context& ctx, const GemmProblemInto<typename Math::Element>& p) {
  using Pipeline = WgmmaPipeline<Math, kN>;
  using Element = typename Math::Element;
  const uint64_t M = static_cast<uint64_t>(p.s.M), N = static_cast<uint64_t>(p.s.N);
  const uint64_t K = static_cast<uint64_t>(p.s.K);
  const bool packs = Math::kParts == 2 || sizeof(Element) == 2 || !p.s.transpose_b;
  const Scratch packed(ctx, packs ? sizeof(Element) * Math::kParts * N * K : 0);
  if (packs)
    launch(pack_b<Element>, dim3(blocks_for(p.s.K, 32), blocks_for(p.s.N, 32)), 256, 0,
           stream_of(ctx), p.b, p.s.N, p.s.K, p.s.transpose_b, Math::kParts, packed.as<Element>());
  const ptx::TensorMap map_a = make_tensor_map<2>({.base = p.a,
                                                   .size = {K, M},
                                                   .box = {Pipeline::kDepth, Pipeline::kM},
                                                   .swizzle_bytes = 128,
                                                   .element = Math::kElementA});
  const ptx::TensorMap map_b = make_tensor_map<3>({.base = packs ? packed.as<void>() : p.b,
                                                   .size = {K, N, Math::kParts},
                                                   .box = {Pipeline::kDepth, kN, Math::kParts},
                                                   .swizzle_bytes = 128,
                                                   .element = Math::kElementB});
  const unsigned rows = blocks_for(p.s.M, Pipeline::kM), columns = blocks_for(p.s.N, kN);
  launch(hopper_product<Math, kN>, std::min<unsigned>(kMaxBlocks, rows * columns),
         Pipeline::kThreads, Pipeline::kBytes, stream_of(ctx), map_a, map_b, p,
         static_cast<int>(rows), static_cast<int>(columns));
}

}  // namespace

namespace {

Coverage covers_rows_of(const GemmShape& s, int elements, const char* why_not) {
  if (!runs_sm90a()) return Coverage::no("for compute capability 9.0 alone");
  if (s.transpose_a || s.K % elements != 0 || s.K == 0) return Coverage::no(why_not);
  if (int64_t{blocks_for(s.M, 128)} * blocks_for(s.N, 64) < kMaxBlocks)
    return Coverage::but_slower("too few tiles of 128 x 64: the sum over k is not cut");
  return Coverage::yes();
}

}  // namespace

Coverage gemm_hopper_covers(const Context& ctx, const GemmShape& s) {
  if (ctx.precision != Precision::tf32 && ctx.precision != Precision::tf32x3)
    return Coverage::no("for tf32 and tf32x3 alone");
  return covers_rows_of(s, 4, "A has k slow, or K not in 4s");
}
Coverage gemm_hopper_bf16_covers(const Context&, const GemmShape& s) {
  return covers_rows_of(s, 8, "A has k slow, or K not in 8s");
}

void gemm_hopper(Context& ctx, const GemmProblem& p, GemmTile tile) {
  // TMA reads from multiples of 16 bytes, which memory of the allocator begins at.
  if (!aligned16(p.a) || !aligned16(p.b)) return gemm_tensor_core(ctx, p, tile);
  const bool wide = tile.M == 128 && tile.N == 128;
  if (ctx.precision == Precision::tf32)
    wide ? launch_product<WgmmaTf32, 128>(ctx, p) : launch_product<WgmmaTf32, 64>(ctx, p);
  else
    wide ? launch_product<WgmmaTf32x3, 128>(ctx, p) : launch_product<WgmmaTf32x3, 64>(ctx, p);
}

void gemm_hopper_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                      const float* b, const float* bias, bf16* c, GemmTile tile) {
  if (!aligned16(a))
    throw Error("gemm: a bfloat16 matrix does not start at a multiple of 16 bytes");
  const GemmProblemInto<bf16> p{s, e, reinterpret_cast<const float*>(a), b, bias, c};
  const bool wide = tile.M == 128 && tile.N == 128;
  wide ? launch_product<WgmmaBf16, 128>(ctx, p) : launch_product<WgmmaBf16, 64>(ctx, p);
}

}  // namespace assay::cuda
