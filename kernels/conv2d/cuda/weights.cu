#include "kernels/conv2d/cuda/weights.cuh"

#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// packed(phase, n, (r,t,c)) = sum of the filter elements that tap (r,t) of the phase replaces,
/// rounded to TF32 if wanted, and to T. One thread per element.
template <class T>
__global__ void __launch_bounds__(kThreads)
    pack_phase_weights(DenseConv conv, bool round_to_tf32, const float* __restrict__ w,
                       T* __restrict__ packed) {
  const int phase = static_cast<int>(blockIdx.y), a = phase / conv.columns.phases();
  const int b = phase % conv.columns.phases(), taps_s = conv.columns.taps(b);
  const int depth = conv.rows.taps(a) * taps_s * conv.C;
  const int64_t i = global_thread();
  if (i >= int64_t{conv.K} * depth) return;
  const int n = static_cast<int>(i / depth), d = static_cast<int>(i % depth), c = d % conv.C;
  const Range rows = conv.rows.summed(a, d / conv.C / taps_s);
  const Range columns = conv.columns.summed(b, d / conv.C % taps_s);
  const bool flipped = conv.rows.backward;
  const int k = flipped ? c : n, channel = flipped ? n : c, channels = flipped ? conv.K : conv.C;
  float sum = 0;
  for (int r = rows.begin; r < rows.end; ++r)
    for (int t = columns.begin; t < columns.end; ++t)
      sum +=
          w[((int64_t{k} * conv.rows.filter + r) * conv.columns.filter + t) * channels + channel];
  if (round_to_tf32) sum = __uint_as_float(ptx::cvt_tf32(sum));
  packed[phase * conv.phase_weights() + i] = static_cast<T>(sum);
}

template <class T>
Scratch packed_weights(Context& ctx, const DenseConv& conv, const float* w, bool round_to_tf32) {
  Scratch packed(ctx, sizeof(T) * static_cast<size_t>(conv.phases() * conv.phase_weights()));
  const dim3 grid(blocks_for(conv.phase_weights(), kThreads), static_cast<unsigned>(conv.phases()));
  launch(pack_phase_weights<T>, grid, kThreads, 0, stream_of(ctx), conv, round_to_tf32, w,
         packed.as<T>());
  return packed;
}

constexpr int kWeights = 32, kSharers = kThreads / kWeights;

/// dw: filter row r of phase a is the phase's tap that sums it. A block adds kWeights elements;
/// thread t takes every kSharers-th part of element t % kWeights, and the first ones add up.
__global__ void __launch_bounds__(kThreads)
    sum_partials(DenseConv conv, int parts, const float* __restrict__ partials,
                 float* __restrict__ dw) {
  ASSAY_SHARED(float, sums, [kSharers][kWeights]);
  const int R = conv.rows.filter, S = conv.columns.filter, C = conv.C;
  const int column_of_block = static_cast<int>(threadIdx.x) % kWeights;
  const int sharer = static_cast<int>(threadIdx.x) / kWeights;
  const int64_t i = int64_t{blockIdx.x} * kWeights + column_of_block;
  const bool inside = i < int64_t{conv.K} * R * S * C;
  const int c = static_cast<int>(i % C), t = static_cast<int>(i / C % S);
  const int r = static_cast<int>(i / C / S % R), k = static_cast<int>(i / C / S / R);
  float sum = 0;
  for (int phase = 0; inside && phase < conv.phases(); ++phase) {
    const int a = phase / conv.columns.phases(), b = phase % conv.columns.phases();
    const int row = floor_div(a - conv.rows.pad + r, conv.rows.upsample) - conv.rows.first(a);
    const int column =
        floor_div(b - conv.columns.pad + t, conv.columns.upsample) - conv.columns.first(b);
    const int taps_s = conv.columns.taps(b), depth = conv.rows.taps(a) * taps_s * C;
    const float* from = partials + phase * conv.phase_weights() + int64_t{k} * depth +
                        (row * taps_s + column) * C + c;
#pragma unroll 4
    for (int part = sharer; part < parts; part += kSharers)
      sum += from[int64_t{part} * conv.phases() * conv.phase_weights()];
  }
  sums[sharer][column_of_block] = sum;
  __syncthreads();
  if (sharer != 0 || !inside) return;
  for (int other = 1; other < kSharers; ++other) sum += sums[other][column_of_block];
  dw[i] = sum;
}

}  // namespace

PhaseWeights::PhaseWeights(Context& ctx, const DenseConv& conv, const float* w, bool round_to_tf32)
    : weights_(w) {
  if (!round_to_tf32 && !conv.rows.backward && conv.phases() == 1 && aligned16(w)) return;
  packed_ = packed_weights<float>(ctx, conv, w, round_to_tf32);
  weights_ = packed_.as<float>();
}

PhaseWeightsBf16::PhaseWeightsBf16(Context& ctx, const DenseConv& conv, const float* w)
    : packed_(packed_weights<bf16>(ctx, conv, w, false)) {}

WgradPartials::WgradPartials(Context& ctx, const DenseConv& conv, const WgradCut& cut, float* dw)
    : ctx_(ctx), conv_(conv), parts_(cut.parts), partials_(dw) {
  if (parts_ * conv.phases() == 1) return;
  const int64_t floats = int64_t{parts_} * conv.phases() * conv.phase_weights();
  scratch_ = Scratch(ctx, sizeof(float) * static_cast<size_t>(floats));
  partials_ = scratch_.as<float>();
}

void WgradPartials::sum_into(float* dw) const {
  if (partials_ == dw) return;
  const int64_t weights = int64_t{conv_.K} * conv_.rows.filter * conv_.columns.filter * conv_.C;
  launch(sum_partials, blocks_for(weights, kWeights), kThreads, 0, stream_of(ctx_), conv_, parts_,
         partials_, dw);
}

}  // namespace assay::cuda
