// Pooling and upsampling against the float64 reference.
#include "kernels/pool/pool.h"

#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

constexpr PoolShape kShapes[] = {
    {.N = 1, .H = 2, .W = 2, .C = 1},
    {.N = 2, .H = 9, .W = 7, .C = 3},
    {.N = 3, .H = 8, .W = 12, .C = 17, .window = 4, .stride = 4},
    {.N = 2, .H = 11, .W = 9, .C = 5, .window = 3, .stride = 2},    // windows overlap
    {.N = 1, .H = 10, .W = 13, .C = 33, .window = 2, .stride = 3},  // rows in no window
    {.N = 1, .H = 17, .W = 16, .C = 300, .window = 16, .stride = 1},
};
int64_t inputs(const PoolShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
int64_t outputs(const PoolShape& s) {
  return int64_t{s.N} * s.P() * s.Q() * s.C;
}

void capture(const PoolShape& s) {
  INFO("H ", s.H, " W ", s.W, " C ", s.C, " window ", s.window, " stride ", s.stride);
}

TEST_CASE("max_pool: values, places and gradients") {
  for (const PoolShape& s : kShapes) {
    capture(s);
    auto x = test::random_floats(inputs(s));
    for (float& v : x) v = std::round(v * 4);  // many ties: the first largest wins
    const auto dy = test::random_floats(outputs(s));
    CpuContext ctx(1);
    std::vector<double> want(outputs(s)), want_dx(inputs(s)), magnitude(inputs(s));
    std::vector<uint8_t> want_place(outputs(s), 255);
    max_pool_fprop<double>(ctx, s, test::widen(x).data(), want.data(), want_place.data());
    max_pool_bprop<double>(ctx, s, test::widen(dy).data(), want_place.data(), want_dx.data());
    max_pool_bprop<double>(ctx, s, test::absolute(test::widen(dy)).data(), want_place.data(),
                           magnitude.data());
    test::every_way(
        [&](Context& c) {
          const test::Array<float> y(c, outputs(s)), without(c, outputs(s));
          const test::Array<uint8_t> place(c, outputs(s));
          max_pool_fprop<float>(c, s, test::Array(c, x), y, place);
          max_pool_fprop<float>(c, s, test::Array(c, x), without, nullptr);
          CHECK(place.host() == want_place);
          CHECK(without.host() == y.host());
          return y.host();
        },
        [&](const std::vector<float>& y) { CHECK(test::widen(y) == want); });
    test::every_way(
        [&](Context& c) {
          const test::Array<float> dx(c, inputs(s));
          max_pool_bprop<float>(c, s, test::Array(c, dy), test::Array(c, want_place), dx);
          return dx.host();
        },
        test::near(want_dx, magnitude, s.window * s.window));
  }
}

TEST_CASE("avg_pool: values and gradients") {
  for (const PoolShape& s : kShapes) {
    capture(s);
    const auto x = test::random_floats(inputs(s)), dy = test::random_floats(outputs(s));
    CpuContext ctx(1);
    std::vector<double> want(outputs(s)), want_dx(inputs(s));
    avg_pool_fprop<double>(ctx, s, test::widen(x).data(), want.data());
    avg_pool_bprop<double>(ctx, s, test::widen(dy).data(), want_dx.data());
    const std::vector<double> ones(inputs(s), 1.0), one(outputs(s), 1.0);
    test::every_way(
        [&](Context& c) {
          const test::Array<float> y(c, outputs(s));
          avg_pool_fprop<float>(c, s, test::Array(c, x), y);
          return y.host();
        },
        test::near(want, one, s.window * s.window + 1));
    test::every_way(
        [&](Context& c) {
          const test::Array<float> dx(c, inputs(s));
          avg_pool_bprop<float>(c, s, test::Array(c, dy), dx);
          return dx.host();
        },
        test::near(want_dx, ones, s.window * s.window + 1));
  }
}

TEST_CASE("upsample: values and gradients") {
  const UpsampleShape shapes[] = {
      {1, 1, 1, 1, 2}, {2, 3, 5, 3, 2}, {1, 4, 2, 17, 4}, {3, 2, 2, 8, 1}};
  for (const UpsampleShape& s : shapes) {
    const int64_t n = int64_t{s.N} * s.H * s.W * s.C, out = n * s.factor * s.factor;
    const auto x = test::random_floats(n), dy = test::random_floats(out);
    CpuContext ctx(1);
    std::vector<double> want(out), want_dx(n);
    upsample_fprop<double>(ctx, s, test::widen(x).data(), want.data());
    upsample_bprop<double>(ctx, s, test::widen(dy).data(), want_dx.data());
    test::every_way(
        [&](Context& c) {
          const test::Array<float> y(c, out);
          upsample_fprop<float>(c, s, test::Array(c, x), y);
          return y.host();
        },
        [&](const std::vector<float>& y) { CHECK(test::widen(y) == want); });
    const std::vector<double> scale(n, s.factor * s.factor);
    test::every_way(
        [&](Context& c) {
          const test::Array<float> dx(c, n);
          upsample_bprop<float>(c, s, test::Array(c, dy), dx);
          return dx.host();
        },
        test::near(want_dx, scale, s.factor * s.factor));
    // Behind an activation; f' adds three roundings to each term.
    for (const Activation f : {Activation::relu, Activation::sigmoid}) {
      auto y = test::random_floats(out);
      if (f == Activation::sigmoid)
        for (float& v : y) v = 0.5f + 0.4f * v;
      std::vector<double> dz(static_cast<size_t>(out));
      for (size_t i = 0; i < dz.size(); ++i)
        dz[i] = dy[i] * activation_slope<double>(f, 0, static_cast<double>(y[i]));
      upsample_bprop<double>(ctx, s, dz.data(), want_dx.data());
      test::every_way(
          [&](Context& c) {
            const test::Array<float> dx(c, n);
            upsample_bprop(c, s, f, 0, test::Array(c, y), test::Array(c, dy), dx);
            return dx.host();
          },
          test::near(want_dx, scale, s.factor * s.factor + 3));
    }
  }
}

TEST_CASE("pool: a window that does not fit is refused") {
  CpuContext ctx(1);
  const PoolShape small{.N = 1, .H = 1, .W = 4, .C = 1},
      large{.N = 1, .H = 20, .W = 20, .C = 1, .window = 17};
  CHECK_THROWS_AS(max_pool_fprop<float>(ctx, small, nullptr, nullptr, nullptr), Error);
  CHECK_THROWS_AS(max_pool_fprop<float>(ctx, large, nullptr, nullptr, nullptr), Error);
}

}  // namespace
}  // namespace assay
