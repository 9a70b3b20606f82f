#include "kernels/conv2d/cpu/tiles/plan.h"

#include <algorithm>

#include "kernels/runtime/isa.h"
#include "kernels/runtime/parallel.h"

namespace assay::cpu::tiles {
namespace {

// Phases have these few output channels together where one product takes all of them.
constexpr int kMaxMergedChannels = tile::kColumns;
// A window of two slices is cheaper than a tap of up to 16 channels, which fills half a slice.
constexpr int kMaxWindowValues = 2 * tile::kDepth;
constexpr int kMaxWindowChannels = 15;

/// Whether (row, column) of the window is a tap of the phase (a, b).
bool has_tap(const Plan& p, int a, int b, int row, int column) {
  const int r = row + p.row_reach.begin - p.conv.rows.first(a);
  const int t = column + p.column_reach.begin - p.conv.columns.first(b);
  return r >= 0 && r < p.conv.rows.taps(a) && t >= 0 && t < p.conv.columns.taps(b);
}

/// The steps of the phase (a, b), or of all phases.
std::vector<Step> steps_of(const Plan& p, int a, int b) {
  std::vector<Step> steps;
  for (int slice = 0; slice < p.slices; ++slice) {
    if (p.reduction == Reduction::window) {
      steps.push_back({slice, 0, 0});
      continue;
    }
    for (int row = 0; row < p.window_rows(); ++row)
      for (int column = 0; column < p.window_columns(); ++column)
        if (p.merged || has_tap(p, a, b, row, column)) steps.push_back({slice, row, column});
  }
  return steps;
}

Plan make_plan(const DenseConv& conv) {
  Plan p{.conv = conv, .row_reach = conv.rows.reach(), .column_reach = conv.columns.reach()};
  const int window = p.window_rows() * p.window_columns() * conv.C;
  const bool few = window <= kMaxWindowValues && conv.C <= kMaxWindowChannels;
  p.reduction = few && p.window_rows() <= kMaxWindowRows ? Reduction::window : Reduction::channels;
  const int values = p.reduction == Reduction::window ? window : conv.C;
  p.slices = (values + tile::kDepth - 1) / tile::kDepth;
  p.merged = conv.phases() > 1 && conv.phases() * conv.K <= kMaxMergedChannels &&
             conv.P % p.out_step() == 0 && conv.Q % p.out_step() == 0;
  for (int a = 0; a < conv.rows.phases(); ++a)
    for (int b = 0; b < conv.columns.phases(); ++b)
      if (!p.merged || p.steps.empty()) p.steps.push_back(steps_of(p, a, b));
  p.width_tiles = p.out_channels() <= tile::kColumns ? 1 : 2;
  return p;
}

/// Packs the filters of a plan, tile by tile.
class Packer {
 public:
  Packer(const Plan& plan, const float* w, const WeightStrides& strides)
      : p_(plan), w_(w), strides_(strides) {}

  /// One panel of a product.
  void panel(int product, int panel, bf16* out) const {
    for (const Step& step : p_.steps[static_cast<size_t>(product)])
      for (int t = 0; t < p_.width_tiles; ++t, out += tile::kValues) {
        const int first = panel * p_.panel_width() + t * tile::kColumns;
        if (is_whole(step, first))
          whole_tile(product, step, first, out);
        else
          any_tile(product, step, first, out);
      }
  }

 private:
  /// Whether a tile has 32 channels of one tap and 16 output channels of one phase.
  bool is_whole(const Step& step, int first) const {
    return p_.reduction == Reduction::channels && !p_.merged &&
           (step.slice + 1) * tile::kDepth <= p_.conv.C && first + tile::kColumns <= p_.conv.K;
  }
  int row_of(int phase) const { return phase / p_.conv.columns.phases(); }
  int column_of(int phase) const { return phase % p_.conv.columns.phases(); }
  Range rows_at(int phase, int row) const {
    const int a = row_of(phase);
    return p_.conv.rows.summed(a, row + p_.row_reach.begin - p_.conv.rows.first(a));
  }
  Range columns_at(int phase, int column) const {
    const int b = column_of(phase);
    return p_.conv.columns.summed(b, column + p_.column_reach.begin - p_.conv.columns.first(b));
  }

