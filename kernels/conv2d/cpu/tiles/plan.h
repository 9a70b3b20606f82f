// fprop or dgrad as products of tiles, and the filters packed for them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/tiles/pass_simd.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/tile_sizes.h"

namespace assay::cpu::tiles {

/// A place under the filter, relative to the first that any phase reads, and which 32 values there:
/// the operand of one tile product.
struct Step {
  int slice, row, column;
};

/// A pass (geometry.h) as steps. The weights of a step that a phase does not have are zero.
struct Plan {
  DenseConv conv;  ///< with pool 1
  Range row_reach, column_reach;
  Reduction reduction = Reduction::channels;
  int slices = 0;  ///< of 32 values: of the channels, or of the window
  /// Whether all phases share one product, whose output channels are (phase row, phase column, k).
  bool merged = false;
  int width_tiles = 1;  ///< tiles of 16 output channels that are multiplied together: 1 or 2
  std::vector<std::vector<Step>> steps = {};  ///< of each product

  int window_rows() const { return row_reach.end - row_reach.begin; }
  int window_columns() const { return column_reach.end - column_reach.begin; }
  int step() const { return conv.rows.step(); }
  int out_step() const { return conv.rows.phases(); }
  /// Products of their own: the phases, or 1 if they are merged.
  int products() const { return static_cast<int>(steps.size()); }
  int out_channels() const { return merged ? conv.K * conv.phases() : conv.K; }
  int panel_width() const { return width_tiles * tile::kColumns; }
  int panels() const { return (out_channels() + panel_width() - 1) / panel_width(); }
  int64_t panel_bytes(int product) const {
    return static_cast<int64_t>(steps[static_cast<size_t>(product)].size()) * width_tiles *
           tile::kBytes;
  }
  /// Of all panels of all products.
  int64_t all_panel_bytes() const;
};

Plan fprop_plan(const Conv2dShape& s);
Plan dgrad_plan(const Conv2dShape& s);

/// Elements of w between neighbours, seen from the pass.
struct WeightStrides {
  int64_t row, column, in_channel, out_channel;
};
WeightStrides fprop_strides(const Conv2dShape& s);
WeightStrides dgrad_strides(const Conv2dShape& s);

/// Packs w, rounded to bf16 after taps that fall together are summed:
/// [product][panel][step][tile of 16 output channels][pair of values][output channel][2].
void pack_panels(Context& ctx, const Plan& plan, const float* w, const WeightStrides& strides,
                 bf16* out);

}  // namespace assay::cpu::tiles
