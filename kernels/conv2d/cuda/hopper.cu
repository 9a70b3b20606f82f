// Version 6, for sm_90, fprop and dgrad: TMA copies and wgmma multiplies, in the pipeline of the
// matrix product (kernels/gemm/cuda/wgmma_pipeline.cuh).
//
// A tile has 128 pixels, a box of images, rows and columns of one phase, and 128, 64 or 32 filters.
// What a tap reads is then a box too, of the image as it is: TMA copies it with zeros outside of
// the image, every second row and column where the stride is 2. No thread computes an address or a
// mask.
//
//   x (N,H,W,C)    box of 32 channels x columns x rows x images, from (c, w0 + s, h0 + r, n0)
//   filters        (phases * parts, K, taps, C): 32 channels of one tap of the tile's filters
//   stages         taps x C/32; channels past the last one are zeros on both sides
//
// bf16 tensors have 64 channels in the place of 32, unless half of the last 64 would be zeros.
//
// Where tiles are too few for all multiprocessors, and there is no pool, the stages of a tile are
// cut into parts. Each part's sums are written to memory; a second kernel adds them in order.
//
// A pooling window lies in one warp, so the maximum needs no shared memory: boxes have 8 columns
// with a pool of 2, 4 with one of 4. With g = lane / 4 a lane has rows g and g + 8 of the 16 of a
// warp:
//
//   8 columns    0  1  2  3  4  5  6  7          4 columns    0  1  2  3
//                8  9 10 11 12 13 14 15                       4  5  6  7
//                                                             8  9 10 11
//                                                            12 13 14 15
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/epilogue.cuh"
#include "kernels/conv2d/cuda/sources.cuh"
#include "kernels/conv2d/cuda/stored_dz.cuh"
#include "kernels/conv2d/cuda/weights.cuh"
#include "kernels/conv2d/lowering.h"
#include "kernels/gemm/cuda/wgmma_pipeline.cuh"
#include "kernels/runtime/cuda/cuda_context.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda::hopper {
namespace {

constexpr int kMaxBlocks = 132;  // one for each multiprocessor of an H100
constexpr int kPixels = 128;

/// The boxes of pixels that cover the largest phase; sides are powers of two.
struct Boxes {
  int columns_log2, rows_log2;  // of a box; it has 128 / (rows * columns) images
  int across, down, deep;       // boxes along columns, rows and images
  Divisor by_across, by_down, by_filter_tiles;
  int filter_tiles, tiles;  // tiles of one phase

