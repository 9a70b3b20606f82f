// `direct`: fprop and dgrad of few channels. These are the first layers (1 or 3 channels of an
// image), the last ones (1 or 3 channels out), and those with at most 16 channels on both sides,
// where a tile of a matrix product would be mostly padding. wgrad: few_channels_wgrad.cu.
//
// Few channels in the source (fprop of a first layer, dgrad of a last one): the filters of a phase
// lie in shared memory. A thread keeps 4 pixels x 8 filters in registers and reads its pixels from
// global memory; neighbouring threads read the same or neighbouring ones, so the first-level cache
// serves the taps. With a pool the 4 pixels are a 2x2 window; a 4x4 window takes four turns.
//
//     thread:  pixels m, m+1, m+2, m+3   x   filters f .. f+3 and f+half .. f+half+3
//
// Few filters (a last layer, dgrad of a first one): 8 lanes share a pixel, each takes every 8th
// chunk of 4 channels, and shuffles add the 8 partial sums:
//
//     x(pixel, tap, :)  | lane 0 | lane 1 | ... | lane 7 | lane 0 | ...    16 bytes each
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/epilogue.cuh"
#include "kernels/conv2d/cuda/sources.cuh"
#include "kernels/conv2d/cuda/weights.cuh"
#include "kernels/conv2d/lowering.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kBlock = 128, kPixels = 4, kLanes = 8;
constexpr int64_t kMaxFilterBytes = 96 << 10;

/// Sums (pixels x filters) of one thread for four pixels of the list. `filters` (depth, width) in
/// shared memory point to this thread's first four filters; the second four are width/2 further.
template <int kCount, int kFilters, class Source>
__device__ void sum_taps(const Phase& phase, const Source& source,
                         const typename Source::Row (&rows)[kPixels], const float* filters,
                         int width, float (&sums)[kPixels][kFilters]) {
  for (int r = 0; r < phase.taps_r; ++r)
    for (int t = 0; t < phase.taps_s; ++t) {
      const auto shift = source.shift(phase, Tap{r, t, 0});
      for (int c = 0; c < phase.C; c += kCount) {
        float x[kPixels][kCount];
#pragma unroll
        for (int i = 0; i < kPixels; ++i) source.load(x[i], rows[i], shift, c);
#pragma unroll
        for (int v = 0; v < kCount; ++v, filters += width) {
          float w[kFilters];
#pragma unroll
          for (int f = 0; f < kFilters; f += 4) {
            const float4 four = ldv<float4>(filters + f / 4 * (width / 2));
            w[f] = four.x;
            w[f + 1] = four.y;
            w[f + 2] = four.z;
            w[f + 3] = four.w;
          }
#pragma unroll
          for (int i = 0; i < kPixels; ++i)
#pragma unroll
            for (int f = 0; f < kFilters; ++f) sums[i][f] = fmaf(x[i][v], w[f], sums[i][f]);
        }
      }
    }
}

/// Bias, activation and the store of four neighbouring filters of one output pixel.
template <class T>
__device__ void store4(const EpilogueInto<T>& e, int64_t pixel, int K, int k, float4 z,
                       uchar4 place) {
  const float values[4] = {z.x, z.y, z.z, z.w};
  const uint8_t places[4] = {place.x, place.y, place.z, place.w};
  float y[4];
#pragma unroll
  for (int f = 0; f < 4; ++f) {
    const float bias = e.bias != nullptr && k + f < K ? e.bias[k + f] : 0.0f;
    y[f] = activate(e.activation, e.slope, values[f] + bias);
  }
  const int64_t at = pixel * K + k;
  if (K % 4 == 0 && k < K) {
    store_4(e.out + at, make_float4(y[0], y[1], y[2], y[3]));
    if (e.argmax != nullptr) stv(e.argmax + at, place);
    return;
  }
#pragma unroll
  for (int f = 0; f < 4; ++f) {
    if (k + f >= K) continue;
    e.out[at + f] = static_cast<T>(y[f]);
    if (e.argmax != nullptr) e.argmax[at + f] = places[f];
  }
}

