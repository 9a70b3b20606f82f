// The pipeline that the versions `pipelined` and `tensor_core` share: shared memory is a ring of
// stages, and while one is multiplied, cp.async fills the next ones. `hoisted` is the same with one
// stage, so without the overlap.
//
//      copies       | stage 0 | stage 1 | stage 2 | stage 0 | stage 1 | ...
//      multiplies                       | stage 0 | stage 1 | stage 2 | ...
//
// A step waits for this thread's copies and has one barrier of the block. After the barrier the
// copies of all threads have landed, and no thread reads the stage that is filled next.
//
// Indices: what depends on the thread's pixel (its offset, and a mask of the taps outside of the
// image) is computed once before the loop; what depends on the tap is carried from step to step by
// additions. For a copy the two are added. A thread copies 4 words at a time, so the source's
// channels are a multiple of 4, of bf16, two in a word, of 8.
#pragma once

#include "kernels/conv2d/cuda/epilogue.cuh"
#include "kernels/conv2d/cuda/sources.cuh"
#include "kernels/conv2d/cuda/weights.cuh"
#include "kernels/pointwise/pointwise.h"
#include "kernels/runtime/algorithm_table.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// The loop of `hoisted`: a step copies, waits, multiplies, waits.
template <class Tile, class Load>
__device__ void copy_and_multiply(float* shared, int steps, const Load& load, Tile& tile) {
  for (int step = 0; step < steps; ++step) {
    load(shared, step);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    __syncthreads();
    tile.multiply(shared, shared + Tile::kFloatsA);
    __syncthreads();  // before the stage is filled again
  }
}

/// The loop over the ring of stages.
template <class Tile, class Load>
__device__ void copy_ahead(float* shared, int steps, const Load& load, Tile& tile) {
  constexpr int kA = Tile::kFloatsA, kStage = kA + Tile::kFloatsB;
  int filled = 0, free = (Tile::kStages - 1) * kStage;  // offsets of stages
#pragma unroll
  for (int s = 0; s < Tile::kStages - 1; ++s) {
    if (s < steps) load(shared + s * kStage, s);
    ptx::cp_async_commit();
    __syncthreads();  // because a load may prepare the next one in shared memory
  }
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait<Tile::kStages - 2>();
    __syncthreads();
    const int next = step + Tile::kStages - 1;
    if (next < steps) load(shared + free, next);
    ptx::cp_async_commit();  // an empty group after the last step, so that the wait's count holds
    tile.multiply(shared + filled, shared + filled + kA);
    free = filled;
    filled = filled == (Tile::kStages - 1) * kStage ? 0 : filled + kStage;
  }
  ptx::cp_async_wait<0>();
  __syncthreads();
}

/// Multiplies `steps` stages into `tile`. load(stage, step) starts the copies of a step.
template <class Tile, class Load>
__device__ void run_pipeline(float* shared, int steps, const Load& load, Tile& tile) {
  if constexpr (Tile::kStages == 1)
    copy_and_multiply(shared, steps, load, tile);
  else
    copy_ahead(shared, steps, load, tile);
  tile.store(shared);  // the stages are free: the epilogue's tile takes their place
  __syncthreads();
}

/// Bytes of shared memory: the stages or the finished tile.
template <class Tile>
constexpr size_t pipeline_bytes() {
  const int stages = Tile::kStages * (Tile::kFloatsA + Tile::kFloatsB);
  const int finished = Tile::kM * (Tile::kN + 8);
  return sizeof(float) * static_cast<size_t>(stages > finished ? stages : finished);
}

// ---- fprop and dgrad