  ASSAY_HD int columns() const { return 1 << columns_log2; }
  ASSAY_HD int rows() const { return 1 << rows_log2; }
  ASSAY_HD int images() const { return kPixels >> columns_log2 >> rows_log2; }
};

/// The fewest boxes, of these the most square one.
Boxes choose_boxes(const DenseConv& conv, int filters) {
  const int rows = conv.rows.outputs_of(0, conv.P / conv.pool) * conv.pool;
  const int columns = conv.columns.outputs_of(0, conv.Q / conv.pool) * conv.pool;
  const auto count = [](int n, int log2) { return (n + (1 << log2) - 1) >> log2; };
  Boxes best{};
  int64_t fewest = INT64_MAX;
  for (int c = 0; c <= 7; ++c)
    for (int r = 0; c + r <= 7; ++r) {
      if (conv.pool == 2 && (c != 3 || r < 1)) continue;
      if (conv.pool == 4 && (c != 2 || r < 2)) continue;
      const int64_t boxes = int64_t{count(columns, c)} * count(rows, r) * count(conv.N, 7 - c - r);
      const bool squarer = std::abs(c - r) < std::abs(best.columns_log2 - best.rows_log2);
      if (boxes > fewest || (boxes == fewest && !squarer)) continue;
      fewest = boxes;
      best.columns_log2 = c;
      best.rows_log2 = r;
    }
  best.across = std::max(1, count(columns, best.columns_log2));
  best.down = std::max(1, count(rows, best.rows_log2));
  best.deep = count(conv.N, 7 - best.columns_log2 - best.rows_log2);
  best.filter_tiles = (conv.K + filters - 1) / filters;
  best.by_across = Divisor(best.across);
  best.by_down = Divisor(best.down);
  best.by_filter_tiles = Divisor(best.filter_tiles);
  best.tiles = best.across * best.down * best.deep * best.filter_tiles;
  return best;
}

/// A tile: its phase, its first filter, and the first image, row and column of the phase's outputs.
struct TilePlace {
  int phase, k0, n0, i0, j0;
  __device__ TilePlace(int t, const Boxes& boxes, int filters) {
    phase = t / boxes.tiles;
    const int in_phase = t - phase * boxes.tiles, box = boxes.by_filter_tiles.quotient(in_phase);
    k0 = (in_phase - box * boxes.filter_tiles) * filters;
    const int row = boxes.by_across.quotient(box), deep = boxes.by_down.quotient(row);
    j0 = (box - row * boxes.across) << boxes.columns_log2;
    i0 = (row - deep * boxes.down) << boxes.rows_log2;
    n0 = deep * boxes.images();
  }
};

/// A maximum and the place of its first occurrence.
struct Best {
  float value;
  int place;
  __device__ void take(float v, int p) {
    const bool better = v > value || (v == value && p < place);
    value = better ? v : value;
    place = better ? p : place;
  }
  __device__ void take_from_lane(int mask) {
    const float v = __shfl_xor_sync(~0u, value, mask);
    const int p = __shfl_xor_sync(~0u, place, mask);
    take(v, p);
  }
};

/// Two neighbouring filters of one output.
template <class T>
__device__ __forceinline__ void store_two(const EpilogueInto<T>& e, int64_t at, int k, float first,
                                          float second) {
  if (e.bias != nullptr) {
    first += e.bias[k];
    second += e.bias[k + 1];
  }
  store_2(e.out + at, activate(e.activation, e.slope, first),
          activate(e.activation, e.slope, second));
}

/// The epilogue of a tile, from the registers of a consumer.
template <class Pipeline, int kPool, class T>
__device__ __forceinline__ void store_sums(const float (&sums)[Pipeline::kN / 2],
                                           const PhasedConv& conv, const Phase& phase,
                                           const Boxes& boxes, const TilePlace& place,
                                           const EpilogueInto<T>& e) {
  const int g = static_cast<int>(threadIdx.x) % 32 / 4;
  int64_t out[2];  // of rows g and g + 8: the output's first filter, or -1
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = Pipeline::row_of(2 * half),
              i = place.i0 + (row >> boxes.columns_log2) % boxes.rows();
    const int j = place.j0 + row % boxes.columns();
    const int n = place.n0 + (row >> boxes.columns_log2 >> boxes.rows_log2);
    const bool inside = n < conv.N && i / kPool < phase.rows && j / kPool < phase.columns;
    out[half] = inside ? phase.pixel(n, i / kPool, j / kPool, 0).out * conv.K : -1;
  }
#pragma unroll
  for (int e0 = 0; e0 < Pipeline::kN / 2; e0 += 4) {
    const int k = place.k0 + Pipeline::column_of(e0);
    if constexpr (kPool == 1) {
      if (k >= conv.K) continue;
      if (out[0] >= 0) store_two(e, out[0] + k, k, sums[e0], sums[e0 + 1]);
      if (out[1] >= 0) store_two(e, out[1] + k, k, sums[e0 + 2], sums[e0 + 3]);
    } else {
      Best best[2];
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        best[c] = {sums[e0 + c], kPool == 2 ? g % 2 : g};
        best[c].take(sums[e0 + 2 + c], best[c].place + (kPool == 2 ? 2 : 8));
        best[c].take_from_lane(4);  // g ^ 1
        if constexpr (kPool == 4) {
          best[c].take_from_lane(8);
          best[c].take_from_lane(16);
        }
      }
      // All lanes of a window have its maxima; they take turns to store them.
      constexpr int kLanes = kPool == 2 ? 2 : 8;
      if (g % kLanes != e0 / 4 % kLanes || k >= conv.K || out[0] < 0) continue;
      store_two(e, out[0] + k, k, best[0].value, best[1].value);
      if (e.argmax == nullptr) continue;
      e.argmax[out[0] + k] = static_cast<uint8_t>(best[0].place);
      e.argmax[out[0] + k + 1] = static_cast<uint8_t>(best[1].place);
    }
  }
}

/// A cut of the stages of every tile.
struct Cut {
  int parts;
  float* partials;  ///< (parts, output) if parts > 1
  int64_t outputs;  ///< elements of the output