/// Few channels in the source. Grid: groups of pixels, filters by `width`, phases. kCount channels
/// are loaded at a time. Without a pool a thread takes 4 pixels, otherwise one window.
template <int kCount, int kFilters, class Source, class T>
__global__ void __launch_bounds__(kBlock, kCount > 1      ? 3
                                          : kFilters == 4 ? 5
                                                          : 4)  // at most 168, 96, 128 registers
    conv2d_few_channels(const __grid_constant__ PhasedConv conv, Source source,
                        const float* __restrict__ weights, int width, EpilogueInto<T> e) {
  ASSAY_DYNAMIC_SHARED(float, filters);  // (depth, width)
  const Phase phase(conv, static_cast<int>(blockIdx.z));
  const int pixels = phase.pixels(conv.N), depth = phase.depth(), thread = threadIdx.x;
  const int n0 = static_cast<int>(blockIdx.y) * width;
  const float* from = weights + blockIdx.z * conv.weights_of_phase;
  for (int i = thread; i < depth * width; i += kBlock) {
    const int n = n0 + i % width;
    filters[i] = n < conv.K ? from[int64_t{n} * depth + i / width] : 0.0f;
  }
  __syncthreads();

  const int threads_across = width / kFilters, window = phase.pool * phase.pool;
  const int column = thread % threads_across * 4, mine = window > kPixels ? window : kPixels;
  const int m0 =
      (static_cast<int>(blockIdx.x) * (kBlock / threads_across) + thread / threads_across) * mine;
  if (m0 >= pixels) return;
  float best[kFilters];
  int place[kFilters];
  for (int m = m0; m < m0 + mine; m += kPixels) {
    typename Source::Row rows[kPixels];
#pragma unroll
    for (int i = 0; i < kPixels; ++i)
      rows[i] = m + i < pixels ? source.row(phase, phase.pixel(m + i)) : Source::no_row();
    float sums[kPixels][kFilters] = {};
    sum_taps<kCount>(phase, source, rows, filters + column, width, sums);
#pragma unroll
    for (int i = 0; i < kPixels; ++i)
#pragma unroll
      for (int f = 0; f < kFilters; f += 4) {
        if (window == 1 && m + i < pixels)
          store4(e, phase.output(m + i), conv.K, n0 + column + f / 4 * (width / 2),
                 make_float4(sums[i][f], sums[i][f + 1], sums[i][f + 2], sums[i][f + 3]),
                 make_uchar4(0, 0, 0, 0));
#pragma unroll
        for (int g = f; g < f + 4; ++g)
          if (m + i == m0 || sums[i][g] > best[g]) {
            best[g] = sums[i][g];
            place[g] = m + i - m0;
          }
      }
  }
  if (window == 1) return;
#pragma unroll
  for (int f = 0; f < kFilters; f += 4) {
    const auto byte = [&](int g) { return static_cast<unsigned char>(place[g]); };
    store4(e, phase.output(m0), conv.K, n0 + column + f / 4 * (width / 2),
           make_float4(best[f], best[f + 1], best[f + 2], best[f + 3]),
           make_uchar4(byte(f), byte(f + 1), byte(f + 2), byte(f + 3)));
  }
}

