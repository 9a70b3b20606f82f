// wgrad on the pipeline of pipeline.cuh. The depth is the pixels of z, and both operands lie in
// memory pixel by pixel, so tiles are copied as rows of channels:
//
//            k: filters                (r,t,c): taps and channels
//          +-----------+               +------------------------+
//   pixel  |  dz       |        pixel  |  x under the taps      |      a stage: kDepth pixels
//          +-----------+               +------------------------+
//
// A thread keeps its channels (and their taps) for the whole loop; only its pixels change. The
// place of a pixel takes divisions, which kDepth threads do once per step, one step ahead of the
// copies; they store the places in a small table in shared memory.
#pragma once

#include "kernels/conv2d/cuda/pipeline.cuh"

namespace assay::cuda {

/// The places of one step's pixels.
template <int kDepth>
struct PixelTable {
  int2 x[kDepth];  // offset of tap (0,0) in x, and the taps outside of it (outside_of())
  int z[kDepth];   // number in the list of pixels behind a pool, else in z; -1 past the end
};

/// dz that equals dy, in words of which a pixel has K.
struct PlainGradient {
  const float* dy;
  int K;
  static constexpr bool kPooled = false, kFormed = false;
  __device__ void copy(float* to, int pixel, bool k_inside, int k) const {
    const bool inside = pixel >= 0 && k_inside;
    ptx::cp_async<16>(to, dy + (inside ? pixel * K + k : 0), inside);
  }
};
/// dbias of bf16 is not summed here: of_bias would take eight registers.
template <bool kPooled_, class T = float>
struct MaskedGradient {
  GradientOfZFrom<T> dz;
  static constexpr bool kPooled = kPooled_, kFormed = sizeof(T) == sizeof(float);
  /// Returns what it stores, where it is of use for dbias.
  __device__ auto copy(float* to, int pixel, bool k_inside, int k) const {
    const int of_y = kPooled ? pixel >> 2 * dz.pool_log2 : pixel;  // pixels go window by window
    const uint32_t places = four_bytes(kPooled ? pixel & (dz.pool * dz.pool - 1) : 0);
    const bool inside = pixel >= 0 && k_inside;
    if constexpr (kFormed) {
      const float4 v = load_dz<kPooled, true>(dz, inside, of_y * dz.K + k, places);
      stv(to, v);
      return v;
    } else {
      stv(to, load_dz_words<kPooled>(dz, inside, of_y * dz.K + 2 * k, places));
    }
  }
};

/// Whether a tile leaves registers for the sums of dbias beside its own.
template <class Tile>
constexpr bool kHasRegistersForBias = true;
/// Whether dbias is summed where dz passes through registers.
template <class Tile, class Gradient>
constexpr bool kSumsBias = kHasRegistersForBias<Tile> ? Gradient::kFormed : false;

/// Grid: tiles of filters, tiles of taps and channels, parts x phases. conv.C and the channels of x
/// are in words. partials as WgradPartials; those of dbias may be null. With kSumsBias dbias is
/// summed too.
template <class Tile, class Gradient>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_wgrad_pipeline(const __grid_constant__ PhasedConv conv, WgradCut cut, ImageView x,
                          Gradient gradient, float* partials, float* dbias_partials) {
  constexpr int kDepth = Tile::kDepth, kBlock = Tile::kThreads, kElements = Tile::kElements;
  constexpr int kWordsA = Tile::kM / kElements, kWordsB = Tile::kN / kElements;  // of a pixel
  // Threads that copy a pixel of A, and of B, whose threads copy kOwnB chunks of 4 words each.
  constexpr int kAcrossA = kWordsA / 4, kAcrossB = kWordsB < 64 ? kWordsB / 4 : 16;
  constexpr int kOwnB = kWordsB / 4 / kAcrossB;
  static_assert(kBlock % kAcrossA == 0 && kBlock % kAcrossB == 0 && kWordsB % (4 * kAcrossB) == 0);
  ASSAY_DYNAMIC_SHARED(float, shared);
  ASSAY_SHARED(PixelTable<kDepth>, tables, [2]);
  ASSAY_SHARED(int, kept_phase, [1]);  // so that the loop needs no registers for what follows it
  const int thread = static_cast<int>(threadIdx.x), z = static_cast<int>(blockIdx.z);
  const int part = conv.by_phases.quotient(z);
  const Phase phase(conv, z - part * conv.phases());
  const int pixels = phase.pixels(conv.N), depth = phase.depth();
  const int k0 = static_cast<int>(blockIdx.x) * kWordsA;
  const int d0 = static_cast<int>(blockIdx.y) * kWordsB;
  const int begin = part * cut.pixels, end = min(pixels, begin + cut.pixels);

  const ImageSource source{x};
  const auto list_pixels = [&](int step) {
    if (thread >= kDepth) return;
    PixelTable<kDepth>& table = tables[step % 2];
    const int m = begin + step * kDepth + thread;
    int2 of_x = make_int2(0, -1);
    int of_z = -1;
    if (m < end) {
      const Pixel at = phase.pixel(m);
      const ImageSource::Row row = source.row(phase, at);
      of_x = make_int2(row.offset, static_cast<int>(row.outside));
      of_z = Gradient::kPooled ? m : static_cast<int>(at.out);
    }
    stv(&table.x[thread], of_x);
    table.z[thread] = of_z;
  };
  const int k = thread % kAcrossA * 4, column = thread % kAcrossB * 4;
  const int row_a = thread / kAcrossA, row_b = thread / kAcrossB;
  const bool k_inside = k0 + k < conv.K / kElements;
  const int to_a = Tile::template at<false, Tile::kM>(k, row_a);
  const int to_b = Tile::kFloatsA + Tile::template at<false, Tile::kN>(column, row_b);
  ImageSource::Shift shifts[kOwnB];
#pragma unroll
  for (int i = 0; i < kOwnB; ++i) {
    const int d = d0 + column + i * 4 * kAcrossB;
    const Tap past_the_end{phase.taps_r, 0, 0};
    shifts[i] = source.shift(phase, d < depth ? tap_of(phase, d) : past_the_end);
  }

  float4 of_bias = make_float4(0, 0, 0, 0);
  const auto load = [&](float* stage, int step) {
    const PixelTable<kDepth>& table = tables[step % 2];
#pragma unroll
    for (int d = 0; d < kDepth; d += kBlock / kAcrossA) {
      float* const to = stage + to_a + Tile::template at<false, Tile::kM>(0, d);
      if constexpr (kSumsBias<Tile, Gradient>) {
        const float4 v = gradient.copy(to, table.z[row_a + d], k_inside, k0 + k);
        of_bias = make_float4(of_bias.x + v.x, of_bias.y + v.y, of_bias.z + v.z, of_bias.w + v.w);
      } else {
        gradient.copy(to, table.z[row_a + d], k_inside, k0 + k);
      }
    }
#pragma unroll
    for (int d = 0; d < kDepth; d += kBlock / kAcrossB) {
      const int2 at = ldv<int2>(&table.x[row_b + d]);
      const ImageSource::Row row{at.x, static_cast<uint32_t>(at.y)};
#pragma unroll
      for (int i = 0; i < kOwnB; ++i)
        source.copy<Tile>(stage + to_b + Tile::template at<false, Tile::kN>(i * 4 * kAcrossB, d),
                          row, shifts[i]);
    }
    list_pixels(step + 1);
  };
  list_pixels(0);
  if (thread == 0) kept_phase[0] = z - part * conv.phases();
  __syncthreads();
  Tile tile;
  const int count = end > begin ? end - begin : 0;
  run_pipeline(shared, (count + kDepth - 1) / kDepth, load, tile);

  const Phase same(conv, kept_phase[0]);
  const PartialGradient<kElements> out(conv, same, partials, z);
  for (int i = thread; i < Tile::kM * Tile::kN; i += kBlock) {
    const int row = k0 * kElements + i / Tile::kN, d = d0 * kElements + i % Tile::kN;
    if (row < conv.K && d < same.depth() * kElements)
      out.store(row, d, shared[i / Tile::kN * (Tile::kN + 8) + i % Tile::kN]);
  }
  if constexpr (kSumsBias<Tile, Gradient>) {
    if (dbias_partials == nullptr || blockIdx.y != 0) return;  // all columns have the same dz
    __syncthreads();
    stv(shared + 4 * thread, of_bias);
    __syncthreads();
    if (thread >= Tile::kM || k0 + thread >= conv.K) return;
    float sum = 0;
    for (int row = 0; row < kBlock / kAcrossA; ++row) sum += shared[row * Tile::kM + thread];
    dbias_partials[z * gradient_stride(conv.K) + k0 + thread] = sum;
  }
}

/// Returns whether dbias, unless null, is written too.
template <class Tile, class Gradient>
bool launch_wgrad_pipeline(Context& ctx, const DenseConv& conv, const ImageView& x,
                           const Gradient& gradient, float* dw, float* dbias) {
  const unsigned tiles_k = blocks_for(conv.K, Tile::kM);
  const unsigned tiles_d = blocks_for(conv.max_depth(), Tile::kN);
  constexpr int64_t kMultiprocessors = 132;  // of an H100, each with up to four blocks
  const WgradCut cut(conv, int64_t{tiles_k} * tiles_d, Tile::kDepth,
                     kMultiprocessors * std::min(Tile::kBlocks, 4));
  const WgradPartials partials(ctx, conv, cut, dw, kSumsBias<Tile, Gradient> ? dbias : nullptr);
  const dim3 grid(tiles_k, tiles_d, static_cast<unsigned>(cut.parts * conv.phases()));
  DenseConv words = conv;
  words.C /= Tile::kElements;
  launch(conv2d_wgrad_pipeline<Tile, Gradient>, grid, Tile::kThreads, pipeline_bytes<Tile>(),
         stream_of(ctx), words, cut, x, gradient, partials.dw.get(), partials.dbias.get());
  partials.sum();
  return kSumsBias<Tile, Gradient>;
}

/// Large and Small are tiles of 64 x 128 and 32 x 64.
template <class Large, class Small>
bool pipeline_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    Conv2dGrad<float> g, float* dw, float* dbias) {
  check_aligned("x", x);
  check_aligned(g);
  const DenseConv conv = fprop_conv(s, e.pool);
  const ImageView image{x, s.H, s.W, s.C};
  const bool large = s.K > 32 && conv.max_depth() > 64;
  if (dz_is_dy(e)) {
    const auto run = large ? launch_wgrad_pipeline<Large, PlainGradient>
                           : launch_wgrad_pipeline<Small, PlainGradient>;
    return run(ctx, conv, image, {g.dy, s.K}, dw, dbias);
  }
  const SteepGradient<float> dz(ctx, s, e, g);
  const auto masked = [&]<bool kPooled>() {
    const auto run = large ? launch_wgrad_pipeline<Large, MaskedGradient<kPooled>>
                           : launch_wgrad_pipeline<Small, MaskedGradient<kPooled>>;
    return run(ctx, conv, image, {dz.get()}, dw, dbias);
  };
  return e.pool == 1 ? masked.template operator()<false>() : masked.template operator()<true>();
}

