// Winograd's convolution against the float64 reference, its error beside that of the direct kernel.
#include "kernels/conv2d/conv2d.h"

#include <algorithm>
#include "tests/kernels/conv2d_case.h"
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

using Case = test::Conv2dCase;
using test::kLeaky;
using test::kNone;
using test::kRelu;
using test::kSigmoid;

// N H W C K R S stride pad upsample, activation slope pool.
const Case kCases[] = {
    {{2, 16, 16, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 16, 16, 64, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{3, 8, 8, 128, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{2, 13, 9, 48, 16, 3, 3, 1, 1, 1}, {kSigmoid, 0, 1}},  // tiles cut on two sides
    {{1, 11, 15, 16, 80, 3, 3, 1, 1, 1}, {kNone, 0, 2}},    // and windows dropped
    {{1, 10, 23, 32, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{1, 1, 2, 16, 16, 3, 3, 1, 1, 1}, {kNone, 0, 1}},
    {{2, 30, 53, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // 16 channels: fused
    {{1, 21, 49, 16, 16, 3, 3, 1, 1, 1}, {kSigmoid, 0, 4}},
    {{1, 90, 102, 16, 16, 3, 3, 1, 1, 1}, {kNone, 0, 1}},
    {{2, 21, 37, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // few channels
    {{1, 34, 30, 1, 48, 3, 3, 1, 1, 1}, {kNone, 0, 4}},
    {{1, 9, 70, 2, 32, 3, 3, 1, 1, 1}, {kSigmoid, 0, 1}},
    {{1, 20, 27, 48, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // and few filters, dgrad
    {{1, 70, 60, 32, 48, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // several bands
    {{2, 8, 8, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 7, 10, 32, 80, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{1, 1, 1, 16, 16, 3, 3, 1, 1, 2}, {kNone, 0, 1}},
    {{2, 33, 35, 32, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{2, 16, 16, 32, 64, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
    {{9, 8, 8, 64, 96, 4, 4, 2, 1, 1}, {kNone, 0, 1}},
    {{1, 13, 10, 48, 16, 4, 4, 2, 1, 1}, {kSigmoid, 0, 1}},  // a row of x that no output sees
    {{3, 7, 21, 16, 80, 4, 4, 2, 1, 1}, {kRelu, 0, 1}},
    {{1, 2, 3, 16, 16, 4, 4, 2, 1, 1}, {kNone, 0, 1}},
    {{1, 4, 4, 32, 288, 4, 4, 2, 1, 1}, {kNone, 0, 1}},   // several ranges of depths
    {{3, 48, 48, 96, 64, 4, 4, 2, 1, 1}, {kRelu, 0, 1}},  // several groups
};

struct Operands {
  std::vector<float> x, w, bias, dy;
  explicit Operands(const Case& c) {
    const Conv2dShape& s = c.s;
    x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
    bias = test::random_floats(s.K);
    dy = test::random_floats(int64_t{s.N} * (s.P() / c.e.pool) * (s.Q() / c.e.pool) * s.K);
  }
};

template <class T>
struct Results {
  std::vector<T> y, dx, dw, dbias;
  std::vector<uint8_t> argmax;
};

// All passes, over outputs that hold NaN. The backward ones are of the function whose y and argmax
// are given.
template <class T>
Results<T> passes(Context& ctx, const Case& c, const std::vector<T>& x, const std::vector<T>& w,
                  const std::vector<T>& bias, const std::vector<T>& dy, const std::vector<T>& y,
                  const std::vector<uint8_t>& argmax) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  Results<T> r{std::vector<T>(dy.size(), nan), std::vector<T>(x.size(), nan),
               std::vector<T>(w.size(), nan), std::vector<T>(bias.size(), nan),
               std::vector<uint8_t>(dy.size(), 255)};
  conv2d_fprop<T>(ctx, c.s, c.e, x.data(), w.data(), bias.data(), r.y.data(), r.argmax.data());
  const Conv2dGrad<T> g{dy.data(), y.data(), argmax.data()};
  conv2d_dgrad<T>(ctx, c.s, c.e, g, w.data(), r.dx.data());
  conv2d_wgrad<T>(ctx, c.s, c.e, x.data(), g, r.dw.data(), r.dbias.data());
  return r;
}
template <class T>
Results<T> run(Context& ctx, const Case& c, const Operands& o, const std::vector<float>& y,
               const std::vector<uint8_t>& argmax) {
  const auto as_T = [](const std::vector<float>& v) { return std::vector<T>(v.begin(), v.end()); };
  return passes<T>(ctx, c, as_T(o.x), as_T(o.w), as_T(o.bias), as_T(o.dy), as_T(y), argmax);
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
  Context winograd = with(own, ConvAlgo::winograd), direct = with(own, ConvAlgo::fused);
  test::for_each_isa([&] {
    for (const Case& c : kCases) {
      CAPTURE(c.s.H);
      CAPTURE(c.s.C);
      CAPTURE(c.s.K);
      CAPTURE(c.s.stride);
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
  struct Choice {
    Case c;
    bool possible, fprop, dgrad;  // the last two: chosen
  };
  const Choice choices[] = {
      {{{1, 16, 16, 32, 32, 3, 3, 1, 1, 1}, {}}, true, true, true},
      {{{1, 16, 16, 16, 16, 3, 3, 1, 1, 1}, {}}, true, true, true},
      {{{1, 16, 16, 16, 32, 3, 3, 1, 1, 1}, {}}, true, true, true},
      {{{1, 16, 16, 32, 16, 3, 3, 1, 1, 1}, {}}, true, true, true},
      {{{1, 16, 16, 16, 16, 3, 3, 1, 1, 2}, {}}, true, false, false},
      {{{2, 8, 8, 32, 32, 4, 4, 2, 1, 1}, {}}, true, true, true},
      {{{1, 8, 8, 32, 32, 4, 4, 2, 1, 1}, {}}, true, false, false},
      {{{2, 8, 8, 16, 32, 4, 4, 2, 1, 1}, {}}, true, false, false},
      {{{2, 4, 4, 32, 32, 4, 4, 2, 1, 1}, {}}, true, false, false},
      {{{1, 8, 8, 32, 40, 4, 4, 2, 1, 1}, {}}, false, false, false},
      {{{1, 8, 8, 3, 32, 4, 4, 2, 1, 1}, {}}, false, false, false},
      {{{1, 8, 8, 32, 32, 4, 4, 2, 0, 1}, {}}, false, false, false},
      {{{1, 8, 8, 32, 32, 4, 4, 1, 1, 1}, {}}, false, false, false},
      {{{1, 8, 8, 32, 32, 3, 3, 2, 1, 1}, {}}, false, false, false},
      {{{1, 8, 8, 32, 32, 4, 4, 2, 1, 1}, {kNone, 0, 2}}, false, false, false},
  };
  const auto results = [&](const Case& c, const Operands& o, ConvAlgo algo, Precision precision) {
    Context ctx = with(own, algo, precision);
    const auto r = run<float>(ctx, c, o, o.dy, std::vector<uint8_t>(o.dy.size()));
    return std::vector{r.y, r.dx, r.dw};
  };
  for (const auto& [c, possible, fprop, dgrad] : choices) {
    CAPTURE(c.s.R);
    CAPTURE(c.s.H);
    CAPTURE(c.s.C);
    CAPTURE(c.s.K);
    const Operands o(c);
    const auto direct = results(c, o, ConvAlgo::fused, Precision::fp32);
    const auto winograd = results(c, o, ConvAlgo::winograd, Precision::fp32);
    for (size_t pass = 0; pass < 3; ++pass) CHECK((winograd[pass] != direct[pass]) == possible);
    const auto chosen = results(c, o, ConvAlgo::automatic, Precision::fp32);
    CHECK(chosen[0] == (fprop ? winograd : direct)[0]);
    CHECK(chosen[1] == (dgrad ? winograd : direct)[1]);
    CHECK(results(c, o, ConvAlgo::automatic, Precision::fp32_strict) == direct);
    CHECK(results(c, o, ConvAlgo::winograd, Precision::fp32_strict) == direct);
  }
}

TEST_CASE("conv2d winograd: a picture has the same output and gradient in every batch") {
  CpuContext own(2);
  Context ctx = with(own, ConvAlgo::winograd);
  for (const Conv2dShape& s :
       {Conv2dShape{5, 8, 8, 64, 32, 3, 3, 1, 1, 2}, Conv2dShape{5, 18, 16, 64, 160, 4, 4, 2, 1, 1},
        Conv2dShape{40, 8, 8, 32, 64, 4, 4, 2, 1, 1}}) {
    const Case c{s, {kRelu, 0, 1}};
    const Operands o(c);
    const std::vector<uint8_t> none(o.dy.size());
    const auto all = run<float>(ctx, c, o, o.dy, none);
    Case single = c;
    single.s.N = 1;
    const auto N = static_cast<size_t>(s.N), x_size = o.x.size() / N, y_size = o.dy.size() / N;
    const auto part = [](const std::vector<float>& v, size_t n, size_t size) {
      const auto begin = v.begin() + static_cast<std::ptrdiff_t>(n * size);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(size));
    };
    for (size_t n = 0; n < N; ++n) {
      Operands one = o;
      one.x = part(o.x, n, x_size);
      one.dy = part(o.dy, n, y_size);
      const auto alone = run<float>(ctx, single, one, one.dy, none);
      CHECK(alone.y == part(all.y, n, y_size));
      CHECK(alone.dx == part(all.dx, n, x_size));
    }
  }
}

TEST_CASE("conv2d winograd: the number of threads changes no bit, a warm call allocates nothing") {
  for (const Case& c : kCases) {
    CAPTURE(c.s.H);
    CAPTURE(c.s.stride);
    const Operands o(c);
    const std::vector<uint8_t> none(o.dy.size());
    Results<float> first;
    for (const int threads : {1, 2, 5}) {
      CpuContext own(threads);
      Context ctx = with(own, ConvAlgo::winograd);
      // Of the same weights each time: packed ones are known by their address.
      const auto again = [&] { return passes<float>(ctx, c, o.x, o.w, o.bias, o.dy, o.dy, none); };
      const auto r = again();
      if (threads == 1) {
        first = r;
        const int64_t calls = ctx.memory->stats().system_calls;
        again();
        CHECK(ctx.memory->stats().system_calls == calls);
      }
      CHECK(r.y == first.y);
      CHECK(r.dx == first.dx);
      CHECK(r.dw == first.dw);
      CHECK(r.dbias == first.dbias);
    }
  }
}

}  // namespace
}  // namespace assay
