#include "kernels/conv2d/cuda/weights.cuh"

#include <utility>
#include <vector>

#include "kernels/conv2d/cuda/winograd.cuh"
#include "kernels/reduce/reduce.h"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/step_packs.h"

namespace assay::cuda {
namespace {

/// The last three are those of BoxedWeights.
enum class PackForm : uint8_t { fp32, tf32, bf16, winograd, tf32_boxes, tf32x3_boxes, bf16_boxes };

ASSAY_HD bool is_boxed(PackForm form) {
  return form >= PackForm::tf32_boxes;
}
ASSAY_HD bool is_bf16(PackForm form) {
  return form == PackForm::bf16 || form == PackForm::bf16_boxes;
}
ASSAY_HD int parts_of(PackForm form) {
  return form == PackForm::tf32x3_boxes ? 2 : 1;
}

/// Filters to be packed: of `conv` its channels and axes alone are read.
struct Pack {
  DenseConv conv;
  PackForm form;
  const float* w;
  void* packed;
};
constexpr int kMaxPacks = 32;  // the table stays below the 4 KiB that kernel arguments may have
struct PackTable {
  int count;
  unsigned first_block[kMaxPacks + 1];  // of each pack, and of the end
  Pack packs[kMaxPacks];
};
static_assert(sizeof(PackTable) < 4000);

/// The 36 elements of pair i of a filter and a channel.
__device__ void transform_pair(const Pack& pack, int64_t i) {
  using namespace winograd;
  const DenseConv& conv = pack.conv;
  if (i >= filter_pairs(conv.K, conv.C)) return;
  const int channels = stages_of(conv.C) * kDepth;
  const int64_t line = i / kFilters;  // (block of filters, channel)
  const int c = static_cast<int>(line % channels), block = static_cast<int>(line / channels);
  const int n = block * kFilters + static_cast<int>(i % kFilters);
  const bool flipped = conv.rows.backward, exists = n < conv.K && c < conv.C;
  const int k = flipped ? c : n, channel = flipped ? n : c, step = flipped ? conv.K : conv.C;
  const float* w = pack.w + int64_t{k} * kTaps * kTaps * step + channel;
  float columns[kTaps][kPatch];  // transformed, by column of the filter
#pragma unroll
  for (int t = 0; t < kTaps; ++t) {
    float in[kTaps];
#pragma unroll
    for (int r = 0; r < kTaps; ++r) in[r] = exists ? w[(r * kTaps + t) * step] : 0.0f;
    transform_filter(flipped, in, columns[t]);
  }
  float* to = static_cast<float*>(pack.packed) +
              (int64_t{block} * stages_of(conv.C) + c / kDepth) * (kElements * kDepth * kFilters) +
              c % kDepth * kFilters + i % kFilters;
#pragma unroll
  for (int r = 0; r < kPatch; ++r) {
    const float in[kTaps] = {columns[0][r], columns[1][r], columns[2][r]};
    float out[kPatch];
    transform_filter(flipped, in, out);
#pragma unroll
    for (int t = 0; t < kPatch; ++t) to[(r * kPatch + t) * kDepth * kFilters] = out[t];
  }
}

/// packed(phase, n, (r,t,c)) = sum of the filter elements that tap (r,t) of the phase replaces,
/// rounded to the form; 0 for taps of a box that the phase lacks. One thread per element and phase.
__global__ void __launch_bounds__(kThreads) pack_filters(const __grid_constant__ PackTable table) {
  int number = 0;
  while (number + 1 < table.count && blockIdx.x >= table.first_block[number + 1]) ++number;
  const Pack& pack = table.packs[number];
  const DenseConv& conv = pack.conv;
  const int phase = static_cast<int>(blockIdx.y);
  if (phase >= conv.phases()) return;
  const int64_t i = int64_t{blockIdx.x - table.first_block[number]} * kThreads + threadIdx.x;
  if (pack.form == PackForm::winograd) return transform_pair(pack, i);
  const int a = phase / conv.columns.phases();
  const int b = phase % conv.columns.phases(), taps_s = conv.columns.taps(b);
  const int taps = conv.rows.taps(a) * taps_s;
  const int depth = is_boxed(pack.form) ? conv.max_depth() : taps * conv.C;
  if (i >= int64_t{conv.K} * depth) return;
  const int n = static_cast<int>(i / depth), d = static_cast<int>(i % depth), c = d % conv.C;
  const int tap = d / conv.C;
  const bool flipped = conv.rows.backward;
  const int k = flipped ? c : n, channel = flipped ? n : c, channels = flipped ? conv.K : conv.C;
  float sum = 0;
  if (tap < taps) {
    const Range rows = conv.rows.summed(a, tap / taps_s);
    const Range columns = conv.columns.summed(b, tap % taps_s);
    for (int r = rows.begin; r < rows.end; ++r)
      for (int t = columns.begin; t < columns.end; ++t)
        sum += pack.w[((int64_t{k} * conv.rows.filter + r) * conv.columns.filter + t) * channels +
                      channel];
  }
  const int64_t elements = conv.phase_weights();
  const int64_t at = phase * parts_of(pack.form) * elements + i;
  if (is_bf16(pack.form)) {
    static_cast<bf16*>(pack.packed)[at] = static_cast<bf16>(sum);
    return;
  }
  const float rounded = pack.form == PackForm::fp32 ? sum : __uint_as_float(ptx::cvt_tf32(sum));
  float* to = static_cast<float*>(pack.packed) + at;
  *to = rounded;
  if (parts_of(pack.form) == 2) to[elements] = __uint_as_float(ptx::cvt_tf32(sum - rounded));
}

void pack_all(Context& ctx, const std::vector<Pack>& packs) {
  PackTable table{};
  unsigned blocks = 0, phases = 1;
  const auto flush = [&] {
    table.first_block[table.count] = blocks;
    if (table.count > 0)
      launch(pack_filters, dim3(blocks, phases), kThreads, 0, stream_of(ctx), table);
    table.count = 0;
    blocks = 0;
    phases = 1;
  };
  for (const Pack& pack : packs) {
    if (table.count == kMaxPacks) flush();
    table.first_block[table.count] = blocks;
    table.packs[table.count++] = pack;
    const bool pairs = pack.form == PackForm::winograd;
    blocks += blocks_for(
        pairs ? winograd::filter_pairs(pack.conv.K, pack.conv.C) : pack.conv.phase_weights(),
        kThreads);
    phases = std::max(phases, static_cast<unsigned>(pack.conv.phases()));
  }
  flush();
}

size_t packed_bytes(const DenseConv& conv, PackForm form) {
  if (form == PackForm::winograd)
    return sizeof(float) * winograd::kElements *
           static_cast<size_t>(winograd::filter_pairs(conv.K, conv.C));
  const size_t element = is_bf16(form) ? sizeof(bf16) : sizeof(float);
  return element * static_cast<size_t>(parts_of(form) * conv.phases() * conv.phase_weights());
}

class FilterPacks final : public StepPacks {
 public:
  void forget() override {
    for (Entry& entry : entries_) entry.is_packed = false;
  }