/// At most kFilters filters. Grid: groups of 16 x 4 pixels, 1, phases.
template <int kFilters, class Source, class T>
__global__ void __launch_bounds__(kBlock, 4)  // at most 128 registers
    conv2d_few_filters(const __grid_constant__ PhasedConv conv, Source source,
                       const float* __restrict__ weights, EpilogueInto<T> e) {
  ASSAY_DYNAMIC_SHARED(float, filters);  // (kFilters, depth)
  const Phase phase(conv, static_cast<int>(blockIdx.z));
  const int pixels = phase.pixels(conv.N), depth = phase.depth(), thread = threadIdx.x;
  const float* from = weights + blockIdx.z * conv.weights_of_phase;
  for (int i = thread; i < kFilters * depth; i += kBlock)
    filters[i] = i < conv.K * depth ? from[i] : 0.0f;
  __syncthreads();

  const int lane = thread % kLanes;
  const int m = (static_cast<int>(blockIdx.x) * (kBlock / kLanes) + thread / kLanes) * kPixels;
  typename Source::Row rows[kPixels];
#pragma unroll
  for (int i = 0; i < kPixels; ++i)
    rows[i] = m + i < pixels ? source.row(phase, phase.pixel(m + i)) : Source::no_row();
  float sums[kPixels][kFilters] = {};
  for (int r = 0; r < phase.taps_r; ++r)
    for (int t = 0; t < phase.taps_s; ++t) {
      const auto shift = source.shift(phase, Tap{r, t, 0});
      for (int c = 4 * lane; c < phase.C; c += 4 * kLanes) {
        float x[kPixels][4];
#pragma unroll
        for (int i = 0; i < kPixels; ++i) source.load(x[i], rows[i], shift, c);
#pragma unroll
        for (int f = 0; f < kFilters; ++f) {
          const float4 w = ldv<float4>(filters + f * depth + (r * phase.taps_s + t) * phase.C + c);
#pragma unroll
          for (int i = 0; i < kPixels; ++i)
            sums[i][f] =
                fmaf(x[i][3], w.w,
                     fmaf(x[i][2], w.z, fmaf(x[i][1], w.y, fmaf(x[i][0], w.x, sums[i][f]))));
        }
      }
    }
#pragma unroll
  for (int i = 0; i < kPixels; ++i)
#pragma unroll
    for (int f = 0; f < kFilters; ++f) {
#pragma unroll
      for (int distance = kLanes / 2; distance > 0; distance /= 2)
        sums[i][f] += __shfl_xor_sync(~0u, sums[i][f], distance);
      if (lane != i || m + i >= pixels || f >= conv.K) continue;
      const float bias = e.bias != nullptr ? e.bias[f] : 0.0f;
      const float y = activate(e.activation, e.slope, sums[i][f] + bias);
      e.out[phase.output(m + i) * conv.K + f] = static_cast<T>(y);
    }
}

// ---- The choice between the two kernels

/// Filters of a block of conv2d_few_channels: a power of two, at most 32.
int filter_width(const DenseConv& conv) {
  return conv.K <= 4 ? 4 : conv.K <= 8 ? 8 : conv.K <= 16 ? 16 : 32;
}
bool has_few_filters(const DenseConv& conv) {
  return conv.K <= 4 && conv.C > 16 && conv.C % 4 == 0 && conv.pool == 1 &&
         int64_t{16} * conv.max_depth() <= kMaxFilterBytes;
}
bool has_few_channels(const DenseConv& conv) {
  return (conv.C == 1 || conv.C == 3 || (conv.C % 4 == 0 && conv.C <= 16)) &&
         int64_t{4} * conv.max_depth() * filter_width(conv) <= kMaxFilterBytes;
}

template <int kCount, class Source, class T>
void run_few_channels(Context& ctx, const DenseConv& conv, const Source& source, const float* w,
                      const EpilogueInto<T>& e) {
  const int width = filter_width(conv), filters = width == 4 ? 4 : 8;
  const int per_block = kBlock / (width / filters) * std::max(kPixels, conv.pool * conv.pool);
  const dim3 grid(blocks_for(conv.max_pixels(), per_block), blocks_for(conv.K, width),
                  static_cast<unsigned>(conv.phases()));
  const auto kernel = filters == 4 ? conv2d_few_channels<kCount, 4, Source, T>
                                   : conv2d_few_channels<kCount, 8, Source, T>;
  launch(kernel, grid, kBlock, sizeof(float) * static_cast<size_t>(conv.max_depth() * width),
         stream_of(ctx), conv, source, w, width, e);
}