  /// First stage of a part.
  __device__ int begin(int part, int steps) const { return steps * part / parts; }
};

/// The output, four neighbouring filters a thread, from the partial sums.
template <class T>
__global__ void __launch_bounds__(kThreads) add_parts(Cut cut, int K, EpilogueInto<T> e) {
  const int64_t i = global_thread() * 4;
  if (i >= cut.outputs) return;
  float4 sum = ldv<float4>(cut.partials + i);
  for (int part = 1; part < cut.parts; ++part) {
    const float4 more = ldv<float4>(cut.partials + part * cut.outputs + i);
    sum = make_float4(sum.x + more.x, sum.y + more.y, sum.z + more.z, sum.w + more.w);
  }
  const int k = static_cast<int>(i % K);
  store_two(e, i, k, sum.x, sum.y);
  store_two(e, i + 2, k + 2, sum.z, sum.w);
}

template <class Math, int kN>
__global__ void __launch_bounds__(384, 1)
    conv2d_hopper(const __grid_constant__ ptx::TensorMap map_x,
                  const __grid_constant__ ptx::TensorMap map_w,
                  const __grid_constant__ PhasedConv conv, const __grid_constant__ Boxes boxes,
                  const __grid_constant__ Cut cut,
                  const __grid_constant__ EpilogueInto<typename Math::Element> e) {
  using Pipeline = WgmmaPipeline<Math, kN>;
  ASSAY_DYNAMIC_SHARED(float, stages);
  ASSAY_SHARED(uint64_t, barriers, [2 * Pipeline::kStages]);
  Pipeline pipeline(stages, barriers);
  __syncthreads();
  const int tiles_of_part = boxes.tiles * conv.phases(), tiles = tiles_of_part * cut.parts;
  constexpr int kChannels = Pipeline::kDepth;  // of a stage
  const int chunks = (conv.C + kChannels - 1) / kChannels;
  const int first = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  RingPosition at;
  if (Pipeline::is_producer()) {
    if (!Pipeline::become_producer()) return;
    for (int t = first; t < tiles; t += blocks) {
      const int part = t / tiles_of_part;
      const TilePlace place(t - part * tiles_of_part, boxes, kN);
      const Phase phase(conv, place.phase);
      const int steps = phase.taps_r * phase.taps_s * chunks, begin = cut.begin(part, steps);
      const int h0 = place.i0 * phase.step + phase.first_r;
      const int w0 = place.j0 * phase.step + phase.first_s;
      const int tap = begin / chunks;
      int r = tap / max(1, phase.taps_s), s = tap - r * phase.taps_s;
      int c = (begin - tap * chunks) * kChannels;  // tap and channel of the next stage
      pipeline.produce(
          at, cut.begin(part + 1, steps) - begin, [&](float* a, float* b, uint64_t* full, int) {
            ptx::tma_load(a, map_x, full, {c, w0 + s, h0 + r, place.n0});
            ptx::tma_load(b, map_w, full,
                          {c, r * phase.taps_s + s, place.k0, place.phase * Math::kParts});
            c += kChannels;
            if (c < conv.C) return;
            c = 0;
            if (++s < phase.taps_s) return;
            s = 0;
            ++r;
          });
    }
    return;
  }
  Pipeline::become_consumer();
  for (int t = first; t < tiles; t += blocks) {
    const int part = t / tiles_of_part;
    const TilePlace place(t - part * tiles_of_part, boxes, kN);
    const Phase phase(conv, place.phase);
    float sums[kN / 2];
    const int all = phase.taps_r * phase.taps_s * chunks;
    const int steps = cut.begin(part + 1, all) - cut.begin(part, all);
    if (steps > 0) {
      pipeline.consume(at, steps, sums);
    } else {  // a filter shorter than the stride of its dgrad
#pragma unroll
      for (float& sum : sums) sum = 0;
    }
    if (cut.parts > 1)
      store_sums<Pipeline, 1>(sums, conv, phase, boxes, place,
                              Epilogue{.out = cut.partials + part * cut.outputs});
    else if (conv.pool == 1)
      store_sums<Pipeline, 1>(sums, conv, phase, boxes, place, e);
    else if (conv.pool == 2)
      store_sums<Pipeline, 2>(sums, conv, phase, boxes, place, e);
    else
      store_sums<Pipeline, 4>(sums, conv, phase, boxes, place, e);
  }
}

