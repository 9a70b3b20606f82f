// The additions of the emulated tensor cores (kernels/emulator/tensor_core.h) on sums worked out by
// hand.
#include "kernels/emulator/tensor_core.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace assay::emulator {
namespace {

/// d + the sum of a(k), as one row of 8 products a(k) * 1.
float add(const TensorCore& core, float d, const float (&a)[8]) {
  const float ones[8][1] = {{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}};
  float sum[1] = {d};
  tensor_core_row(core.block_tf32, core.extra_bits, a, ones, sum);
  return sum[0];
}

TEST_CASE("tensor cores: products are exact and small sums too") {
  CHECK_EQ(add(kAmpere, 1, {0.5f, 0.25f, 2, -1, 4, 8, -0.125f, 1}), 15.625f);
  CHECK_EQ(add(kHopper, 0, {}), 0.0f);
}

TEST_CASE("tensor cores: what lies below the last kept bit is dropped, toward zero") {
  const float big = 0x1p24f;  // its last bit is worth 2, A100 keeps 1, H100 keeps 0.5
  CHECK_EQ(add(kAmpere, big, {0.75f, 0.75f, 0.75f, 0.75f}), big);
  CHECK_EQ(add(kHopper, big, {0.75f, 0.75f, 0.75f, 0.75f}), big + 2);
  CHECK_EQ(add(kAmpere, -big, {-0.75f, -0.75f, -0.75f, -0.75f}), -big);
  CHECK_EQ(add(kAmpere, big, {1, 1, 1}), big + 2);  // 3 more, cut off to a multiple of 2
}

TEST_CASE("tensor cores: a block is cut off once, the A100's is 4 products of TF32") {
  const float big = 0x1p24f;
  const float ones[8] = {1, 0, 0, 0, 1, 0, 0, 0};
  CHECK_EQ(add(kAmpere, big, ones), big);      // 1 is lost twice
  CHECK_EQ(add(kHopper, big, ones), big + 2);  // 1 + 1 is kept
}

TEST_CASE("tensor cores: infinity and NaN arrive") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK_EQ(add(kAmpere, inf, {1}), inf);
  CHECK(std::isnan(add(kAmpere, inf, {-inf})));
  CHECK(std::isnan(add(kHopper, 0, {std::numeric_limits<float>::quiet_NaN()})));
}

}  // namespace
}  // namespace assay::emulator
