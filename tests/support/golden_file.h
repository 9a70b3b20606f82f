// The goldens that are safetensors files (tests/golden), and the comparison with them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tensor/safetensors.h"

namespace assay::testing {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name)
      : file_(read_safetensors(std::string(ASSAY_GOLDEN_DIR) + "/" + name)) {}

  bool has(const std::string& name) const { return file_.tensors.contains(name); }
  const StoredTensor& at(const std::string& name) const {
    REQUIRE_MESSAGE(has(name), "the golden file has no ", name);
    return file_.tensors.at(name);
  }
  /// With the file's type, on the CPU whatever the current context.
  Tensor tensor(const std::string& name) const {
    static CpuContext cpu(1);
    const ContextScope scope(cpu);
    return at(name).tensor();
  }
  /// Converted to `type`, in the current context.
  Tensor tensor(const std::string& name, DType type) const {
    if (type == DType::f64) return tensor(name).to(type);
    const Tensor held = tensor(name);
    return Tensor::from(held.shape(), std::span<const float>(held.to_floats()));
  }
  std::vector<int64_t> integers(const std::string& name) const { return at(name).int64s(); }

  /// The names that begin with `prefix` and end with `suffix`, without the suffix.
  std::vector<std::string> cases(const std::string& prefix, const std::string& suffix) const {
    std::vector<std::string> found;
    for (const auto& [name, t] : file_.tensors)
      if (name.starts_with(prefix) && name.ends_with(suffix))
        found.push_back(name.substr(0, name.size() - suffix.size()));
    return found;
  }

 private:
  SafeTensors file_;
};

/// The largest |got - want| / max(1, |want|); infinite where the shapes differ or got is NaN.
inline double difference(const Tensor& got, const Tensor& want) {
  if (!got.defined() || got.shape() != want.shape()) return INFINITY;
  const std::vector<double> a = got.to_doubles(), b = want.to_doubles();
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst;
}

}  // namespace assay::testing