/// Grid: tiles of pixels, tiles of output channels, phases. Thread t copies the chunk of 4 words of
/// the depth number t % kChunks of every kRows-th row from copy_row(t / kChunks) on. conv.C and the
/// weights are in words; T is the type of the output.
template <class Tile, class Source, class T>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_pipeline(const __grid_constant__ PhasedConv conv, Source source,
                    const float* __restrict__ weights, EpilogueInto<T> e) {
  constexpr int kChunks = Tile::kLine / 4, kRows = Tile::kThreads / kChunks;
  constexpr int kRowsA = Tile::kM / kRows, kRowsB = Tile::kN / kRows;
  static_assert(kRows % 8 == 0, "the layout of a tile repeats every 8 rows");
  ASSAY_DYNAMIC_SHARED(float, shared);
  const Phase phase(conv, static_cast<int>(blockIdx.z));
  const int pixels = phase.pixels(conv.N), depth = phase.depth();
  const int m0 = static_cast<int>(blockIdx.x) * Tile::kM;
  const int n0 = static_cast<int>(blockIdx.y) * Tile::kN;
  if (m0 >= pixels) return;  // of a phase smaller than the largest

  const int chunk = static_cast<int>(threadIdx.x) % kChunks * 4;
  const int first_row = Tile::copy_row(static_cast<int>(threadIdx.x) / kChunks);
  typename Source::Row rows[kRowsA];
#pragma unroll
  for (int i = 0; i < kRowsA; ++i) {
    const int m = m0 + first_row + i * kRows;
    rows[i] = m < pixels ? source.row(phase, phase.pixel(m)) : Source::no_row();
  }
  const int own_filters = conv.K - n0 - first_row;
  int filter =
      static_cast<int>(blockIdx.z * conv.weights_of_phase) + (n0 + first_row) * depth + chunk;
  Tap tap = depth > 0 ? tap_of(phase, chunk) : Tap{};
  const int to_a = Tile::template at<true, Tile::kM>(first_row, chunk);
  const int to_b = Tile::kFloatsA + Tile::template at<true, Tile::kN>(first_row, chunk);

  const auto load = [&](float* stage, int) {
    const auto shift = source.shift(phase, tap);
#pragma unroll
    for (int i = 0; i < kRowsA; ++i)
      source.template copy<Tile>(stage + to_a + Tile::floats(true, i * kRows), rows[i], shift);
    const int filters_inside = tap.r < phase.taps_r ? own_filters : 0;
#pragma unroll
    for (int i = 0; i < kRowsB; ++i) {
      const bool inside = i * kRows < filters_inside;
      ptx::cp_async<16>(stage + to_b + Tile::floats(true, i * kRows),
                        weights + (inside ? filter + i * kRows * depth : 0), inside);
    }
    filter += Tile::kLine;
    tap.c += Tile::kLine;
    while (tap.c >= phase.C) {
      tap.c -= phase.C;
      if (++tap.t == phase.taps_s) {
        tap.t = 0;
        ++tap.r;
      }
    }
  };
  Tile tile;
  run_pipeline(shared, (depth + Tile::kLine - 1) / Tile::kLine, load, tile);
  store_tile<Tile::kM, Tile::kN, Tile::kN + 8, Tile::kThreads>(phase, pixels, conv.K, m0, n0,
                                                               shared, e);
}

template <class Tile, class Source, class T>
void launch_pipeline(Context& ctx, const DenseConv& conv, const Source& source,
                     const float* weights, const EpilogueInto<T>& e) {
  const dim3 grid(blocks_for(conv.max_pixels(), Tile::kM), blocks_for(conv.K, Tile::kN),
                  static_cast<unsigned>(conv.phases()));
  launch(conv2d_pipeline<Tile, Source, T>, grid, Tile::kThreads, pipeline_bytes<Tile>(),
         stream_of(ctx), conv, source, weights, e);
}

/// Whether tiles of 128 x `channels`, not half of them padding, give every multiprocessor of an
/// H100 one.
inline bool use_tiles(const DenseConv& conv, int channels) {
  constexpr int64_t kMultiprocessors = 132;
  const int64_t tiles = int64_t{blocks_for(conv.max_pixels(), 128)} * blocks_for(conv.K, channels);
  return conv.K > channels / 2 && tiles * conv.phases() >= kMultiprocessors;
}
inline bool use_large_tiles(const DenseConv& conv) {
  return use_tiles(conv, 64);
}

/// Requires channels in fours, of bf16 in eights, in the operands that are read, at most kMaxTaps
/// taps a side, and operands whose offsets fit into an int.
template <class T = float>
Coverage pipeline_covers(ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  constexpr int kChannels = 16 / sizeof(T);
  const DenseConv conv = pass == ConvPass::dgrad ? dgrad_conv(s) : fprop_conv(s, 1);
  if (const char* why_not = why_not_phases(pass, s, e)) return Coverage::no(why_not);
  if (conv.C % kChannels != 0 || (pass == ConvPass::wgrad && s.K % kChannels != 0))
    return Coverage::no(kChannels == 4 ? "channels that are read not in 4s"
                                       : "channels that are read not in 8s");
  if (conv.rows.max_taps() > kMaxTaps || conv.columns.max_taps() > kMaxTaps)
    return Coverage::no("a filter of too many rows or columns");
  if (!offsets_fit_int(s)) return Coverage::no("an operand of 2^31 elements or more");
  return Coverage::yes();
}

/// dz for the pipeline, whose copies handle activations whose slope follows from the sign of y. For
/// the others dy f'(y) is formed in memory first.
template <class T>
class SteepGradient {
 public:
  SteepGradient(Context& ctx, const Conv2dShape& s, Conv2dEpilogue e, Conv2dGrad<T> g)
      : from_sign_(slope_from_sign(e.activation)),
        scratch_(ctx, from_sign_ ? 0 : outputs(s, e) * sizeof(T)),
        dz_(make(ctx, s, e, g)) {}
  const GradientOfZFrom<T>& get() const { return dz_; }

 private:
  static size_t outputs(const Conv2dShape& s, const Conv2dEpilogue& e) {
    return static_cast<size_t>(int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K);
  }
  GradientOfZFrom<T> make(Context& ctx, const Conv2dShape& s, Conv2dEpilogue e, Conv2dGrad<T> g) {
    if (!from_sign_) {
      activation_bprop(ctx, e.activation, e.slope, static_cast<int64_t>(outputs(s, e)), g.y, g.dy,
                       scratch_.as<T>());
      g.dy = scratch_.as<T>();
      e.activation = Activation::none;
    }
    return {s, e, g};
  }

