// The tables of algorithms: the choice of a row, and the invariants of a table.
#include "kernels/conv2d/algorithm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv2d/geometry.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

struct Row {
  const char* name;
  Algorithm algo;
  Coverage coverage;
};
constexpr Coverage kYes = Coverage::yes(), kNo = Coverage::no("shape"),
                   kSlower = Coverage::but_slower("speed");

std::string chosen(const std::vector<Row>& table, Algorithm wanted) {
  return select_algorithm(std::span<const Row>(table), wanted,
                          [](const Row& row) { return row.coverage; })
      .name;
}

TEST_CASE("algorithms: automatic takes the first row that is chosen, else the last") {
  const auto automatic = [](Coverage a, Coverage b, Coverage c) {
    return chosen(
        {{"a", Algorithm::winograd, a}, {"b", Algorithm::fused, b}, {"c", Algorithm::naive, c}},
        Algorithm::automatic);
  };
  CHECK(automatic(kYes, kYes, kYes) == "a");
  CHECK(automatic(kSlower, kYes, kYes) == "b");
  CHECK(automatic(kNo, kSlower, kSlower) == "c");
}

TEST_CASE("algorithms: a named one runs where it is possible, else the first possible row below") {
  const std::vector<Row> table = {
      {"special", Algorithm::fused, kNo},       {"winograd", Algorithm::winograd, kSlower},
      {"winograd2", Algorithm::winograd, kYes}, {"fused", Algorithm::fused, kNo},
      {"blocked", Algorithm::blocked, kSlower}, {"naive", Algorithm::naive, kSlower}};
  CHECK(chosen(table, Algorithm::winograd) == "winograd");
  CHECK(chosen(table, Algorithm::fused) == "blocked");
  CHECK(chosen(table, Algorithm::naive) == "naive");
  CHECK(chosen(table, Algorithm::tiled) == "winograd2");  // not of this table: as automatic
}

/// A source row and the filter row that multiplies it in the sum of an output row.
using Product = std::pair<int, int>;

/// The products of output row `out` by the formulas of conv2d.h; source rows may lie outside.
std::vector<Product> products_of(const PhaseAxis& axis, int out) {
  std::vector<Product> products;
  for (int r = 0; r < axis.filter; ++r) {
    if (!axis.backward) {
      products.emplace_back(floor_div(out * axis.stride - axis.pad + r, axis.upsample), r);
      continue;
    }
    // p*stride - pad + r is one of the copies of x's row.
    for (int copy = out * axis.upsample; copy < (out + 1) * axis.upsample; ++copy)
      if (const int p = copy + axis.pad - r; floor_div(p, axis.stride) * axis.stride == p)
        products.emplace_back(floor_div(p, axis.stride), r);
  }
  return products;
}

TEST_CASE("geometry: the phases of a pass have the products of its formula, each once") {
  int axes = 0;
  for (const bool backward : {false, true})
    for (const auto& [stride, upsample] : {std::pair{1, 1}, {2, 1}, {3, 1}, {1, 2}, {1, 4}})
      for (int filter = 1; filter <= 5; ++filter)
        for (int pad = 0; pad <= 4; ++pad) {
          const PhaseAxis axis{backward, filter, stride, pad, upsample};
          const Range reach = axis.reach();
          for (int out = 0; out < 9; ++out) {
            const int a = out % axis.phases(), i = out / axis.phases();
            std::vector<Product> products;
            for (int t = 0; t < axis.taps(a); ++t) {
              if (axis.first(a) + t < reach.begin || axis.first(a) + t >= reach.end)
                FAIL("a tap outside the reach");
              const Range rows = axis.summed(a, t);
              for (int r = rows.begin; r < rows.end; ++r)
                products.emplace_back(i * axis.step() + axis.first(a) + t, r);
            }
            auto want = products_of(axis, out);
            std::sort(products.begin(), products.end());
            std::sort(want.begin(), want.end());
            CHECK(products == want);
          }
          int outputs = 0;
          for (int a = 0; a < axis.phases(); ++a) outputs += axis.outputs_of(a, 9);
          CHECK(outputs == 9);
          ++axes;
        }
  CHECK(axes == 250);
}

constexpr ConvPass kPasses[] = {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad};

