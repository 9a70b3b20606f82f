// Operations element by element against the float64 reference.
#include "kernels/pointwise/pointwise.h"

#include "tests/support/every_way.h"

namespace assay {
namespace {

constexpr int64_t kSizes[] = {0, 1, 3, 17, 64, 1001, 70001};
constexpr float kSlope = 0.2f;

std::vector<double> poisoned_doubles(int64_t n) {
  return test::widen(test::poisoned(n));
}

TEST_CASE("activation: the declared traits are those of the formula") {
  for (const Activation a : kActivations) {
    CAPTURE(name_of(a));
    const double slope = kSlope, step = 1e-6;
    double before = activate(a, slope, -9.0);
    for (double z = -8.99; z < 9; z += 0.01) {
      const double y = activate(a, slope, z);
      if (traits_of(a).non_decreasing) CHECK(y >= before);
      before = y;
      if (std::abs(z) < 2 * step) continue;  // the kink of relu and leaky_relu
      const double difference =
          (activate(a, slope, z + step) - activate(a, slope, z - step)) / (2 * step);
      CHECK(activation_slope(a, slope, y) == doctest::Approx(difference).epsilon(1e-6));
    }
  }
}

TEST_CASE("activation: a leaky_relu without a slope above 0 is refused") {
  CHECK_THROWS_WITH_AS(check_activation("conv2d", Activation::leaky_relu, 0),
                       doctest::Contains("leaky_relu has slope 0 but needs one above 0"), Error);
}

TEST_CASE("activation: only a non-decreasing one may be fused behind a pool") {
  for (const Activation a : kActivations) {
    CAPTURE(name_of(a));
    CHECK_NOTHROW(check_activation("conv2d", a, kSlope));
    if (traits_of(a).non_decreasing)
      CHECK_NOTHROW(check_activation("conv2d", a, kSlope, 2));
    else
      CHECK_THROWS_AS(check_activation("conv2d", a, kSlope, 2), Error);
  }
}

TEST_CASE("activation: forward and backward equal the float64 reference") {
  for (const Activation a : kActivations)
    for (const int64_t n : kSizes) {
      CAPTURE(name_of(a));
      CAPTURE(n);
      auto x = test::random_floats(n);
      for (float& v : x) v *= 6;
      const auto dy = test::random_floats(n);
      CpuContext ctx(1);
      auto want = poisoned_doubles(n);
      activation_fprop<double>(ctx, a, kSlope, n, test::widen(x).data(), want.data());
      const std::vector<double> ones(n, 1.0);
      test::every_way(
          [&](Context& c) {
            const test::Array<float> y(c, n);
            activation_fprop<float>(c, a, kSlope, n, test::Array(c, x), y);
            return y.host();
          },
          test::near(want,
                     a == Activation::sigmoid || a == Activation::tanh
                         ? ones
                         : test::absolute(test::widen(x)),
                     3));
      std::vector<float> y(want.begin(), want.end());
      auto want_dx = poisoned_doubles(n);
      activation_bprop<double>(ctx, a, kSlope, n, test::widen(y).data(), test::widen(dy).data(),
                               want_dx.data());
      test::every_way(
          [&](Context& c) {
            const test::Array dx(c, dy);  // in place
            activation_bprop<float>(c, a, kSlope, n, test::Array(c, y), dx, dx);
            return dx.host();
          },
          test::near(want_dx, test::absolute(test::widen(dy)), 3));
    }
}

// Relative, over the whole range and where the functions saturate: the vector functions of
// runtime/simd_math.h are what is tested here.
TEST_CASE("activation: sigmoid and tanh keep their relative accuracy everywhere") {
  std::vector<float> x;
  for (float v = -100; v <= 100; v += 0.0371f) x.push_back(v);
  for (float v = 1e-30f; v < 1; v *= 1.7f) {
    x.push_back(v);
    x.push_back(-v);
  }
  const int64_t n = static_cast<int64_t>(x.size());
  for (const Activation a : {Activation::sigmoid, Activation::tanh}) {
    CAPTURE(name_of(a));
    CpuContext ctx(1);
    auto want = poisoned_doubles(n);
    activation_fprop<double>(ctx, a, 0, n, test::widen(x).data(), want.data());
    std::vector<double> scale = test::absolute(want);
    test::every_way(
        [&](Context& c) {
          const test::Array<float> y(c, n);
          activation_fprop<float>(c, a, 0, n, test::Array(c, x), y);
          return y.host();
        },
        test::near(want, scale, 4));
  }
}

TEST_CASE("activation: NaN stays NaN, infinities saturate") {
  const std::vector<float> x = {NAN, INFINITY, -INFINITY};
  const auto check = [&](Context& c) {
    const auto saturated = [&](Activation a) {
      const test::Array<float> y(c, 3);
      activation_fprop<float>(c, a, 0, 3, test::Array(c, x), y);
      return y.host();
    };
    const auto tanh = saturated(Activation::tanh), sigmoid = saturated(Activation::sigmoid);
    CHECK(std::isnan(tanh[0]));
    CHECK(tanh[1] == 1);
    CHECK(tanh[2] == -1);
    CHECK(std::isnan(sigmoid[0]));
    CHECK(sigmoid[1] == 1);
    CHECK(sigmoid[2] == 0);
  };
  test::for_each_isa([&] {
    CpuContext ctx(1);
    check(ctx);
  });
  test::for_each_cuda_run(check);
}

TEST_CASE(
    "pointwise: add, subtract, multiply, affine, scale and fill equal the float64 reference") {
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    const auto a = test::random_floats(n), b = test::random_floats(n);
    const auto ad = test::widen(a), bd = test::widen(b);
    const std::vector<double> twos(n, 2.0);
    CpuContext ctx(1);
    const auto binary = [&](const auto& kernel, const auto& reference) {
      auto want = poisoned_doubles(n);
      reference(want.data());
      test::every_way(
          [&](Context& c) {
            const test::Array<float> out(c, n);
            const test::Array x(c, a), y(c, b);
            kernel(c, x, y, out);
            return out.host();
          },
          test::near(want, twos, 1));
    };
    binary([&](Context& c, auto& x, auto& y, float* out) { add<float>(c, n, x, y, out); },
           [&](double* out) { add<double>(ctx, n, ad.data(), bd.data(), out); });
    binary([&](Context& c, auto& x, auto& y, float* out) { subtract<float>(c, n, x, y, out); },
           [&](double* out) { subtract<double>(ctx, n, ad.data(), bd.data(), out); });
    binary([&](Context& c, auto& x, auto& y, float* out) { multiply<float>(c, n, x, y, out); },
           [&](double* out) { multiply<double>(ctx, n, ad.data(), bd.data(), out); });
    binary(
        [&](Context& c, auto& x, auto&, float* out) { affine<float>(c, n, 0.5f, -1.25f, x, out); },
        [&](double* out) { affine<double>(ctx, n, 0.5, -1.25, ad.data(), out); });
    const std::vector<float> factor = {-0.75f};
    binary([&](Context& c, auto& x, auto&,
               float* out) { scale<float>(c, n, test::Array(c, factor), x, out); },
           [&](double* out) { scale<double>(ctx, n, test::widen(factor).data(), ad.data(), out); });
    binary([&](Context& c, auto&, auto&, float* out) { fill<float>(c, n, 0.75f, out); },
           [&](double* out) { fill<double>(ctx, n, 0.75, out); });
  }
}

TEST_CASE("bias_activation: channels that fill no register and rows that fill no fold") {
  const int64_t rows_of[] = {1, 2, 43, 517};
  for (const int C : {1, 3, 17, 64, 127, 128, 300})
    for (const int64_t rows : rows_of)
      for (const Activation a : kActivations) {
        CAPTURE(C);
        CAPTURE(rows);
        CAPTURE(name_of(a));
        const auto x = test::random_floats(rows * C), bias = test::random_floats(C);
        auto want = poisoned_doubles(rows * C);
        CpuContext ctx(1);
        bias_activation<double>(ctx, a, kSlope, rows, C, test::widen(x).data(),
                                test::widen(bias).data(), want.data());
        const std::vector<double> scale(rows * C, 2.0);
        test::every_way(
            [&](Context& c) {
              const test::Array<float> y(c, rows * C);
              bias_activation<float>(c, a, kSlope, rows, C, test::Array(c, x), test::Array(c, bias),
                                     y);
              return y.host();
            },
            test::near(want, scale, 3));
      }
}

TEST_CASE("permute: every element is where its indices say, on every device") {
  const Strides cases[] = {
      {1, {7}, {1}},
      {2, {5, 3}, {1, 5}},
      {3, {4, 2, 3}, {1, 12, 4}},
      {4, {2, 3, 11, 13}, {429, 1, 39, 3}},  // (N,H,W,C) -> (N,C,H,W)
      {5, {1, 2, 1, 3, 70}, {420, 3, 1, 1, 6}},
      {2, {0, 3}, {1, 1}},
      {0, {}, {}},
  };
  for (const Strides& s : cases) {
    int64_t n = 1;
    for (int d = 0; d < s.rank; ++d) n *= s.size[d];
    CAPTURE(n);
    const auto x = test::random_floats(n);
    auto want = test::poisoned(n);
    for (int64_t i = 0; i < n; ++i) {
      int64_t rest = i, source = 0;
      for (int d = s.rank - 1; d >= 0; rest /= s.size[d--])
        source += rest % s.size[d] * s.stride[d];
      want[i] = x[source];
    }
    test::every_way(
        [&](Context& c) {
          const test::Array<float> y(c, n);
          permute<float>(c, s, test::Array(c, x), y);
          return y.host();
        },
        [&](const std::vector<float>& got) { CHECK(got == want); });
    std::vector<double> wide(want.size());
    CpuContext ctx(1);
    permute<double>(ctx, s, test::widen(x).data(), wide.data());
    CHECK(wide == test::widen(want));
  }
}

}  // namespace
}  // namespace assay