template <class Math, int kN>
void launch_tiles(Context& ctx, const DenseConv& conv, int parts,
                  const typename Math::Element* source, const BoxedWeights& weights,
                  const EpilogueInto<typename Math::Element>& e) {
  using Pipeline = WgmmaPipeline<Math, kN>;
  const auto size = [](int n) { return static_cast<uint64_t>(n); };
  const int taps = conv.rows.max_taps() * conv.columns.max_taps(), phases = conv.phases();
  const Boxes boxes = choose_boxes(conv, kN);
  const auto step = [](const PhaseAxis& axis) { return static_cast<uint32_t>(axis.step()); };
  const ptx::TensorMap map_x = make_tensor_map<4>(
      {.base = source,
       .size = {size(conv.C), size(conv.W), size(conv.H), size(conv.N)},
       .box = {Pipeline::kDepth, static_cast<uint32_t>(boxes.columns()),
               static_cast<uint32_t>(boxes.rows()), static_cast<uint32_t>(boxes.images())},
       .swizzle_bytes = Pipeline::kLineBytes,
       .element = Math::kElementA,
       .step = {1, step(conv.columns), step(conv.rows), 1}});
  const ptx::TensorMap map_w = make_tensor_map<4>(
      {.base = weights.get(),
       .size = {size(conv.C), size(taps), size(conv.K), size(Math::kParts * phases)},
       .box = {Pipeline::kDepth, 1, kN, Math::kParts},
       .swizzle_bytes = Pipeline::kLineBytes,
       .element = Math::kElementB});
  const int64_t outputs = int64_t{conv.N} * conv.P * conv.Q * conv.K;
  const Scratch partials(ctx, parts > 1 ? sizeof(float) * parts * outputs : 0);
  const Cut cut{parts, partials.as<float>(), outputs};
  const int tiles = boxes.tiles * phases * parts;
  launch(conv2d_hopper<Math, kN>, static_cast<unsigned>(std::min(kMaxBlocks, tiles)),
         Pipeline::kThreads, Pipeline::kBytes, stream_of(ctx), map_x, map_w, conv, boxes, cut, e);
  if (parts > 1)
    launch(add_parts<typename Math::Element>, blocks_for(outputs, 4 * kThreads), kThreads, 0,
           stream_of(ctx), cut, conv.K, e);
}

/// Tiles of a pass with so many filters each.
int64_t tiles_of(const DenseConv& conv, int filters) {
  return int64_t{choose_boxes(conv, filters).tiles} * conv.phases();
}

/// Tiles and parts of a pass; they depend on the shape alone, so the bits are the same everywhere.
struct Plan {
  int filters, parts;  ///< of a tile
  int64_t blocks;      ///< tiles times parts
};
Plan plan_of(const DenseConv& conv, int channels_of_stage) {
  constexpr int kMinSteps = 8, kMaxParts = 8;
  const auto plan = [&](int filters) {
    const int64_t tiles = tiles_of(conv, filters);
    const int steps = conv.rows.max_taps() * conv.columns.max_taps() *
                      ((conv.C + channels_of_stage - 1) / channels_of_stage);
    const int most = conv.pool > 1 ? 1 : std::min(kMaxParts, steps / kMinSteps);
    const int parts =
        static_cast<int>(std::clamp<int64_t>(kMaxBlocks / tiles, 1, std::max(1, most)));
    return Plan{filters, parts, tiles * parts};
  };
  // Tiles of 32 filters read shared memory longer than they multiply, to 2/3 of the peak.
  const Plan wide = plan(128), medium = plan(64);
  if (conv.K > 64 && wide.parts == 1 && wide.blocks >= kMaxBlocks) return wide;
  return conv.K > 32 && medium.blocks >= kMaxBlocks * 2 / 3 ? medium : plan(32);
}

/// Channels of a stage of tensors of T.
template <class T>
int stage_channels(const DenseConv& conv) {
  return sizeof(T) == 2 && blocks_for(conv.C, 32) % 2 == 0 ? 64 : 32;
}

