// Sums whose parts are in memory but not added yet. A kernel that cuts a sum over many blocks
// leaves the parts to whoever reads the result, so that one launch adds those of all parameters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/runtime/memory.h"

namespace assay {

/// Parts p < count of element i at data[p * stride + i], floats.
struct SumParts {
  std::shared_ptr<const void> memory;  ///< keeps the parts
  const float* data;
  int stride, count;
};

/// A float array of n elements: the sum of the addends, each the sum of its parts in order.
struct PartialSum {
  static constexpr size_t kMaxAddends = 2;
  int64_t n;
  std::vector<SumParts> addends;
};

/// The arrays that a caller lets kernels leave as partial sums (Context::unfinished).
class UnfinishedSums {
 public:
  /// `arrays` may be left unfinished, others not.
  explicit UnfinishedSums(std::vector<const float*> arrays) : arrays_(std::move(arrays)) {}

  bool wants(const float* array) const {
    return array != nullptr && std::find(arrays_.begin(), arrays_.end(), array) != arrays_.end();
  }
  void leave(const float* array, PartialSum sum) { sums_.emplace_back(array, std::move(sum)); }
  /// The sum that was left for `array`; null if the array is complete.
  std::unique_ptr<PartialSum> take(const float* array) {
    for (auto& [left, sum] : sums_)
      if (left == array) return std::make_unique<PartialSum>(std::move(sum));
    return nullptr;
  }

 private:
  std::vector<const float*> arrays_;
  std::vector<std::pair<const float*, PartialSum>> sums_;
};

}  // namespace assay
