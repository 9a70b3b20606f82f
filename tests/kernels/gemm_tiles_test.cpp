// Matrix products by tiles (kernels/gemm/cpu/tiles.h) against the float64 reference.
#include <cmath>

#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/cpu/tiles.h"
#include "tests/support/kernel_test.h"
#include "tests/support/tiles.h"

namespace assay {
namespace {

using test::rounded;
using test::widened;

/// Random bf16 numbers, as floats.
std::vector<float> random_bf16(int64_t n) {
  return widened(rounded(test::random_floats(n)));
}

/// The float64 result and the sums of the absolute values of its terms, plus 1 for a sigmoid's own
/// roundings.
struct Reference {
  std::vector<double> want, scale;
};
Reference reference(const GemmShape& s, const GemmEpilogue& e, const std::vector<float>& a,
                    const std::vector<float>& b, const std::vector<float>& bias) {
  const auto wide = [](const std::vector<float>& v) { return test::widen(v); };
  const auto sizes = static_cast<size_t>(s.M) * static_cast<size_t>(s.N);
  Reference r{std::vector<double>(sizes), std::vector<double>(sizes)};
  const auto ad = wide(a), bd = wide(b), biasd = wide(bias);
  const auto aa = test::absolute(ad), ba = test::absolute(bd), biasa = test::absolute(biasd);
  CpuContext cpu(1);
  gemm<double>(cpu, s, e, ad.data(), bd.data(), bias.empty() ? nullptr : biasd.data(),
               r.want.data());
  gemm<double>(cpu, s, {}, aa.data(), ba.data(), bias.empty() ? nullptr : biasa.data(),
               r.scale.data());
  for (double& v : r.scale) v += 1;
  return r;
}

/// Runs product(ctx), which returns floats, with every kind of tiles and 1, 2 and 3 threads, and
/// checks that all give the same.
template <class Product>
std::vector<float> same_everywhere(const Product& product) {
  std::vector<float> first;
  test::for_each_tiles([&](Tiles) {
    for (const int threads : {1, 2, 3}) {
      CAPTURE(threads);
      CpuContext ctx(threads);
      const std::vector<float> got = product(ctx.get());
      if (first.empty()) first = got;
      CHECK(got == first);
    }
  });
  return first;
}

// Operands are bf16 numbers, whose products are exact: what is left are the K + 4 roundings of a
// fp32 sum and its activation (gemm_test.cpp) and the output's to bf16, by 2^-8 of the value.
void check(const GemmShape& s, const GemmEpilogue& e, bool with_bias) {
  const auto a = random_bf16(int64_t{s.M} * s.K), b = random_bf16(int64_t{s.K} * s.N);
  const auto bias = with_bias ? test::random_floats(s.N) : std::vector<float>();
  const auto got = same_everywhere([&](Context& ctx) {
    const test::Array<bf16> c(ctx, rounded(test::poisoned(int64_t{s.M} * s.N)));
    const test::Array a_there(ctx, rounded(a));
    const test::Array b_there(ctx, b), bias_there(ctx, bias);
    cpu::gemm_tiles(ctx, s, e, a_there, b_there.get(), with_bias ? bias_there.get() : nullptr, c);
    return widened(c.host());
  });
  const Reference r = reference(s, e, a, b, bias);
  const double factor = s.K + 4.0;
  std::vector<double> scale = r.scale;
  for (size_t i = 0; i < scale.size(); ++i)
    scale[i] += std::exp2(-8) *
                (scale[i] + std::abs(r.want[i]) / (factor * std::numeric_limits<float>::epsilon()));
  CHECK(test::excess(got, r.want, scale, factor) <= 0);
}

void check_wgrad(const GemmShape& s) {
  const auto a = random_bf16(int64_t{s.M} * s.K), b = random_bf16(int64_t{s.K} * s.N);
  const auto got = same_everywhere([&](Context& ctx) {
    const test::Array<float> c(ctx, int64_t{s.M} * s.N);
    const test::Array a_there(ctx, rounded(a)), b_there(ctx, rounded(b));
    cpu::gemm_tiles_wgrad(ctx, s, a_there, b_there, c);
    return c.host();
  });
  const Reference r = reference(s, {}, a, b, {});
  CHECK(test::excess(got, r.want, r.scale, s.K + 4.0) <= 0);
}

// Odd sizes, several tiles, one row, so many weights that tasks are panels and channels.
constexpr GemmShape kShapes[] = {
    {1, 1, 1},     {3, 5, 7},       {33, 40, 36},  {70, 65, 33},  {1, 72, 64},
    {14, 17, 100}, {2, 200, 31},    {97, 3, 130},  {32, 256, 64}, {256, 33, 40},
    {5, 16, 16},   {32, 520, 1056}, {35, 512, 32},
};

TEST_CASE("gemm tiles: every epilogue and transpose of B equals the float64 reference") {
  if (!test::tested("cpu")) return;
  for (const bool transposed : {false, true})
    for (GemmShape s : kShapes) {
      s.transpose_b = transposed;
      CAPTURE(s.M);
      CAPTURE(s.N);
      CAPTURE(s.K);
      CAPTURE(transposed);
      check(s, {}, false);
      check(s, {.activation = Activation::relu}, true);
      check(s, {.activation = Activation::sigmoid}, true);
      check(s, {.activation = Activation::tanh}, false);
      check(s, {.activation = Activation::leaky_relu, .slope = 0.2f}, true);
    }
}

TEST_CASE("gemm tiles: gradients of weights equal the float64 reference") {
  if (!test::tested("cpu")) return;
  for (GemmShape s : kShapes) {
    s.transpose_a = true;
    CAPTURE(s.M);
    CAPTURE(s.N);
    CAPTURE(s.K);
    check_wgrad(s);
  }
  check_wgrad({.M = 600, .N = 440, .K = 9, .transpose_a = true});
}

TEST_CASE("gemm tiles: which products they take") {
  if (!test::tested("cpu")) return;
  const GemmShape dense{.M = 32, .N = 512, .K = 256, .transpose_b = true};
  const test::TilesScope scope(Tiles::none);
  CHECK_FALSE(cpu::gemm_tiles_covers(dense).is_possible());
  set_active_tiles(Tiles::emulated);
  CHECK(cpu::gemm_tiles_covers(dense).fit == Coverage::chosen);
  CHECK(cpu::gemm_tiles_covers({.M = 1, .N = 512, .K = 256}).fit == Coverage::slower);
  CHECK_FALSE(cpu::gemm_tiles_covers({.M = 2, .N = 2, .K = 0}).is_possible());
  CHECK_FALSE(cpu::gemm_tiles_covers({64, 64, 64, true, true}).is_possible());
}

TEST_CASE("gemm tiles: products of bf16 tensors run on emulated ones where named") {
  const test::TilesScope scope(Tiles::emulated);
  CpuContext own(2);
  Context& ctx = own;
  const GemmShape s{.M = 32, .N = 48, .K = 64}, gradient{48, 64, 32, true};
  const auto a = rounded(test::random_floats(32 * 64)),
             other = rounded(test::random_floats(32 * 48));
  const auto b = test::random_floats(64 * 48);
  std::vector<bf16> by_tiles(32 * 48), c(by_tiles);
  std::vector<float> dw_by_tiles(48 * 64), dw(dw_by_tiles);
  cpu::gemm_tiles(ctx, s, {}, a.data(), b.data(), nullptr, by_tiles.data());
  cpu::gemm_tiles_wgrad(ctx, gradient, other.data(), a.data(), dw_by_tiles.data());
  const auto run = [&](Algorithm algorithm) {
    ctx.algorithm = algorithm;
    gemm<bf16>(ctx, s, {}, a.data(), b.data(), nullptr, c.data());
    gemm_wgrad<bf16>(ctx, gradient, other.data(), a.data(), dw.data());
  };
  run(Algorithm::tiles);
  CHECK(gemm_bf16_algorithm(ctx, s) != nullptr);
  CHECK(widened(c) == widened(by_tiles));
  CHECK(dw == dw_by_tiles);
  for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::blocked}) {
    run(algorithm);
    CHECK(gemm_bf16_algorithm(ctx, s) == nullptr);
    CHECK(widened(c) != widened(by_tiles));
  }
}

TEST_CASE("gemm tiles: what they do not compute is an error") {
  const test::TilesScope scope(Tiles::emulated);
  CpuContext ctx(1);
  const bf16 one(1.0f);
  bf16 c(0.0f);
  const float b = 1;
  CHECK_THROWS_AS(cpu::gemm_tiles(ctx, {1, 1, 1, true}, {}, &one, &b, nullptr, &c), Error);
  CHECK_THROWS_AS(cpu::gemm_tiles(ctx, {1, 1, 1}, {.accumulate = true}, &one, &b, nullptr, &c),
                  Error);
}

}  // namespace
}  // namespace assay
