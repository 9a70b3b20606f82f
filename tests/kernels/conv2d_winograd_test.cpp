// The choice of Winograd's convolution, and its dependence on the batch. conv2d_test.cpp tests its
// error.
#include "kernels/conv2d/conv2d.h"

#include "tests/kernels/conv2d_cases.h"
#include "tests/support/kernel_test.h"

namespace assay {
namespace {

using test::conv;
using test::Conv2dCase;
using test::conv3x3;
using test::conv4x4s2;

struct Operands {
  std::vector<float> x, w, bias, dy;
  explicit Operands(const Conv2dCase& c) {
    const Conv2dShape& s = c.s;
    x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
    bias = test::random_floats(s.K);
    dy = test::random_floats(int64_t{s.N} * (s.P() / c.e.pool) * (s.Q() / c.e.pool) * s.K);
  }
};

struct Results {
  std::vector<float> y, dx, dw, dbias;
  bool operator==(const Results&) const = default;
};

/// All passes over poisoned outputs. The backward passes get dy as y too, and an argmax of zeros.
Results passes(Context& ctx, const Conv2dCase& c, const Operands& o) {
  const auto like = [](const std::vector<float>& v) {
    return test::poisoned(static_cast<int64_t>(v.size()));
  };
  Results r{like(o.dy), like(o.x), like(o.w), like(o.bias)};
  std::vector<uint8_t> argmax(o.dy.size());
  conv2d_fprop<float>(ctx, c.s, c.e, o.x.data(), o.w.data(), o.bias.data(), r.y.data(),
                      argmax.data());
  std::fill(argmax.begin(), argmax.end(), uint8_t{0});
  const Conv2dGrad<float> g{o.dy.data(), o.dy.data(), argmax.data()};
  conv2d_dgrad<float>(ctx, c.s, c.e, g, o.w.data(), r.dx.data());
  conv2d_wgrad<float>(ctx, c.s, c.e, o.x.data(), g, r.dw.data(), r.dbias.data());
  return r;
}

Context with(Context ctx, Algorithm algorithm, Precision precision = Precision::fp32) {
  ctx.algorithm = algorithm;
  ctx.precision = precision;
  return ctx;
}

TEST_CASE("conv2d winograd: chosen where it saves work, never where it is ruled out") {
  CpuContext own(1);
  struct Choice {
    Conv2dCase c;
    bool possible, fprop, dgrad;  // the last two: chosen
  };
  const Choice choices[] = {
      {conv3x3(16, 16, 32, 32), true, true, true},
      {conv3x3(16, 16, 16, 16), true, true, true},
      {conv3x3(16, 16, 16, 32), true, true, true},
      {conv3x3(16, 16, 32, 16), true, true, true},
      {conv3x3(16, 16, 16, 16).upsample(2), true, false, false},
      {conv4x4s2(8, 8, 32, 32).batch(2), true, true, true},
      {conv4x4s2(8, 8, 32, 32), true, false, false},
      {conv4x4s2(8, 8, 16, 32).batch(2), true, false, false},
      {conv4x4s2(4, 4, 32, 32).batch(2), true, false, false},
      {conv4x4s2(8, 8, 32, 40), false, false, false},
      {conv4x4s2(8, 8, 3, 32), false, false, false},
      {conv(4, 4, 8, 8, 32, 32).stride(2), false, false, false},
      {conv(4, 4, 8, 8, 32, 32).pad(1), false, false, false},
      {conv(3, 3, 8, 8, 32, 32).stride(2).pad(1), false, false, false},
      {conv4x4s2(8, 8, 32, 32).pool(2), false, false, false},
  };
  const auto results = [&](const Conv2dCase& c, const Operands& o, Algorithm algorithm,
                           Precision precision) {
    Context ctx = with(own, algorithm, precision);
    const Results r = passes(ctx, c, o);
    return std::vector{r.y, r.dx, r.dw};
  };
  for (const Choice& choice : choices) {
    const Conv2dCase& c = choice.c;
    CAPTURE(c);
    const Operands o(c);
    const auto fused = results(c, o, Algorithm::fused, Precision::fp32);
    const auto winograd = results(c, o, Algorithm::winograd, Precision::fp32);
    for (size_t pass = 0; pass < 3; ++pass)
      CHECK((winograd[pass] != fused[pass]) == choice.possible);
    const auto chosen = results(c, o, Algorithm::automatic, Precision::fp32);
    CHECK(chosen[0] == (choice.fprop ? winograd : fused)[0]);
    CHECK(chosen[1] == (choice.dgrad ? winograd : fused)[1]);
    CHECK(results(c, o, Algorithm::automatic, Precision::fp32_strict) == fused);
    CHECK(results(c, o, Algorithm::winograd, Precision::fp32_strict) == fused);
  }
}

TEST_CASE("conv2d winograd: an image has the same output and gradient in every batch") {
  CpuContext own(2);
  Context ctx = with(own, Algorithm::winograd);
  for (const Conv2dCase& c :
       {conv3x3(8, 8, 64, 32).batch(5).upsample(2).relu(),
        conv4x4s2(18, 16, 64, 160).batch(5).relu(), conv4x4s2(8, 8, 32, 64).batch(40).relu()}) {
    CAPTURE(c);
    const Operands o(c);
    const Results all = passes(ctx, c, o);
    const Conv2dCase single = c.batch(1);
    const auto N = static_cast<size_t>(c.s.N), x_size = o.x.size() / N, y_size = o.dy.size() / N;
    const auto part = [](const std::vector<float>& v, size_t n, size_t size) {
      const auto begin = v.begin() + static_cast<std::ptrdiff_t>(n * size);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(size));
    };
    for (size_t n = 0; n < N; ++n) {
      Operands one = o;
      one.x = part(o.x, n, x_size);
      one.dy = part(o.dy, n, y_size);
      const Results alone = passes(ctx, single, one);
      CHECK(alone.y == part(all.y, n, y_size));
      CHECK(alone.dx == part(all.dx, n, x_size));
    }
  }
}

}  // namespace
}  // namespace assay
