// Version 2: tiles in shared memory and in registers.
//
//                 n: 64 filters
//               +--------------+     For every 8 steps of the depth a block of 256 threads copies
//               |  B 8 x 64    |     8 x 64 elements of A and of B to shared memory; each element
//               +--------------+     is then used 64 times. A thread keeps 4 x 4 sums in registers:
//     +------+  +--------------+     per step it reads 4 + 4 numbers and does 16 multiply-adds.
//     |      |  |              |
//     |  A   |  |   64 x 64    |     The indices are "analytic": each element's pixel and tap are
//     | 64x8 |  |   sums       |     found by division, again in every step. That is easy to read,
//     |      |  |              |     covers every number of channels, and costs more instructions
//     +------+  +--------------+     than the products themselves; the next version does it once.
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/epilogue.cuh"
#include "kernels/conv2d/cuda/weights.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64, kDepth = 8, kSide = 4;  // kThreads = (kTile / kSide)^2
constexpr int kPitch = kTile + 4;            // 8 depths x 4 rows of a warp's stores hit 32 banks
[[maybe_unused]] constexpr int kBlocks = 3;  // on a multiprocessor: at most 80 registers
static_assert(kThreads == kTile / kSide * (kTile / kSide));

using Tile = float[kDepth][kPitch];
using Sums = float[kSide][kSide];

/// tile[d][row] = f(row, d). Neighbouring threads read neighbouring memory.
template <bool kDepthIsContiguous, class F>
__device__ void fill(Tile& tile, const F& f) {
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth; i += kThreads) {
    const int row = kDepthIsContiguous ? i / kDepth : i % kTile;
    const int d = kDepthIsContiguous ? i % kDepth : i / kTile;
    tile[d][row] = f(row, d);
  }
}

/// sums += A B over the depth [begin, end), where a(row, d) and b(column, d) are the elements.
template <bool kDepthIsContiguous, class A, class B>
__device__ void multiply(int begin, int end, const A& a, const B& b, Sums& sums) {
  ASSAY_SHARED(float, tile_a, [kDepth][kPitch]);
  ASSAY_SHARED(float, tile_b, [kDepth][kPitch]);
  const int y = static_cast<int>(threadIdx.x) / (kTile / kSide) * kSide;
  const int x = static_cast<int>(threadIdx.x) % (kTile / kSide) * kSide;
  for (int d0 = begin; d0 < end; d0 += kDepth) {
    fill<kDepthIsContiguous>(tile_a,
                             [&](int row, int d) { return d0 + d < end ? a(row, d0 + d) : 0.0f; });
    fill<kDepthIsContiguous>(
        tile_b, [&](int column, int d) { return d0 + d < end ? b(column, d0 + d) : 0.0f; });
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      const float4 va = ldv<float4>(&tile_a[d][y]), vb = ldv<float4>(&tile_b[d][x]);
      const float ra[kSide] = {va.x, va.y, va.z, va.w}, rb[kSide] = {vb.x, vb.y, vb.z, vb.w};
#pragma unroll
      for (int i = 0; i < kSide; ++i)
#pragma unroll
        for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[i], rb[j], sums[i][j]);
    }
    __syncthreads();  // before the tiles are filled again
  }
}

/// fprop and dgrad. Grid: tiles of pixels, tiles of output channels, phases.
template <class Source>
__global__ void __launch_bounds__(kThreads, kBlocks)
    conv2d_tiled(const __grid_constant__ PhasedConv conv, Source source,
                 const float* __restrict__ weights, Epilogue e) {
  ASSAY_SHARED(float, tile, [kTile][kPitch]);
  const Phase phase(conv, static_cast<int>(blockIdx.z));
  const int pixels = phase.pixels(conv.N), depth = phase.depth();
  const int m0 = static_cast<int>(blockIdx.x) * kTile, n0 = static_cast<int>(blockIdx.y) * kTile;
  const float* filters = weights + blockIdx.z * conv.weights_of_phase;

  Sums sums = {};
  multiply<true>(
      0, depth,
      [&](int row, int d) {
        if (m0 + row >= pixels) return 0.0f;
        const Pixel at = phase.pixel(m0 + row);
        const Tap tap = tap_of(phase, d);
        return source(at.n, at.h + tap.r, at.w + tap.t, tap.c);
      },
      [&](int column, int d) {
        return n0 + column < conv.K ? filters[int64_t{n0 + column} * depth + d] : 0.0f;
      },
      sums);

  const int y = static_cast<int>(threadIdx.x) / (kTile / kSide) * kSide;
  const int x = static_cast<int>(threadIdx.x) % (kTile / kSide) * kSide;
#pragma unroll
  for (int i = 0; i < kSide; ++i)
    stv(&tile[y + i][x], make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]));
  __syncthreads();
  store_tile<kTile, kTile, kPitch, kThreads>(phase, pixels, conv.K, m0, n0, &tile[0][0], e);
}