template <class Math>
void run(Context& ctx, const DenseConv& conv, const typename Math::Element* source,
         const BoxedWeights& weights, const EpilogueInto<typename Math::Element>& e) {
  const Plan plan = plan_of(conv, stage_channels<typename Math::Element>(conv));
  const auto run_tiles = plan.filters == 128  ? launch_tiles<Math, 128>
                         : plan.filters == 64 ? launch_tiles<Math, 64>
                                              : launch_tiles<Math, 32>;
  run_tiles(ctx, conv, plan.parts, source, weights, e);
}
void run(Context& ctx, const DenseConv& conv, const float* source, const float* w,
         const Epilogue& e) {
  const auto with_math = ctx.precision == Precision::tf32 ? run<WgmmaTf32> : run<WgmmaTf32x3>;
  with_math(ctx, conv, source, BoxedWeights(ctx, conv, w, ctx.precision), e);
}
void run(Context& ctx, const DenseConv& conv, const bf16* source, const float* w,
         const EpilogueInto<bf16>& e) {
  const auto with_math = stage_channels<bf16>(conv) == 64 ? run<WgmmaBf16> : run<WgmmaBf16Narrow>;
  with_math(ctx, conv, source, BoxedWeights(ctx, conv, w, Precision::bf16), e);
}

template <class T>
Coverage covers_tensors_of(ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (!runs_sm90a()) return Coverage::no("for compute capability 9.0 alone");
  if (pass == ConvPass::wgrad)
    return Coverage::no("it reads both operands along the sum, which in wgrad is not contiguous");
  if (const char* why_not = why_not_phases(pass, s, e)) return Coverage::no(why_not);
  const bool forward = pass == ConvPass::fprop;
  const DenseConv conv = forward ? fprop_conv(s, e.pool) : dgrad_conv(s);
  constexpr int kChannelsOf16Bytes = 16 / sizeof(T);
  if (conv.C % kChannelsOf16Bytes != 0 || conv.K % 4 != 0)
    return Coverage::no(sizeof(T) == 2 ? "channels read not in 8s, or channels written not in 4s"
                                       : "channels not in 4s");
  if (!offsets_fit_int(s)) return Coverage::no("an operand of 2^31 elements or more");
  if (conv.C < 32 || conv.K < 32) return Coverage::but_slower("tiles would be mostly padding");
  // Writing and reading dz takes as long as some 300 products of TF32 an element.
  if (!forward && e.pool != 1 && s.R * s.S * s.C < 288)
    return Coverage::but_slower(
        "dz behind a pool, written to memory first, costs more than it saves");
  if (plan_of(conv, stage_channels<T>(conv)).blocks < kMaxBlocks / 2)
    return Coverage::but_slower("too few tiles, and stages to cut them into parts");
  if (tiles_of(conv, 32) * kPixels * 3 >
      conv.max_pixels() * conv.phases() * blocks_for(conv.K, 32) * 4)
    return Coverage::but_slower("boxes of pixels that hang far over the edge");
  return Coverage::yes();
}

template <class T>
void fprop_of(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
              const float* w, const float* bias, T* y, uint8_t* argmax) {
  check_aligned("x", x);
  check_aligned("y", y);
  run(ctx, fprop_conv(s, e.pool), x, w, {y, argmax, bias, e.activation, e.slope});
}

template <class T>
void dgrad_of(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
              const float* w, T* dx) {
  check_aligned(g);
  const StoredDz<T> dz(ctx, s, e, g);  // TMA copies and does not compute
  run(ctx, dgrad_conv(s), dz.get(), w, {dx});
}

}  // namespace

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.precision != Precision::tf32 && ctx.precision != Precision::tf32x3)
    return Coverage::no("for tf32 and tf32x3 alone");
  return covers_tensors_of<float>(pass, s, e);
}
void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  fprop_of(ctx, s, e, x, w, bias, y, argmax);
}
void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  dgrad_of(ctx, s, e, g, w, dx);
}

namespace bf16_tensors {

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const Coverage coverage = covers_tensors_of<bf16>(pass, s, e);
  if (coverage.is_possible() && lowering_of(s, e) == Lowering::gemm)
    return Coverage::but_slower("one product of matrices, which is split over its depth");
  return coverage;
}
void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           const float* w, const float* bias, bf16* y, uint8_t* argmax) {
  fprop_of(ctx, s, e, x, w, bias, y, argmax);
}
void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<bf16> g,
           const float* w, bf16* dx) {
  dgrad_of(ctx, s, e, g, w, dx);
}

}  // namespace bf16_tensors

}  // namespace assay::cuda::hopper