/// The same on bf16 tensors. Wide is a tile of 128 x 128, Large 64 x 256, Small 32 x 64.
template <class Wide, class Large, class Small>
bool pipeline_wgrad_bf16(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                         Conv2dGrad<bf16> g, float* dw, float* dbias) {
  check_aligned("x", x);
  check_aligned(g);
  const DenseConv conv = fprop_conv(s, e.pool);
  const SteepGradient<bf16> dz(ctx, s, e, g);
  const auto run = [&]<class Gradient>(const Gradient& gradient) {
    const bool small = s.K <= 32 || conv.max_depth() <= 64;
    const auto launch = small       ? launch_wgrad_pipeline<Small, Gradient>
                        : s.K <= 64 ? launch_wgrad_pipeline<Large, Gradient>
                                    : launch_wgrad_pipeline<Wide, Gradient>;
    return launch(ctx, conv, words_of(x, s.H, s.W, s.C), gradient, dw, dbias);
  };
  if (e.pool > 1) return run(MaskedGradient<true, bf16>{dz.get()});
  if (e.activation != Activation::none && slope_from_sign(e.activation))
    return run(MaskedGradient<false, bf16>{dz.get()});
  return run(PlainGradient{reinterpret_cast<const float*>(dz.get().dy), s.K / 2});
}

}  // namespace assay::cuda
