#include "kernels/conv2d/cpu/winograd/tiles.h"

namespace assay::cpu {
namespace {

template <WinogradLengths n>
constexpr WinogradSizes sizes_of(const WinogradAxis<n>& axis, int phases = 1) {
  WinogradSizes z{.patch = n.patch,
                  .values = n.values,
                  .products = n.products,
                  .sums = n.sums,
                  .out = n.out,
                  .step = axis.step,
                  .out_first = axis.out_first,
                  .phases = phases,
                  .value_of = {},
                  .sum_of = {}};
  for (int e = 0; e < n.products; ++e) {
    z.value_of[e] = axis.value_of[e];
    z.sum_of[e] = axis.sum_of[e];
  }
  return z;
}

constexpr auto kPlain = winograd_plain(false);
constexpr auto kUpsampled = winograd_upsampled();
constexpr auto kUpsampledBack = winograd_upsampled_back();
constexpr auto kStrided = winograd_strided();
constexpr auto kStridedBack = winograd_strided_back();
// In the order of WinogradKind.
constexpr WinogradSizes kSizes[] = {sizes_of(kPlain),
                                    sizes_of(kPlain),
                                    sizes_of(kUpsampled),
                                    sizes_of(kUpsampledBack),
                                    sizes_of(kStrided, kStridedPhases),
                                    sizes_of(kStridedBack)};

}  // namespace

bool WinogradSizes::first_of_sum(int i, int j) const {
  for (int a = 0; a <= i; ++a)
    for (int b = 0; b < (a < i ? products : j); ++b)
      if (sum_plane(a, b) == sum_plane(i, j)) return false;
  return true;
}

const WinogradSizes& winograd_sizes(WinogradKind kind) {
  return kSizes[static_cast<int>(kind)];
}

Tiling::Tiling(WinogradKind kind, int out_rows, int out_columns)
    : z(winograd_sizes(kind)),
      rows((out_rows - z.out_first + z.out - 1) / z.out),
      columns((out_columns - z.out_first + z.out - 1) / z.out) {}

Stage Tiling::source(int i0, int i1) const {
  return {.row = i0 * z.step - 1,
          .rows = (i1 - i0 - 1) * z.step + z.patch,
          .left = 1,
          .width = (columns - 1) * z.step + z.patch};
}

Stage Tiling::output(int i0, int i1) const {
  return {.row = i0 * z.out + z.out_first,
          .rows = (i1 - i0) * z.out,
          .left = -z.out_first,
          .width = columns * z.out};
}

}  // namespace assay::cpu