  void whole_tile(int phase, const Step& step, int first, bf16* out) const {
    const Range rows = rows_at(phase, step.row), columns = columns_at(phase, step.column);
    const FilterTile job{.w = w_ + rows.begin * strides_.row + columns.begin * strides_.column +
                              int64_t{step.slice} * tile::kDepth * strides_.in_channel +
                              first * strides_.out_channel,
                         .rows = rows.end - rows.begin,
                         .columns = columns.end - columns.begin,
                         .row = strides_.row,
                         .column = strides_.column,
                         .in_channel = strides_.in_channel,
                         .out_channel = strides_.out_channel,
                         .out = out};
    ASSAY_TILES_CALL(pack_filters, job);
  }

  void any_tile(int product, const Step& step, int first, bf16* out) const {
    for (int d = 0; d < tile::kDepth; ++d)
      for (int lane = 0; lane < tile::kColumns; ++lane)
        out[(d / 2 * tile::kColumns + lane) * 2 + d % 2] =
            bf16(value(product, step, d, first + lane));
  }

  /// Value d of a step for an output channel of the product; 0 if there is none.
  float value(int product, const Step& step, int d, int out_channel) const {
    const int at = step.slice * tile::kDepth + d;
    int row = step.row, column = step.column, channel = at;
    if (p_.reduction == Reduction::window) {
      column = at / (p_.window_rows() * p_.conv.C);
      row = at / p_.conv.C % p_.window_rows();
      channel = at % p_.conv.C;
    }
    if (channel >= p_.conv.C || out_channel >= p_.out_channels()) return 0;
    const int phase = p_.merged ? out_channel / p_.conv.K : product;
    if (!has_tap(p_, row_of(phase), column_of(phase), row, column)) return 0;
    const Range rows = rows_at(phase, row), columns = columns_at(phase, column);
    const float* w =
        w_ + channel * strides_.in_channel + out_channel % p_.conv.K * strides_.out_channel;
    float sum = 0;
    for (int r = rows.begin; r < rows.end; ++r)
      for (int t = columns.begin; t < columns.end; ++t)
        sum += w[r * strides_.row + t * strides_.column];
    return sum;
  }

  const Plan& p_;
  const float* w_;
  WeightStrides strides_;
};

}  // namespace

int64_t Plan::all_panel_bytes() const {
  int64_t all = 0;
  for (int product = 0; product < products(); ++product) all += panels() * panel_bytes(product);
  return all;
}

Plan fprop_plan(const Conv2dShape& s) {
  return make_plan(fprop_conv(s, 1));
}
Plan dgrad_plan(const Conv2dShape& s) {
  return make_plan(dgrad_conv(s));
}

WeightStrides fprop_strides(const Conv2dShape& s) {
  return {.row = int64_t{s.S} * s.C,
          .column = s.C,
          .in_channel = 1,
          .out_channel = int64_t{s.R} * s.S * s.C};
}
WeightStrides dgrad_strides(const Conv2dShape& s) {
  const WeightStrides forward = fprop_strides(s);
  return {.row = forward.row,
          .column = forward.column,
          .in_channel = forward.out_channel,
          .out_channel = forward.in_channel};
}

void pack_panels(Context& ctx, const Plan& plan, const float* w, const WeightStrides& strides,
                 bf16* out) {
  const Packer packer(plan, w, strides);
  for (int product = 0; product < plan.products(); ++product) {
    const int64_t values = plan.panel_bytes(product) / static_cast<int64_t>(sizeof(bf16));
    parallel_for(ctx, plan.panels(), [&](int64_t panel) {
      packer.panel(product, static_cast<int>(panel), out + panel * values);
    });
    out += plan.panels() * values;
  }
}

}  // namespace assay::cpu::tiles
