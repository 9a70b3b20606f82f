// The sum of parts (kernels/runtime/partial_sum.h) on the device, for the optimizers and for
// finish_sum(). Few parts: a thread adds those of an element. Many: the threads of a column share
// them, and the first one adds the others' sums.
//
//            32 elements
//          +------------+   thread row s adds parts s, s+8, s+16, ...
//   parts  |            |
//          +------------+
#pragma once

#include <algorithm>

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/partial_sum.h"

namespace assay::cuda {

/// A PartialSum as kernels take it; a complete array has one part.
struct DeviceSum {
  static constexpr int kAddends = PartialSum::kMaxAddends;
  static constexpr int kColumns = 32, kSharers = kThreads / kColumns;
  static constexpr int kOwn = 4;       // elements of a thread that shares none
  static constexpr int kFewParts = 4;  // that one thread adds

  const float* parts[kAddends];
  int64_t n;
  int stride[kAddends], count[kAddends];  // count 0: no such addend

  static DeviceSum of(const PartialSum& sum) {
    DeviceSum made{{}, sum.n, {}, {}};
    for (size_t a = 0; a < sum.addends.size(); ++a) {
      made.parts[a] = sum.addends[a].data;
      made.stride[a] = sum.addends[a].stride;
      made.count[a] = sum.addends[a].count;
    }
    return made;
  }
  static DeviceSum of(const float* array, int64_t n) { return {{array}, n, {0}, {1}}; }

  ASSAY_HD bool is_shared() const { return count[0] > kFewParts || count[1] > kFewParts; }
  /// Elements of a block of kThreads.
  ASSAY_HD int of_block() const { return is_shared() ? kColumns : kOwn * kThreads; }

  /// Calls store(i, sum of element i) for the elements of a block, the `block`-th of this array.
  /// All threads of the block call it.
  template <class Store>
  __device__ void for_each(unsigned block, const Store& store) const {
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t begin = int64_t{block} * of_block();
    if (!is_shared()) {
#pragma unroll
      for (int j = 0; j < kOwn; ++j) {
        const int64_t i = begin + j * kThreads + thread;
        if (i >= n) continue;
        float sum = of_parts(0, i, 0, 1);
        if (count[1] > 0) sum += of_parts(1, i, 0, 1);
        store(i, sum);
      }
      return;
    }
    ASSAY_SHARED(float, sums, [kAddends][kSharers][kColumns]);
    const int column = thread % kColumns, sharer = thread / kColumns;
    const int64_t i = begin + column;
#pragma unroll
    for (int a = 0; a < kAddends; ++a)
      sums[a][sharer][column] = i < n ? of_parts(a, i, sharer, kSharers) : 0.0f;
    __syncthreads();
    if (sharer != 0 || i >= n) return;
    float total = 0;
#pragma unroll
    for (int a = 0; a < kAddends; ++a) {
      float sum = sums[a][0][column];
      for (int s = 1; s < kSharers; ++s) sum += sums[a][s][column];
      total = a == 0 ? sum : count[a] > 0 ? total + sum : total;
    }
    store(i, total);
  }

 private:
  __device__ float of_parts(int a, int64_t i, int first, int step) const {
    float sum = 0;
#pragma unroll 4
    for (int part = first; part < count[a]; part += step)
      sum += parts[a][int64_t{part} * stride[a] + i];
    return sum;
  }
};

}  // namespace assay::cuda
