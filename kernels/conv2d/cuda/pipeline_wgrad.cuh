// wgrad on the pipeline of pipeline.cuh. The depth is the pixels of z, and both operands lie in
// memory pixel by pixel, so tiles are copied as rows of channels:
//
//            k: filters                (r,t,c): taps and channels
//          +-----------+               +------------------------+
//   pixel  |  dz       |        pixel  |  x under the taps      |      a stage: kDepth pixels
//          +-----------+               +------------------------+
//
// A thread keeps its four channels (and their tap) for the whole loop; only its pixels change. The
// place of a pixel takes divisions, which kDepth threads do once per step, one step ahead of the
// copies; they store the places in a small table in shared memory.
#pragma once

#include "kernels/conv2d/cuda/pipeline.cuh"

namespace assay::cuda {

/// The places of one step's pixels: {n * H, h, w, place} and the pixel of y, or -1 past the end.
template <int kDepth>
struct PixelTable {
  int4 source[kDepth];
  int out[kDepth];
};

/// dz that equals dy.
struct PlainGradient {
  const float* dy;
  int K;
  __device__ void copy(float* to, int pixel, int, int k) const {
    const bool inside = pixel >= 0 && k < K;
    ptx::cp_async<16>(to, inside ? dy + int64_t{pixel} * K + k : dy, inside);
  }
};
template <bool kPooled>
struct MaskedGradient {
  GradientOfZ dz;
  __device__ void copy(float* to, int pixel, int place, int k) const {
    stv(to, load_dz<kPooled, true>(dz, pixel >= 0 && k < dz.K, pixel, place, k));
  }
};

/// Grid: tiles of filters, tiles of taps and channels, parts x phases. partials as WgradPartials.
template <class Tile, class Gradient>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_wgrad_pipeline(DenseConv conv, WgradCut cut, ImageView x, Gradient gradient,
                          float* partials) {
  constexpr int kDepth = Tile::kDepth, kBlock = Tile::kThreads;
  constexpr int kChunksA = Tile::kM / 4, kChunksB = Tile::kN / 4;
  static_assert(kBlock % kChunksA == 0 && kBlock % kChunksB == 0);
  ASSAY_DYNAMIC_SHARED(float, shared);
  ASSAY_SHARED(PixelTable<kDepth>, tables, [2]);
  const int thread = static_cast<int>(threadIdx.x), z = static_cast<int>(blockIdx.z);
  const Phase phase(conv, z % conv.phases());
  const int pixels = phase.pixels(conv.N), depth = phase.depth();
  const int k0 = static_cast<int>(blockIdx.x) * Tile::kM;
  const int d0 = static_cast<int>(blockIdx.y) * Tile::kN;
  const int begin = z / conv.phases() * cut.pixels;
  const int end = pixels < begin + cut.pixels ? pixels : begin + cut.pixels;

  const auto list_pixels = [&](int step) {
    if (thread >= kDepth) return;
    PixelTable<kDepth>& table = tables[step % 2];
    const int m = begin + step * kDepth + thread;
    int4 source = make_int4(0, -1 << 20, 0, 0);
    int out = -1;
    if (m < end) {
      const Pixel at = phase.pixel(m);
      source = make_int4(at.n * x.H, at.h, at.w, at.place);
      out = static_cast<int>(at.out);
    }
    stv(&table.source[thread], source);
    table.out[thread] = out;
  };
  const int k = thread % kChunksA * 4, column = thread % kChunksB * 4;
  const Tap tap =
      d0 + column < depth ? tap_of(phase, d0 + column) : Tap{1 << 20, 0, 0};  // outside every image

  const auto load = [&](float* stage, int step) {
    const PixelTable<kDepth>& table = tables[step % 2];
#pragma unroll
    for (int d = thread / kChunksA; d < kDepth; d += kBlock / kChunksA)
      gradient.copy(stage + Tile::template at<Tile::kM>(k, d), table.out[d], table.source[d].w,
                    k0 + k);
    stage += Tile::floats(Tile::kM);
#pragma unroll
    for (int d = thread / kChunksB; d < kDepth; d += kBlock / kChunksB) {
      const int4 at = ldv<int4>(&table.source[d]);
      const int h = at.y + tap.r, w = at.z + tap.t;
      const bool inside = h >= 0 && h < x.H && w >= 0 && w < x.W;
      const float* from = x.x + (int64_t{at.x + h} * x.W + w) * x.C + tap.c;
      ptx::cp_async<16>(stage + Tile::template at<Tile::kN>(column, d), inside ? from : x.x,
                        inside);
    }
    list_pixels(step + 1);
  };
  list_pixels(0);
  __syncthreads();
  Tile tile;
  const int count = end > begin ? end - begin : 0;
  run_pipeline(shared, (count + kDepth - 1) / kDepth, load, tile);

  float* out = partials + z * conv.phase_weights();
  for (int i = thread; i < Tile::kM * Tile::kN; i += kBlock) {
    const int row = k0 + i / Tile::kN, d = d0 + i % Tile::kN;
    if (row < conv.K && d < depth)
      out[int64_t{row} * depth + d] = shared[i / Tile::kN * (Tile::kN + 8) + i % Tile::kN];
  }
}

template <class Tile, class Gradient>
void launch_wgrad_pipeline(Context& ctx, const DenseConv& conv, const ImageView& x,
                           const Gradient& gradient, float* dw) {
  const unsigned tiles_k = blocks_for(conv.K, Tile::kM);
  const unsigned tiles_d = blocks_for(conv.max_depth(), Tile::kN);
  const WgradCut cut(conv, int64_t{tiles_k} * tiles_d, Tile::kDepth);
  const WgradPartials partials(ctx, conv, cut, dw);
  const dim3 grid(tiles_k, tiles_d, static_cast<unsigned>(cut.parts * conv.phases()));
  launch(conv2d_wgrad_pipeline<Tile, Gradient>, grid, Tile::kThreads, pipeline_bytes<Tile>(),
         stream_of(ctx), conv, cut, x, gradient, partials.get());
  partials.sum_into(dw);
}

/// Large and Small are tiles of 64 x 128 and 32 x 64.
template <class Large, class Small>
void pipeline_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    Conv2dGrad<float> g, float* dw) {
  check_aligned("x", x);
  check_aligned(g);
  const DenseConv conv = fprop_conv(s, e.pool);
  const ImageView image{x, s.H, s.W, s.C};
  const bool large = s.K > 32 && conv.max_depth() > 64;
  if (dz_is_dy(e)) {
    const auto run = large ? launch_wgrad_pipeline<Large, PlainGradient>
                           : launch_wgrad_pipeline<Small, PlainGradient>;
    return run(ctx, conv, image, {g.dy, s.K}, dw);
  }
  const SteepGradient dz(ctx, s, e, g);
  const auto masked = [&]<bool kPooled>() {
    const auto run = large ? launch_wgrad_pipeline<Large, MaskedGradient<kPooled>>
                           : launch_wgrad_pipeline<Small, MaskedGradient<kPooled>>;
    run(ctx, conv, image, {dz.get()}, dw);
  };
  if (e.pool == 1)
    masked.template operator()<false>();
  else
    masked.template operator()<true>();
}

}  // namespace assay::cuda