  const void* get(Context& ctx, const DenseConv& conv, const float* w, PackForm form) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      const DenseConv& of = entry.pack.conv;
      return entry.pack.w == w && entry.pack.form == form && of.K == conv.K && of.C == conv.C &&
             of.rows == conv.rows && of.columns == conv.columns;
    });
    if (found == entries_.end()) {
      entries_.push_back({{conv, form, w, nullptr}, Scratch(ctx, packed_bytes(conv, form))});
      Entry& made = entries_.back();
      made.pack.packed = made.memory.as<void>();
      pack_all(ctx, {made.pack});
      return made.pack.packed;
    }
    if (!found->is_packed) {
      std::vector<Pack> missing;
      for (Entry& entry : entries_)
        if (!std::exchange(entry.is_packed, true)) missing.push_back(entry.pack);
      pack_all(ctx, missing);
    }
    return found->pack.packed;
  }

 private:
  struct Entry {
    Pack pack;
    Scratch memory;
    bool is_packed = true;
  };
  std::vector<Entry> entries_;
};

/// The packed filters, in `memory` unless a recorded step keeps them.
const float* packed_filters(Context& ctx, const DenseConv& conv, const float* w, PackForm form,
                            Scratch& memory) {
  if (ctx.step_packs != nullptr)
    return static_cast<const float*>(
        static_cast<FilterPacks*>(ctx.step_packs)->get(ctx, conv, w, form));
  memory = Scratch(ctx, packed_bytes(conv, form));
  pack_all(ctx, {{conv, form, w, memory.as<void>()}});
  return memory.as<float>();
}

}  // namespace

PhaseWeights::PhaseWeights(Context& ctx, const DenseConv& conv, const float* w, bool round_to_tf32)
    : weights_(w) {
  if (!round_to_tf32 && !conv.rows.backward && conv.phases() == 1 && aligned16(w)) return;
  const PackForm form = round_to_tf32 ? PackForm::tf32 : PackForm::fp32;
  weights_ = packed_filters(ctx, conv, w, form, packed_);
}

PhaseWeightsBf16::PhaseWeightsBf16(Context& ctx, const DenseConv& conv, const float* w)
    : words_(packed_filters(ctx, conv, w, PackForm::bf16, packed_)) {}

TransformedFilters::TransformedFilters(Context& ctx, const DenseConv& conv, const float* w)
    : filters_(packed_filters(ctx, conv, w, PackForm::winograd, packed_)) {}

BoxedWeights::BoxedWeights(Context& ctx, const DenseConv& conv, const float* w, Precision precision)
    : weights_(w) {
  const bool as_it_is = !conv.rows.backward && conv.phases() == 1 && aligned16(w);
  if (precision == Precision::tf32 && as_it_is) return;
  const PackForm form = precision == Precision::tf32     ? PackForm::tf32_boxes
                        : precision == Precision::tf32x3 ? PackForm::tf32x3_boxes
                                                         : PackForm::bf16_boxes;
  weights_ = packed_filters(ctx, conv, w, form, packed_);
}

std::unique_ptr<StepPacks> new_step_packs() {
  return std::make_unique<FilterPacks>();
}

GradientPartials::GradientPartials(Context& ctx, int64_t n, int parts, float* gradient)
    : ctx_(ctx), gradient_(gradient), partials_(gradient), sum_{n, {}} {
  if (parts == 1 || gradient == nullptr) return;
  const int64_t stride = gradient_stride(n);
  const auto memory =
      std::make_shared<const Scratch>(ctx, sizeof(float) * static_cast<size_t>(parts * stride));
  partials_ = memory->as<float>();
  sum_.addends = {{memory, partials_, static_cast<int>(stride), parts}};
}

void GradientPartials::sum() const {
  if (sum_.addends.empty()) return;
  if (ctx_.unfinished != nullptr && ctx_.unfinished->wants(gradient_))
    ctx_.unfinished->leave(gradient_, sum_);
  else
    finish_sum(ctx_, sum_, gradient_);
}

}  // namespace assay::cuda