  bool from_sign_;
  Scratch scratch_;
  GradientOfZFrom<T> dz_;
};

/// Large and Small are tiles of 128 x 64 and 64 x 32.
template <class Large, class Small>
void pipeline_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    const float* w, const float* bias, float* y, uint8_t* argmax) {
  check_aligned("x", x);
  const DenseConv conv = fprop_conv(s, e.pool);
  const PhaseWeights weights(ctx, conv, w);
  const auto run = use_large_tiles(conv) ? launch_pipeline<Large, ImageSource, float>
                                         : launch_pipeline<Small, ImageSource, float>;
  run(ctx, conv, {{x, s.H, s.W, s.C}}, weights.get(), {y, argmax, bias, e.activation, e.slope});
}

/// LargeBehind and SmallBehind are used where dz is formed from dy.
template <class Large, class Small, class LargeBehind = Large, class SmallBehind = Small>
void pipeline_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                    Conv2dGrad<float> g, const float* w, float* dx) {
  check_aligned(g);
  const DenseConv conv = dgrad_conv(s);
  const bool large = use_large_tiles(conv);
  if (dz_is_dy(e)) {
    const PhaseWeights weights(ctx, conv, w);
    const auto run = large ? launch_pipeline<Large, ImageSource, float>
                           : launch_pipeline<Small, ImageSource, float>;
    return run(ctx, conv, {{g.dy, conv.H, conv.W, conv.C}}, weights.get(), {dx});
  }
  const PhaseWeights weights(ctx, conv, w, LargeBehind::kRounded);
  const SteepGradient<float> dz(ctx, s, e, g);
  const auto behind = [&]<int kPool>() {
    using Source = GradientSource<kPool, true>;
    const auto run = large ? launch_pipeline<LargeBehind, Source, float>
                           : launch_pipeline<SmallBehind, Source, float>;
    run(ctx, conv, {dz.get()}, weights.get(), {dx});
  };
  if (e.pool == 1)
    behind.template operator()<1>();
  else if (e.pool == 2)
    behind.template operator()<2>();
  else
    behind.template operator()<kAnyPool>();
}

// ---- the same on bf16 tensors

/// A convolution whose source channels are counted in words of two.
inline DenseConv in_words(DenseConv conv) {
  conv.C /= 2;
  return conv;
}
inline ImageView words_of(const bf16* x, int H, int W, int C) {
  return {reinterpret_cast<const float*>(x), H, W, C / 2};
}

/// The widest tile with enough blocks: Wide is 128 x 128, Large 128 x 64, Small 64 x 32.
template <class Wide, class Large, class Small>
void launch_image(Context& ctx, const DenseConv& conv, const bf16* image,
                  const PhaseWeightsBf16& weights, const EpilogueInto<bf16>& e) {
  const auto run = use_tiles(conv, 128)    ? launch_pipeline<Wide, ImageSource, bf16>
                   : use_large_tiles(conv) ? launch_pipeline<Large, ImageSource, bf16>
                                           : launch_pipeline<Small, ImageSource, bf16>;
  run(ctx, in_words(conv), {words_of(image, conv.H, conv.W, conv.C)}, weights.words(), e);
}

template <class Wide, class Large, class Small>
void pipeline_fprop_bf16(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                         const float* w, const float* bias, bf16* y, uint8_t* argmax) {
  check_aligned("x", x);
  const DenseConv conv = fprop_conv(s, e.pool);
  const PhaseWeightsBf16 weights(ctx, conv, w);
  launch_image<Wide, Large, Small>(ctx, conv, x, weights, {y, argmax, bias, e.activation, e.slope});
}

/// Wide takes the registers that forming dz needs, so it is for a dz that lies in memory.
template <class Wide, class Large, class Small>
void pipeline_dgrad_bf16(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                         Conv2dGrad<bf16> g, const float* w, bf16* dx) {
  check_aligned(g);
  const DenseConv conv = dgrad_conv(s);
  const PhaseWeightsBf16 weights(ctx, conv, w);
  const SteepGradient<bf16> dz(ctx, s, e, g);
  const auto run = [&]<class Source>(const Source& source) {
    const auto launch = use_large_tiles(conv) ? launch_pipeline<Large, Source, bf16>
                                              : launch_pipeline<Small, Source, bf16>;
    launch(ctx, in_words(conv), source, weights.words(), {dx});
  };
  if (dz_is_dy(e) || (e.pool == 1 && !slope_from_sign(e.activation)))
    launch_image<Wide, Large, Small>(ctx, conv, dz.get().dy, weights, {dx});
  else if (e.pool == 1)
    run(GradientSource<1, true, bf16, 2>{dz.get()});
  else if (e.pool == 2)
    run(GradientSource<2, true, bf16, 2>{dz.get()});
  else
    run(GradientSource<kAnyPool, true, bf16, 2>{dz.get()});
}

}  // namespace assay::cuda
