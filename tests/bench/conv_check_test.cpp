// The sampled float64 reference of the benchmarks against the whole reference of kernels/conv2d.
#include <doctest/doctest.h>

#include "bench/gpu/conv_check.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/philox.h"

namespace assay::bench {
namespace {

std::vector<float> random_values(int64_t n, uint64_t seed) {
  RandomSequence random(seed, RandomStream::init);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& f : v) f = random.uniform(-1, 1);
  return v;
}
std::vector<double> widen(const std::vector<float>& v) {
  return {v.begin(), v.end()};
}

/// Random operands and all results of the reference.
struct Whole {
  ConvHost h;
  std::vector<double> y, dx, dw;

  Whole(const Conv2dShape& s, const Conv2dEpilogue& e) {
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    h = {s,
         e,
         random_values(int64_t{s.N} * s.H * s.W * s.C, 1),
         random_values(int64_t{s.K} * s.R * s.S * s.C, 2),
         random_values(s.K, 3),
         random_values(outputs, 4),
         {},
         {}};
    y.resize(h.dy.size());
    dx.resize(h.x.size());
    dw.resize(h.w.size());
    std::vector<uint8_t> argmax(h.dy.size());
    const auto x = widen(h.x), w = widen(h.w), bias = widen(h.bias), dy = widen(h.dy);
    ref::conv2d_fprop<double>(s, e, x.data(), w.data(), bias.data(), y.data(), argmax.data());
    if (e.pool > 1) h.argmax = argmax;
    if (e.activation != Activation::none) h.y.assign(y.begin(), y.end());
    const auto kept = widen(h.y);
    const Conv2dGrad<double> g{dy.data(), kept.data(), argmax.data()};
    ref::conv2d_dgrad<double>(s, e, g, w.data(), dx.data());
    ref::conv2d_wgrad<double>(s, e, x.data(), g, dw.data(), nullptr);
  }
};

std::vector<float> at(const std::vector<double>& v, const ConvSample& sample) {
  std::vector<float> values;
  for (const int64_t i : sample.at) values.push_back(static_cast<float>(v[static_cast<size_t>(i)]));
  return values;
}

}  // namespace

TEST_CASE("samples agree with the whole reference") {
  const Conv2dEpilogue none, pooled{Activation::relu, 0, 2}, leaky{Activation::leaky_relu, 0.2f, 1};
  const std::pair<Conv2dShape, Conv2dEpilogue> cases[] = {
      {{2, 9, 7, 3, 5, 3, 3, 1, 1, 1}, none},    {{2, 8, 8, 4, 6, 4, 4, 2, 1, 1}, leaky},
      {{1, 11, 9, 3, 4, 3, 3, 1, 1, 1}, pooled}, {{2, 5, 4, 2, 3, 3, 3, 1, 1, 2}, pooled},
      {{1, 4, 4, 40, 1, 4, 4, 1, 0, 1}, none},   {{1, 12, 10, 2, 3, 5, 3, 3, 2, 1}, none}};
  CpuContext ctx(2);
  for (const auto& [shape, e] : cases) {
    const Conv2dShape s = shape;  // clang 14's lambdas (CAPTURE) take no structured binding
    const Whole whole(s, e);
    CAPTURE(s.H);
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
      CAPTURE(std::string(name_of(pass)));
      const ConvSample sample = sample_convolution(ctx, whole.h, pass);
      REQUIRE(sample.at.size() == sample.value.size());
      const std::vector<double>& right = pass == Pass::fprop   ? whole.y
                                         : pass == Pass::dgrad ? whole.dx
                                                               : whole.dw;
      std::vector<float> got = at(right, sample);
      CHECK(sample.error(got) < 1e-6);
      got[got.size() / 2] += 10;  // one wrong element is seen
      CHECK(sample.error(got) > max_error(Precision::bf16));
      got[0] = std::numeric_limits<float>::quiet_NaN();
      CHECK(std::isinf(sample.error(got)));
    }
  }
}

}  // namespace assay::bench
