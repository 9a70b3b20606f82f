// Filters rounded to bf16 in pairs.
#include "kernels/conv2d/cpu/tiles/pass_simd.h"
#include "kernels/runtime/tile_sizes.h"
#include "kernels/runtime/tile_vectors.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

using tiles::FilterTile;

/// 16 neighbouring weights, taps summed.
ASSAY_INLINE vf summed_taps(const FilterTile& job, const float* w) {
  vf sum{};
  for (int r = 0; r < job.rows; ++r)
    for (int t = 0; t < job.columns; ++t) sum += load(w + r * job.row + t * job.column);
  return sum;
}

}  // namespace

void pack_filters(const FilterTile& job) {
  vu v[16];
  if (job.in_channel == 1) {  // rows of 32 channels become columns of 16 pairs
    for (int k = 0; k < 16; ++k) {
      const float* w = job.w + k * job.out_channel;
      v[k] = (vu)round_to_bf16(summed_taps(job, w), summed_taps(job, w + 16));
    }
    transpose(v);
  } else {
    for (int j = 0; j < 16; ++j) {
      const float* w = job.w + 2 * j * job.in_channel;
      v[j] = pairs(round_to_bf16(summed_taps(job, w)),
                   round_to_bf16(summed_taps(job, w + job.in_channel)));
    }
  }
  for (int j = 0; j < 16; ++j) store_as(job.out + j * ::assay::tile::kDepth, v[j]);
}

}  // namespace assay::cpu::ASSAY_ISA
