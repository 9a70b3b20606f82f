// Partial sums for tests of what adds them.
#pragma once

#include <memory>
#include <vector>

#include "kernels/runtime/partial_sum.h"
#include "tests/support/kernel_test.h"

namespace assay::test {

/// Adds an addend of `count` random parts to `sum` on the device, and to `want` its sums, to
/// `scale` those of absolute values.
inline void add_parts(Context& ctx, PartialSum& sum, int count, std::vector<double>& want,
                      std::vector<double>& scale) {
  const int stride = static_cast<int>((sum.n + 3) / 4 * 4);
  const std::vector<float> parts = random_floats(int64_t{count} * stride);
  const auto memory = std::make_shared<const Scratch>(ctx, parts.size() * sizeof(float));
  copy_bytes(ctx, memory->as<float>(), ctx.device, parts.data(), Device::cpu(), memory->bytes());
  sum.addends.push_back({memory, memory->as<float>(), stride, count});
  for (int part = 0; part < count; ++part)
    for (size_t i = 0; i < want.size(); ++i) {
      const float v = parts[static_cast<size_t>(part) * static_cast<size_t>(stride) + i];
      want[i] += v;
      scale[i] += std::abs(v);
    }
}

}  // namespace assay::test
