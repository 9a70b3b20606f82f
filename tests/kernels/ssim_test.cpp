// SSIM against the float64 definition.
#include "kernels/ssim/ssim.h"

#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

constexpr SsimShape kShapes[] = {{1, 11, 11, 1}, {2, 13, 12, 3}, {3, 29, 31, 1}, {1, 40, 17, 4}};
int64_t size_of(const SsimShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}

struct Images {
  std::vector<float> x, y;
};

// In [0,1]; with a small contrast around 0.9 the variances are differences of nearly equal numbers.
Images images(const SsimShape& s, float contrast) {
  Images p{test::random_floats(size_of(s)), test::random_floats(size_of(s))};
  for (float& v : p.x) v = 0.9f + 0.1f * contrast * v;
  for (size_t i = 0; i < p.y.size(); ++i) p.y[i] = p.x[i] - 0.05f * contrast * (1 + p.y[i]);
  return p;
}

/// The outputs of f(ctx) by each algorithm of the CUDA device, one after the other; the CPU has
/// one.
template <class F>
std::vector<float> by_every_algorithm(Context& ctx, const F& f) {
  std::vector<float> outputs;
  for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::naive}) {
    ctx.algorithm = algorithm;
    for (const float v : f()) outputs.push_back(v);
  }
  return outputs;
}
std::vector<double> twice(std::vector<double> v) {
  const std::vector<double> once = v;
  v.insert(v.end(), once.begin(), once.end());
  return v;
}

// Sums run in double on both sides; what is left is their order, and the rounding to float.
TEST_CASE("ssim: value and map equal the float64 definition") {
  for (const SsimShape& s : kShapes)
    for (const float contrast : {1.0f, 1e-3f}) {
      CAPTURE(s.H);
      CAPTURE(s.C);
      CAPTURE(contrast);
      const auto p = images(s, contrast);
      CpuContext ctx(1);
      std::vector<double> want(size_of(s) + s.N);
      ssim<double>(ctx, s, test::widen(p.x).data(), test::widen(p.y).data(),
                   want.data() + size_of(s), want.data());
      want = twice(want);
      const std::vector<double> ones(want.size(), 1.0);
      test::every_way(
          [&](Context& c) {
            return by_every_algorithm(c, [&] {
              const test::Array<float> map(c, size_of(s)), value(c, s.N), alone(c, s.N);
              ssim<float>(c, s, test::Array(c, p.x), test::Array(c, p.y), value, map);
              ssim<float>(c, s, test::Array(c, p.x), test::Array(c, p.y), alone, nullptr);
              CHECK(value.host() == alone.host());
              auto out = map.host();
              for (const float v : value.host()) out.push_back(v);
              return out;
            });
          },
          test::near(want, ones, 1));
    }
}

TEST_CASE("ssim: a image equals itself") {
  const SsimShape s{1, 20, 20, 3};
  const auto p = images(s, 1);
  test::every_way(
      [&](Context& c) {
        const test::Array<float> value(c, 1);
        ssim<float>(c, s, test::Array(c, p.x), test::Array(c, p.x), value, nullptr);
        return value.host();
      },
      [](const std::vector<float>& value) { CHECK(value[0] == 1); });
}

TEST_CASE("ssim: the gradient equals the float64 definition") {
  for (const SsimShape& s : kShapes) {
    CAPTURE(s.H);
    CAPTURE(s.C);
    const auto p = images(s, 1);
    const auto dvalue = test::random_floats(s.N);
    CpuContext ctx(1);
    std::vector<double> want(size_of(s));
    ssim_bprop<double>(ctx, s, test::widen(p.x).data(), test::widen(p.y).data(),
                       test::widen(dvalue).data(), want.data());
    double largest = 0;
    for (double v : want) largest = std::max(largest, std::abs(v));
    want = twice(want);
    const std::vector<double> scale(want.size(), largest);
    test::every_way(
        [&](Context& c) {
          return by_every_algorithm(c, [&] {
            const test::Array<float> dx(c, size_of(s));
            ssim_bprop<float>(c, s, test::Array(c, p.x), test::Array(c, p.y),
                              test::Array(c, dvalue), dx);
            return dx.host();
          });
        },
        test::near(want, scale, 1));
  }
}

TEST_CASE("ssim: the gradient of the definition is its slope") {
  const SsimShape s{1, 14, 12, 2};
  const auto p = images(s, 1);
  auto x = test::widen(p.x);
  const auto y = test::widen(p.y);
  CpuContext ctx(1);
  const double dvalue = 1;
  std::vector<double> dx(size_of(s));
  ssim_bprop<double>(ctx, s, x.data(), y.data(), &dvalue, dx.data());
  for (const int64_t i : {0, 37, 151, 200, 335}) {
    constexpr double kStep = 1e-5;  // error kStep^2, far above rounding at 1e-16 / kStep
    double above = 0, below = 0;
    const double middle = x[i];
    x[i] = middle + kStep;
    ssim<double>(ctx, s, x.data(), y.data(), &above, nullptr);
    x[i] = middle - kStep;
    ssim<double>(ctx, s, x.data(), y.data(), &below, nullptr);
    x[i] = middle;
    CHECK((above - below) / (2 * kStep) == doctest::Approx(dx[i]).epsilon(1e-5).scale(1e-2));
  }
}

TEST_CASE("ssim: images smaller than the window are refused") {
  CpuContext ctx(1);
  CHECK_THROWS_AS(ssim<float>(ctx, {1, 10, 30, 1}, nullptr, nullptr, nullptr, nullptr), Error);
}

}  // namespace
}  // namespace assay
