// The optimizers' updates against the float64 reference.
#include "kernels/optim/optim.h"

#include "kernels/reduce/reduce.h"
#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"
#include "tests/support/parts.h"

namespace assay {
namespace {

constexpr int64_t kSizes[] = {1, 0, 17, 40001, 3, 16384};

/// All parameters one behind the other.
template <class T>
struct Parameters {
  std::vector<T> w, dw, m, v;
};

/// w, m and v after step(slots).
template <class T, class Step>
std::vector<T> updated(Context& ctx, const Parameters<T>& p, const Step& step) {
  const test::Array w(ctx, p.w), dw(ctx, p.dw), m(ctx, p.m), v(ctx, p.v);
  std::vector<OptimSlot<T>> slots;
  int64_t begin = 0;
  for (const int64_t n : kSizes) {
    slots.push_back({n, w + begin, dw + begin, m + begin, v + begin});
    begin += n;
  }
  step(ctx, slots);
  std::vector<T> all;
  for (const auto* part : {&w, &m, &v}) {
    const auto values = part->host();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

Parameters<float> random_parameters() {
  int64_t total = 0;
  for (const int64_t n : kSizes) total += n;
  Parameters<float> p{test::random_floats(total), test::random_floats(total),
                      test::random_floats(total), test::random_floats(total)};
  for (float& v : p.v) v = 0.01f + std::abs(v);
  return p;
}

// Each update is less than ten roundings of numbers below 1 + 10 lr; sqrt(v) >= 0.1.
template <class Step>
void check(const Step& step) {
  const auto start = random_parameters();
  const Parameters<double> wide{test::widen(start.w), test::widen(start.dw), test::widen(start.m),
                                test::widen(start.v)};
  CpuContext ctx(1);
  const auto want = updated(ctx, wide, step);
  const std::vector<double> ones(want.size(), 1.0);
  test::every_way([&](Context& c) { return updated(c, start, step); }, test::near(want, ones, 4));
}

TEST_CASE("rmsprop_update: both places of epsilon") {
  for (const EpsPlacement placement : {EpsPlacement::keras, EpsPlacement::torch})
    check([&](Context& ctx, const auto& slots) {
      rmsprop_update(ctx, {.lr = 0.01, .eps = 0.1, .placement = placement}, slots);
    });
}

TEST_CASE("adam_update: both places of epsilon, early and late steps") {
  for (const EpsPlacement placement : {EpsPlacement::keras, EpsPlacement::torch})
    for (const int64_t t : {1, 1000})
      check([&](Context& ctx, const auto& slots) {
        adam_update(ctx, {.lr = 0.001, .eps = 0.1, .t = t, .placement = placement}, slots);
      });
}

TEST_CASE("adam_update adds the parts of gradients as finish_sum does, bit by bit") {
  test::for_each_cuda_run([](Context& ctx) {
    const int64_t n = 1500;
    const auto start = test::random_floats(n);
    std::vector<PartialSum> sums;
    for (const auto& counts : std::vector<std::vector<int>>{{3}, {70}, {2, 9}}) {
      std::vector<double> want(n), scale(n);
      sums.push_back({n, {}});
      for (const int count : counts) test::add_parts(ctx, sums.back(), count, want, scale);
    }
    const auto updated = [&](bool in_parts) {
      const auto count = static_cast<int64_t>(sums.size());
      const test::Array<float> w(ctx, count * n), dw(ctx, count * n);
      const test::Array<float> m(ctx, std::vector<float>(w.host().size(), 0.25f));
      const test::Array<float> v(ctx, std::vector<float>(w.host().size(), 0.5f));
      std::vector<OptimSlot<float>> slots;
      for (int64_t i = 0; i < count; ++i) {
        copy_bytes(ctx, w + i * n, ctx.device, start.data(), Device::cpu(), n * sizeof(float));
        if (!in_parts) finish_sum(ctx, sums[i], dw + i * n);
        slots.push_back({.n = n,
                         .w = w + i * n,
                         .dw = in_parts ? nullptr : dw + i * n,
                         .m = m + i * n,
                         .v = v + i * n,
                         .sum = in_parts ? &sums[i] : nullptr});
      }
      adam_update<float>(ctx, {.lr = 0.01}, slots);
      return w.host();
    };
    CHECK(updated(true) == updated(false));
  });
}

TEST_CASE("rmsprop_update: more parameters than a launch has room for") {
  test::for_each_cuda_run([](Context& ctx) {
    const int64_t count = 100;
    const test::Array<float> w(ctx, std::vector<float>(count, 1.0f));
    const test::Array<float> dw(ctx, std::vector<float>(count, 2.0f));
    const test::Array<float> v(ctx, std::vector<float>(count, 0.5f));
    std::vector<OptimSlot<float>> slots;
    for (int64_t i = 0; i < count; ++i) slots.push_back({1, w + i, dw + i, nullptr, v + i});
    rmsprop_update<float>(ctx, {.lr = 0.1, .rho = 0.75, .eps = 0.625}, slots);
    const auto got = w.host();
    for (const float value : got) CHECK(value == got[0]);
    CHECK(got[0] == doctest::Approx(1 - 0.2 / std::sqrt(2.0)));
  });
}

TEST_CASE("adam_update: the first step moves every weight by the rate against its gradient") {
  CpuContext ctx(1);
  std::vector<double> w = {1, 1}, dw = {0.5, -3}, m = {0, 0}, v = {0, 0};
  for (const EpsPlacement placement : {EpsPlacement::keras, EpsPlacement::torch}) {
    w = {1, 1};
    m = v = {0, 0};
    adam_update<double>(ctx, {.lr = 0.1, .eps = 1e-12, .t = 1, .placement = placement},
                        {{2, w.data(), dw.data(), m.data(), v.data()}});
    CHECK(w[0] == doctest::Approx(0.9).epsilon(1e-9));
    CHECK(w[1] == doctest::Approx(1.1).epsilon(1e-9));
  }
}

TEST_CASE("rmsprop_update: the formula by hand") {
  CpuContext ctx(1);
  double w = 1, v = 0.5;
  const double g = 2;
  rmsprop_update<double>(ctx, {.lr = 0.1, .rho = 0.75, .eps = 0.625}, {{1, &w, &g, nullptr, &v}});
  CHECK(v == doctest::Approx(1.375));
  CHECK(w == doctest::Approx(1 - 0.2 / std::sqrt(2.0)));
}

TEST_CASE("adam_update: step 0 is refused") {
  CpuContext ctx(1);
  CHECK_THROWS_AS(adam_update<float>(ctx, {.t = 0}, {}), Error);
}

}  // namespace
}  // namespace assay