/// wgrad: partials as those of dw in WgradPartials. Grid: tiles of filters, tiles of taps and
/// channels, parts x phases.
__global__ void __launch_bounds__(kThreads, kBlocks)
    conv2d_wgrad_tiled(const __grid_constant__ PhasedConv conv, WgradCut cut, ImageView x,
                       GradientOfZ dz, float* partials) {
  const int z = static_cast<int>(blockIdx.z);
  const int part = conv.by_phases.quotient(z);
  const Phase phase(conv, z - part * conv.phases());
  const int pixels = phase.pixels(conv.N), depth = phase.depth();
  const int k0 = static_cast<int>(blockIdx.x) * kTile, d0 = static_cast<int>(blockIdx.y) * kTile;
  const int begin = part * cut.pixels;
  const int end = pixels < begin + cut.pixels ? pixels : begin + cut.pixels;

  Sums sums = {};
  multiply<false>(
      begin, end,
      [&](int row, int m) {
        if (k0 + row >= conv.K) return 0.0f;
        const Pixel at = phase.pixel(m);
        return dz.in_window(at.out, at.place, k0 + row);
      },
      [&](int column, int m) {
        if (d0 + column >= depth) return 0.0f;
        const Pixel at = phase.pixel(m);
        const Tap tap = tap_of(phase, d0 + column);
        return x(at.n, at.h + tap.r, at.w + tap.t, tap.c);
      },
      sums);

  const int y = k0 + static_cast<int>(threadIdx.x) / (kTile / kSide) * kSide;
  const int column = d0 + static_cast<int>(threadIdx.x) % (kTile / kSide) * kSide;
  const PartialGradient out(conv, phase, partials, z);
#pragma unroll
  for (int i = 0; i < kSide; ++i)
#pragma unroll
    for (int j = 0; j < kSide; ++j)
      if (y + i < conv.K && column + j < depth) out.store(y + i, column + j, sums[i][j]);
}

template <class Source>
void run(Context& ctx, const DenseConv& conv, const Source& source, const float* w,
         const Epilogue& e) {
  const PhaseWeights weights(ctx, conv, w);
  const dim3 grid(blocks_for(conv.max_pixels(), kTile), blocks_for(conv.K, kTile),
                  static_cast<unsigned>(conv.phases()));
  launch(conv2d_tiled<Source>, grid, kThreads, 0, stream_of(ctx), conv, source, weights.get(), e);
}

}  // namespace

namespace tiled {

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const char* why_not = why_not_phases(pass, s, e);
  return why_not != nullptr ? Coverage::no(why_not) : Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  run(ctx, fprop_conv(s, e.pool), ImageView{x, s.H, s.W, s.C}, w,
      {y, argmax, bias, e.activation, e.slope});
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  run(ctx, dgrad_conv(s), GradientOfZ(s, e, g), w, {dx});
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float*) {
  const DenseConv conv = fprop_conv(s, e.pool);
  const unsigned tiles_k = blocks_for(s.K, kTile), tiles_d = blocks_for(conv.max_depth(), kTile);
  const WgradCut cut(conv, int64_t{tiles_k} * tiles_d, kDepth);
  const WgradPartials partials(ctx, conv, cut, dw, nullptr);
  const dim3 grid(tiles_k, tiles_d, static_cast<unsigned>(cut.parts * conv.phases()));
  launch(conv2d_wgrad_tiled, grid, kThreads, 0, stream_of(ctx), conv, cut,
         ImageView{x, s.H, s.W, s.C}, GradientOfZ(s, e, g), partials.dw.get());
  partials.sum();
  return false;
}

}  // namespace tiled
}  // namespace assay::cuda