template <class Source, class T>
void run(Context& ctx, const DenseConv& conv, const Source& source, const float* filters,
         const EpilogueInto<T>& e) {
  const PhaseWeights weights(ctx, conv, filters);
  const float* w = weights.get();
  if (has_few_filters(conv)) {
    const int most = conv.K == 1 ? 1 : conv.K <= 3 ? 3 : 4;
    const auto kernel = most == 1   ? conv2d_few_filters<1, Source, T>
                        : most == 3 ? conv2d_few_filters<3, Source, T>
                                    : conv2d_few_filters<4, Source, T>;
    const dim3 grid(blocks_for(conv.max_pixels(), kBlock / kLanes * kPixels), 1,
                    static_cast<unsigned>(conv.phases()));
    return launch(kernel, grid, kBlock,
                  sizeof(float) * static_cast<size_t>(most * conv.max_depth()), stream_of(ctx),
                  conv, source, w, e);
  }
  if (conv.C == 1) return run_few_channels<1>(ctx, conv, source, w, e);
  if (conv.C == 3) return run_few_channels<3>(ctx, conv, source, w, e);
  run_few_channels<4>(ctx, conv, source, w, e);
}

}  // namespace

namespace direct {

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (const char* why_not = why_not_phases(pass, s, e)) return Coverage::no(why_not);
  if (!offsets_fit_int(s)) return Coverage::no("an operand of 2^31 elements or more");
  if (pass == ConvPass::wgrad) {
    if (s.C > 16 && s.K > 16) return Coverage::no("more than 16 channels and filters");
  } else {
    const DenseConv conv = pass == ConvPass::dgrad ? dgrad_conv(s) : fprop_conv(s, e.pool);
    if (conv.rows.max_taps() > kMaxTaps || conv.columns.max_taps() > kMaxTaps)
      return Coverage::no("a filter of too many rows or columns");
    if (!has_few_filters(conv) && !has_few_channels(conv))
      return Coverage::no("too many channels for the filters to lie in shared memory");
  }
  // A tile of a matrix product would be mostly padding.
  if (std::min(s.C, s.K) <= 4 || std::max(s.C, s.K) <= 16) return Coverage::yes();
  return Coverage::but_slower("more than 4 channels and filters, and more than 16 of one");
}

namespace {

template <class T>
void run_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
               const float* w, const float* bias, T* y, uint8_t* argmax) {
  if (s.C % 4 == 0) check_aligned("x", x);
  run<ImageSourceOf<T>, T>(ctx, fprop_conv(s, e.pool), {{x, s.H, s.W, s.C}}, w,
                           {y, argmax, bias, e.activation, e.slope});
}

template <class T>
void run_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
               const float* w, T* dx) {
  const DenseConv conv = dgrad_conv(s);
  if (s.K % 4 == 0) check_aligned(g);
  const EpilogueInto<T> into{dx};
  if (dz_is_dy(e))
    run(ctx, conv, ImageSourceOf<T>{{g.dy, conv.H, conv.W, conv.C}}, w, into);
  else if (e.pool == 1)
    run(ctx, conv, GradientSource<1, false, T>{{s, e, g}}, w, into);
  else
    run(ctx, conv, GradientSource<kAnyPool, false, T>{{s, e, g}}, w, into);
}

}  // namespace

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  run_fprop(ctx, s, e, x, w, bias, y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  run_dgrad(ctx, s, e, g, w, dx);
}

namespace bf16_tensors {

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const Coverage coverage = direct::covers(ctx, pass, s, e);
  if (coverage.is_possible() && lowering_of(s, e) == Lowering::gemm)
    return Coverage::but_slower("one product of matrices, which is split over its depth");
  return coverage;
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           const float* w, const float* bias, bf16* y, uint8_t* argmax) {
  run_fprop(ctx, s, e, x, w, bias, y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<bf16> g,
           const float* w, bf16* dx) {
  run_dgrad(ctx, s, e, g, w, dx);
}

}  // namespace bf16_tensors
}  // namespace direct
}  // namespace assay::cuda
