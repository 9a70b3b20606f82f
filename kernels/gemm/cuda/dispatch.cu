// The CUDA table of matrix products, the tile and the parts of k.
#include "kernels/gemm/cuda/algorithms.h"

#include <algorithm>

#include "kernels/gemm/algorithm.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

namespace {

int64_t blocks(const GemmShape& s, GemmTile tile) {
  return int64_t{blocks_for(s.M, tile.M)} * blocks_for(s.N, tile.N);
}

}  // namespace

GemmTile gemm_tile(const GemmShape& s) {
  constexpr int64_t kMultiprocessors = 132;
  for (const GemmTile tile : {GemmTile{128, 128}, GemmTile{128, 64}})
    if (s.M > 64 && s.N > tile.N / 2 && blocks(s, tile) >= kMultiprocessors) return tile;
  return {64, 64};
}

int gemm_splits(const GemmShape& s, GemmTile tile) {
  constexpr int kWantedBlocks = 256, kMinDepth = 128, kMaxSplits = 32;
  const int64_t tiles = blocks(s, tile);
  const int64_t wanted = std::min<int64_t>(kWantedBlocks / tiles, s.K / kMinDepth);
  const int splits = static_cast<int>(std::clamp<int64_t>(wanted, 1, kMaxSplits));
  // Parts of equal depth in whole units. Rounding up may cover K with fewer parts.
  const int units_of_k = (s.K + kSplitUnit - 1) / kSplitUnit;
  const int depth = (units_of_k + splits - 1) / splits;
  return depth == 0 ? 1 : (units_of_k + depth - 1) / depth;
}

namespace {

template <auto kProduct>
void product(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
             Weights<float> b, const float* bias, float* c) {
  if (s.M == 0 || s.N == 0) return;
  kProduct(ctx, {s, e, a, b.data, bias, c}, gemm_tile(s));
}

Coverage covers_always(const Context&, const GemmShape&) {
  return Coverage::yes();
}
Coverage tensor_core_covers(const Context& ctx, const GemmShape&) {
  return ctx.precision == Precision::fp32 || ctx.precision == Precision::fp32_strict
             ? Coverage::no("tensor cores have no fp32")
             : Coverage::yes();
}

template <auto kProduct>
void product_on_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                     Weights<float> b, const float* bias, bf16* c) {
  if (s.M != 0 && s.N != 0) kProduct(ctx, s, e, a, b.data, bias, c, gemm_tile(s));
}
void wgrad_on_bf16(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b, float* c) {
  if (s.M != 0 && s.N != 0) gemm_bf16_wgrad(ctx, s, a, b, c, gemm_tile(s));
}

constexpr GemmAlgorithm kTable[] = {
    {.name = "hopper_bf16",
     .algo = Algorithm::hopper,
     .covers_text = "bf16 tensors on sm_90, A with k fast, K in 8s: TMA copies, wgmma multiplies",
     .file = "kernels/gemm/cuda/hopper.cu",
     .covers = covers_always,
     .product = nullptr,
     .bf16_covers = gemm_hopper_bf16_covers,
     .bf16_product = product_on_bf16<gemm_hopper_bf16>},
    {.name = "tensor_core_bf16",
     .algo = Algorithm::tensor_core,
     .covers_text = "bf16 tensors, rows in 8s: the pipeline with mma.sync, bf16 from memory to the "
                    "tensor cores",
     .file = "kernels/gemm/cuda/tensor_core.cu",
     .covers = covers_always,
     .product = nullptr,
     .bf16_covers = gemm_bf16_covers,
     .bf16_product = product_on_bf16<gemm_bf16>,
     .bf16_wgrad = wgrad_on_bf16},
    {.name = "hopper",
     .algo = Algorithm::hopper,
     .covers_text =
         "tf32x3 and tf32 on sm_90, A with k fast, K in 4s: TMA copies, wgmma multiplies",
     .file = "kernels/gemm/cuda/hopper.cu",
     .covers = gemm_hopper_covers,
     .product = product<gemm_hopper>},
    {.name = "tensor_core",
     .algo = Algorithm::tensor_core,
     .covers_text = "every shape in tf32x3 and tf32: the pipeline, with mma.sync",
     .file = "kernels/gemm/cuda/tensor_core.cu",
     .covers = tensor_core_covers,
     .product = product<gemm_tensor_core>},
    {.name = "pipelined",
     .algo = Algorithm::pipelined,
     .covers_text = "every shape in fp32: cp.async in three stages, sums in registers",
     .file = "kernels/gemm/cuda/pipelined.cu",
     .covers = covers_always,
     .product = product<gemm_pipelined>},
    {.name = "hoisted",
     .algo = Algorithm::hoisted,
     .covers_text = "every shape in fp32: as pipelined, without the overlap",
     .file = "kernels/gemm/cuda/hoisted.cu",
     .covers = covers_always,
     .product = product<gemm_hoisted>},
    {.name = "tiled",
     .algo = Algorithm::tiled,
     .covers_text = "every shape in fp32: tiles in shared memory",
     .file = "kernels/gemm/cuda/tiled.cu",
     .covers = covers_always,
     .product = product<gemm_tiled>},
    {.name = "naive",
     .algo = Algorithm::naive,
     .covers_text = "every shape in fp32: one thread per result",
     .file = "kernels/gemm/cuda/naive.cu",
     .covers = covers_always,
     .product = product<gemm_naive>},
};

}  // namespace

std::span<const GemmAlgorithm> gemm_table() {
  return kTable;
}

}  // namespace assay::cuda
