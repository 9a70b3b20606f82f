// Winograd's convolution against the float64 reference, its error beside that of the direct kernel.
#include "kernels/conv2d/conv2d.h"

#include <algorithm>
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

struct Case {
  Conv2dShape s;
  Conv2dEpilogue e;
};

constexpr Activation kNone = Activation::none, kRelu = Activation::relu,
                     kSigmoid = Activation::sigmoid;

// N H W C K R S stride pad upsample, activation slope pool.
const Case kCases[] = {
    {{2, 16, 16, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 16, 16, 64, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{3, 8, 8, 128, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{2, 13, 9, 48, 16, 3, 3, 1, 1, 1}, {kSigmoid, 0, 1}},  // tiles cut on two sides
    {{1, 11, 15, 16, 80, 3, 3, 1, 1, 1}, {kNone, 0, 2}},    // and windows dropped
    {{1, 10, 23, 32, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{1, 1, 2, 16, 16, 3, 3, 1, 1, 1}, {kNone, 0, 1}},
    {{1, 70, 60, 32, 48, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // several bands
    {{2, 8, 8, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 7, 10, 32, 80, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{1, 1, 1, 16, 16, 3, 3, 1, 1, 2}, {kNone, 0, 1}},
    {{2, 33, 35, 32, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
};

struct Operands {
  std::vector<float> x, w, bias, dy;
  explicit Operands(const Case& c) {
    const Conv2dShape& s = c.s;
    x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    w = test::random_floats(int64_t{s.K} * 9 * s.C);
    bias = test::random_floats(s.K);
    dy = test::random_floats(int64_t{s.N} * (s.P() / c.e.pool) * (s.Q() / c.e.pool) * s.K);
  }
};

template <class T>
struct Results {
  std::vector<T> y, dx, dw, dbias;
  std::vector<uint8_t> argmax;
};

// The backward passes are of the function whose y and argmax are given.
template <class T>
Results<T> run(Context& ctx, const Case& c, const Operands& o, const std::vector<float>& y_given,
               const std::vector<uint8_t>& argmax_given) {
  const std::vector<T> x(o.x.begin(), o.x.end()), w(o.w.begin(), o.w.end()),
      bias(o.bias.begin(), o.bias.end()), dy(o.dy.begin(), o.dy.end()),
      y(y_given.begin(), y_given.end());
  const T nan = std::numeric_limits<T>::quiet_NaN();
  Results<T> r{std::vector<T>(dy.size(), nan), std::vector<T>(x.size(), nan),
               std::vector<T>(w.size(), nan), std::vector<T>(bias.size(), nan),
               std::vector<uint8_t>(dy.size(), 255)};
  conv2d_fprop<T>(ctx, c.s, c.e, x.data(), w.data(), bias.data(), r.y.data(), r.argmax.data());
  const Conv2dGrad<T> g{dy.data(), y.data(), argmax_given.data()};
  conv2d_dgrad<T>(ctx, c.s, c.e, g, w.data(), r.dx.data());
  conv2d_wgrad<T>(ctx, c.s, c.e, x.data(), g, r.dw.data(), r.dbias.data());
  return r;
}

Context with(Context ctx, ConvAlgo algo, Precision precision = Precision::fp32) {
  ctx.conv = algo;
  ctx.precision = precision;
  return ctx;
}

double rms_error(const std::vector<float>& got, const std::vector<double>& want) {
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) sum += (got[i] - want[i]) * (got[i] - want[i]);
  return std::sqrt(sum / static_cast<double>(got.size()));
}
// The condition under which Winograd counts as fp32, in the Frobenius norm: the largest of a few
// thousand errors is a matter of luck. A quarter of a rounding of a typical value is granted where
// the direct result is almost exact.
void check_errors(const std::vector<float>& winograd, const std::vector<float>& direct,
                  const std::vector<double>& want) {
  double square = 0;
  for (const double v : want) square += v * v;
  const double rounding = std::sqrt(square / static_cast<double>(want.size())) * 1.2e-7;
  CHECK(rms_error(winograd, want) <= 10 * std::max(rms_error(direct, want), rounding / 4));
}

TEST_CASE("conv2d winograd: its error stays within 10 times the direct kernel's") {
  CpuContext own(2);
  Context winograd = with(own, ConvAlgo::winograd), direct = with(own, ConvAlgo::direct);
  test::for_each_isa([&] {
    for (const Case& c : kCases) {
      CAPTURE(c.s.H);
      CAPTURE(c.s.C);
      CAPTURE(c.s.K);
      CAPTURE(c.s.upsample);
      CAPTURE(c.e.pool);
      const Operands o(c);
      const std::vector<uint8_t> none(o.dy.size());
      const auto forward = run<double>(own, c, o, o.dy, none);
      const std::vector<float> y(forward.y.begin(), forward.y.end());
      const auto want = run<double>(own, c, o, y, forward.argmax);
      const auto got = run<float>(winograd, c, o, y, forward.argmax);
      const auto plain = run<float>(direct, c, o, y, forward.argmax);
      check_errors(got.y, plain.y, want.y);
      check_errors(got.dx, plain.dx, want.dx);
      check_errors(got.dw, plain.dw, want.dw);
      check_errors(got.dbias, plain.dbias, want.dbias);
      // Both choose the same position but for ties within their errors.
      if (c.e.pool > 1) {
        size_t different = 0;
        for (size_t i = 0; i < got.argmax.size(); ++i) {
          REQUIRE(got.argmax[i] < c.e.pool * c.e.pool);
          different += got.argmax[i] != plain.argmax[i];
        }
        CHECK(different <= 1 + got.argmax.size() / 1000);
      }
    }
  });
}

TEST_CASE("conv2d winograd: chosen where it saves work, never where it is ruled out") {
  CpuContext own(1);
  const Case wide{{1, 16, 16, 32, 32, 3, 3, 1, 1, 1}, {}};
  const Case narrow{{1, 16, 16, 16, 16, 3, 3, 1, 1, 1}, {}};
  const auto y_of = [&](const Case& c, const Operands& o, ConvAlgo algo, Precision precision) {
    Context ctx = with(own, algo, precision);
    return run<float>(ctx, c, o, o.dy, std::vector<uint8_t>(o.dy.size())).y;
  };
  for (const Case& c : {wide, narrow}) {
    const Operands o(c);
    const auto direct = y_of(c, o, ConvAlgo::direct, Precision::fp32);
    const auto winograd = y_of(c, o, ConvAlgo::winograd, Precision::fp32);
    CHECK(direct != winograd);
    CHECK(y_of(c, o, ConvAlgo::automatic, Precision::fp32) == (c.s.C == 32 ? winograd : direct));
    CHECK(y_of(c, o, ConvAlgo::automatic, Precision::fp32_strict) == direct);
    CHECK(y_of(c, o, ConvAlgo::winograd, Precision::fp32_strict) == direct);
  }
}

TEST_CASE("conv2d winograd: a picture has the same output in every batch") {
  CpuContext ctx(2);
  const Case c{{5, 8, 8, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}};
  const Operands o(c);
  const std::vector<uint8_t> none(o.dy.size());
  const auto all = run<float>(ctx, c, o, o.dy, none).y;
  Case single = c;
  single.s.N = 1;
  const size_t x_size = o.x.size() / 5, y_size = all.size() / 5;
  for (size_t n = 0; n < 5; ++n) {
    Operands one = o;
    one.x.assign(o.x.begin() + static_cast<std::ptrdiff_t>(n * x_size),
                 o.x.begin() + static_cast<std::ptrdiff_t>((n + 1) * x_size));
    one.dy.resize(y_size);
    const auto y = run<float>(ctx, single, one, one.dy, none).y;
    CHECK(std::equal(y.begin(), y.end(), all.begin() + static_cast<std::ptrdiff_t>(n * y_size)));
  }
}

}  // namespace
}  // namespace assay
