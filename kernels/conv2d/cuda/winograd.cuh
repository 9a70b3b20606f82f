// What the filters of the version `winograd` and its products share: the layout of transformed
// filters, and the small matrices of winograd_transforms.h times registers.
#pragma once

#include "kernels/conv2d/winograd_transforms.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda::winograd {

constexpr int kOut = 4, kPatch = 6, kTaps = 3, kElements = kPatch * kPatch;
constexpr int kFilters = 32, kDepth = 8;  // of a block, and channels of a stage

/// Transformed filters are (blocks of kFilters, stages, kElements, kDepth, kFilters), with zeros
/// for filters and channels that do not exist.
ASSAY_HD constexpr int blocks_of(int filters) {
  return (filters + kFilters - 1) / kFilters;
}
ASSAY_HD constexpr int stages_of(int channels) {
  return (channels + kDepth - 1) / kDepth;
}
/// Pairs of a filter and a channel, those of zeros included.
ASSAY_HD constexpr int64_t filter_pairs(int filters, int channels) {
  return int64_t{blocks_of(filters)} * kFilters * stages_of(channels) * kDepth;
}

/// out = m in.
template <int R, int C>
__device__ __forceinline__ void multiply(const Matrix<R, C>& m, const float (&in)[C],
                                         float (&out)[R]) {
#pragma unroll
  for (int i = 0; i < R; ++i) {
    float sum = 0;
    bool empty = true;
#pragma unroll
    for (int j = C - 1; j >= 0; --j) {
      if (m.at[i][j] == 0) continue;
      sum = empty ? m.at[i][j] * in[j] : fmaf(m.at[i][j], in[j], sum);
      empty = false;
    }
    out[i] = sum;
  }
}

/// One dimension of the transform of a patch. F(4,3) has pairs of rows.
__device__ __forceinline__ void transform_source(const float (&in)[kPatch], float (&out)[kPatch]) {
  static constexpr auto kRows = pair_rows(winograd_plain(false).source);
  float core[kPatch];
  multiply(kRows.core, in, core);
#pragma unroll
  for (int i = 0; i < kPatch; ++i) {
    const int k = kRows.other[i];
    out[i] = k == i  ? core[i]
             : k > i ? fmaf(kRows.scale[k], core[k], core[i])
                     : fmaf(-kRows.scale[i], core[i], core[k]);
  }
}

/// One dimension of the transform of sums to outputs. F(4,3) has pairs of columns.
__device__ __forceinline__ void transform_sums(const float (&in)[kPatch], float (&out)[kOut]) {
  static constexpr auto kColumns = pair_columns(winograd_plain(false).output);
  static constexpr auto kCore = transposed(kColumns.core);
  float paired[kPatch];
#pragma unroll
  for (int j = 0; j < kPatch; ++j) {
    const int k = kColumns.other[j];
    paired[j] = k == j ? in[j] : k > j ? in[j] + in[k] : in[k] - in[j];
  }
  multiply(kCore, paired, out);
}

/// One dimension of the transform of a filter, which dgrad reverses.
__device__ __forceinline__ void transform_filter(bool reversed, const float (&in)[kTaps],
                                                 float (&out)[kPatch]) {
  static constexpr auto kFilter = winograd_plain(false).filter,
                        kReversed = winograd_plain(true).filter;
  if (reversed)
    multiply(kReversed, in, out);
  else
    multiply(kFilter, in, out);
}

}  // namespace assay::cuda::winograd