/// Shapes that are near the limits of some row.
std::vector<Conv2dShape> shapes() {
  std::vector<Conv2dShape> all;
  for (const int N : {1, 4})
    for (const int C : {1, 3, 16, 40, 64})
      for (const int K : {1, 16, 20, 64})
        for (const int R : {1, 3, 4, 7})
          for (const int stride : {1, 2})
            for (const int upsample : {1, 2, 4})
              all.push_back({N, 16, 16, C, K, R, R, stride, R / 2, upsample});
  return all;
}

TEST_CASE("algorithms: a row has every pass that it covers, and the last row covers everything") {
  for (const Device device : {Device::cpu(), Device{DeviceType::cuda}}) {
    if (device.is_cuda() && !built_with_cuda()) continue;
    CAPTURE(device.name());
    Context ctx;
    ctx.device = device;
    const auto table = conv2d_algorithms(device);
    for (const Conv2dShape& s : shapes())
      for (const int pool : {1, 2})
        for (const ConvPass pass : kPasses) {
          for (const Conv2dAlgorithm& row : table) {
            const Coverage coverage = row.covers(ctx, pass, s, {.pool = pool});
            if (!coverage.is_possible() || row.has(pass)) continue;
            FAIL(row.name, " covers pass ", static_cast<int>(pass), " and does not have it");
          }
          if (!table.back().covers(ctx, pass, s, {.pool = pool}).is_possible())
            FAIL("the last row does not cover everything");
          ctx.algorithm = Algorithm::automatic;
          const Conv2dChoice choice = conv2d_algorithm(ctx, pass, s, {.pool = pool});
          if (choice.gemm == nullptr && !choice.conv->has(pass))
            FAIL("chose ", choice.name(), ", which lacks the pass");
        }
  }
}

TEST_CASE("algorithms: every version of the CPU can be requested, and what ran is told") {
  const Conv2dShape s{2, 16, 16, 32, 32, 3, 3, 1, 1, 1};
  Context ctx;
  for (const char* name : {"naive", "blocked", "fused", "winograd"}) {
    ctx.algorithm = conv2d_algorithm_from_name(Device::cpu(), name);
    for (const ConvPass pass : kPasses)
      CHECK(std::string(name_of(conv2d_algorithm(ctx, pass, s, {}).algo())) == name);
  }
  ctx.algorithm = Algorithm::winograd;
  CHECK(conv2d_algorithm(ctx, ConvPass::fprop, {1, 8, 8, 3, 5, 5, 5}, {}).algo() ==
        Algorithm::fused);
  CHECK_THROWS_WITH_AS(
      conv2d_algorithm_from_name(Device::cpu(), "tiled"),
      "algorithm: 'tiled' is none of those on cpu: automatic, tiles, fused, winograd, "
      "blocked, naive",
      UsageError);
}

TEST_CASE("algorithms: a lowering is applied under automatic alone") {
  const Conv2dShape dense{2, 4, 4, 64, 1, 4, 4, 1, 0, 1}, pixelwise{2, 8, 8, 128, 1, 1, 1, 1, 0, 2};
  const Conv2dEpilogue pooled{.pool = 2};
  Conv2dShape upsampled_and_pooled{2, 8, 8, 16, 16, 3, 3, 1, 1, 2};
  Context ctx;
  CHECK(conv2d_algorithm(ctx, ConvPass::fprop, dense, {}).gemm != nullptr);
  const Conv2dChoice small = conv2d_algorithm(ctx, ConvPass::dgrad, pixelwise, {});
  CHECK(small.lowering == Lowering::small_image);
  CHECK(small.shape.upsample == 1);
  const Conv2dChoice big = conv2d_algorithm(ctx, ConvPass::fprop, upsampled_and_pooled, pooled);
  CHECK(big.lowering == Lowering::upsampled_image);
  CHECK(big.shape.H == 16);
  ctx.algorithm = Algorithm::fused;
  CHECK(conv2d_algorithm(ctx, ConvPass::fprop, dense, {}).gemm == nullptr);
  CHECK(conv2d_algorithm(ctx, ConvPass::dgrad, pixelwise, {}).lowering == Lowering::none);
  // fused does not cover this shape without a lowering.
  CHECK(conv2d_algorithm(ctx, ConvPass::fprop, upsampled_and_pooled, pooled).algo() ==
        Algorithm::blocked);
}

}  // namespace
}  // namespace assay
