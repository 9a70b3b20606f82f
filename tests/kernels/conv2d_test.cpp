// The direct CPU versions of the convolution against the float64 reference. Winograd's error is of
// another kind: conv2d_winograd_test.cpp.
#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/conv2d_ref.h"
#include "tests/kernels/conv2d_case.h"
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

using test::absolute;
using test::widen;

using Case = test::Conv2dCase;
using test::kLeaky;
using test::kNone;
using test::kRelu;
using test::kSigmoid;
using test::kTanh;

// N H W C K R S stride pad upsample, activation slope pool.
const Case kCases[] = {
    // layers of the models, on small pictures
    {{2, 20, 20, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 25, 25, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{2, 16, 16, 3, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 16, 16, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 16, 16, 64, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{1, 8, 8, 128, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{1, 4, 4, 128, 64, 3, 3, 1, 1, 4}, {kRelu, 0, 1}},
    {{1, 8, 8, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{2, 8, 8, 32, 3, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{2, 8, 8, 128, 1, 1, 1, 1, 0, 2}, {kSigmoid, 0, 1}},
    {{1, 12, 12, 1, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 16, 8, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 8, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 4, 4, 4, 4, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{2, 16, 16, 3, 64, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
    {{1, 8, 8, 64, 128, 4, 4, 2, 1, 1}, {kNone, 0, 1}},
    {{3, 4, 4, 64, 1, 4, 4, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 16, 16, 64, 128, 3, 3, 2, 1, 1}, {kRelu, 0, 2}},
    // awkward ones
    {{1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 1, 1, 5, 3, 3, 3, 1, 1, 1}, {kTanh, 0, 1}},
    {{2, 5, 7, 3, 17, 5, 3, 1, 2, 1}, {kLeaky, 0.1f, 1}},
    {{1, 7, 5, 5, 33, 2, 2, 1, 0, 1}, {kNone, 0, 2}},
    {{1, 9, 11, 3, 5, 3, 3, 2, 0, 1}, {kRelu, 0, 1}},
    {{2, 11, 10, 2, 7, 3, 3, 3, 2, 1}, {kNone, 0, 1}},
    {{1, 10, 10, 3, 6, 2, 2, 3, 0, 1}, {kSigmoid, 0, 1}},
    {{1, 6, 6, 3, 4, 3, 3, 1, 4, 1}, {kNone, 0, 1}},
    {{1, 5, 6, 7, 9, 3, 3, 1, 0, 2}, {kTanh, 0, 2}},
    {{1, 3, 5, 2, 3, 5, 5, 1, 2, 4}, {kRelu, 0, 4}},
    {{1, 4, 4, 3, 5, 3, 3, 2, 1, 2}, {kNone, 0, 1}},
    {{1, 13, 9, 31, 65, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 9, 9, 3, 19, 3, 3, 1, 1, 1}, {kSigmoid, 0, 4}},
    {{40, 3, 3, 4, 6, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{1, 70, 90, 16, 40, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 6, 6, 3, 18, 3, 3, 1, 4, 1}, {kRelu, 0, 2}},  // staged columns cut windows of dz
    {{2, 20, 19, 3, 17, 3, 3, 3, 1, 1}, {kLeaky, 0.1f, 2}},
    {{1, 3, 3, 2, 5, 3, 3, 1, 0, 1}, {kNone, 0, 2}},      // no window fits: y is empty
    {{5, 4, 4, 8, 20, 4, 4, 1, 0, 1}, {kSigmoid, 0, 1}},  // one output pixel: a dense layer
    {{2, 3, 5, 7, 2, 1, 1, 1, 0, 4}, {kLeaky, 0.2f, 1}},  // 1x1 behind an upsampling
    {{2, 4, 4, 128, 320, 4, 4, 2, 1, 1}, {kRelu, 0, 1}},  // few partials, sliced by tap rows
    // pooled wgrad: vectors of channels, several blocks, and of filters
    {{1, 13, 120, 16, 7, 3, 3, 1, 1, 1}, {kLeaky, 0.1f, 2}},
    {{2, 11, 70, 32, 20, 3, 3, 1, 2, 1}, {kTanh, 0, 4}},
    {{2, 9, 8, 48, 16, 3, 3, 1, 0, 1}, {kNone, 0, 2}},
    {{1, 3, 3, 16, 16, 3, 3, 1, 0, 1}, {kNone, 0, 2}},
    {{2, 10, 290, 2, 32, 3, 3, 1, 0, 1}, {kSigmoid, 0, 2}},
    {{1, 5, 7, 3, 48, 3, 3, 1, 2, 1}, {kLeaky, 0.2f, 2}},
    {{2, 7, 40, 1, 176, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{2, 9, 11, 1, 16, 3, 3, 1, 2, 1}, {kTanh, 0, 2}},
};

// Roundings of a sum of n products and what is done to it: gamma_n of Higham, "Accuracy and
// stability", section 3.1, with n+4 for bias, activation and the summed filters. A sigmoid or tanh
// adds a few ulp of its own value (at most 1), covered by the constant part of the scale.
double roundings(int64_t n) {
  return static_cast<double>(n) + 4;
}

void check(const Case& c, Context& ctx) {
  const Conv2dShape& s = c.s;
  CAPTURE(s.N);
  CAPTURE(s.H);
  CAPTURE(s.W);
  CAPTURE(s.C);
  CAPTURE(s.K);
  CAPTURE(s.R);
  CAPTURE(s.stride);
  CAPTURE(s.pad);
  CAPTURE(s.upsample);
  CAPTURE(c.e.pool);
  const int64_t outputs = int64_t{s.N} * (s.P() / c.e.pool) * (s.Q() / c.e.pool) * s.K;
  const int64_t depth = int64_t{s.R} * s.S * s.C;
  const auto x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
  const auto w = test::random_floats(s.K * depth);
  const auto bias = test::random_floats(s.K);
  const auto dy = test::random_floats(outputs);
  const auto pooled = static_cast<size_t>(outputs);

  // fprop
  auto y = test::poisoned(outputs);
  std::vector<uint8_t> argmax(pooled, 255);
  uint8_t* argmax_out = c.e.pool > 1 ? argmax.data() : nullptr;
  conv2d_fprop<float>(ctx, s, c.e, x.data(), w.data(), bias.data(), y.data(), argmax_out);
  std::vector<double> want(pooled), scale(pooled);
  std::vector<uint8_t> want_argmax(pooled);
  const auto xd = widen(x), wd = widen(w), bd = widen(bias);
  conv2d_fprop<double>(ctx, s, c.e, xd.data(), wd.data(), bd.data(), want.data(),
                       want_argmax.data());
  const auto xa = absolute(xd), wa = absolute(wd), ba = absolute(bd);
  conv2d_fprop<double>(ctx, s, {.pool = c.e.pool}, xa.data(), wa.data(), ba.data(), scale.data(),
                       nullptr);
  for (double& v : scale) v += 1;
  CHECK(test::excess(y, want, scale, roundings(depth)) <= 0);

  // backward, of the same function: y and argmax are the float64 ones
  std::vector<float> y_exact(want.begin(), want.end());
  const Conv2dGrad<float> g{dy.data(), y_exact.data(), want_argmax.data()};
  const auto dyd = widen(dy);
  const auto y_wide = widen(y_exact);
  const Conv2dGrad<double> gd{dyd.data(), y_wide.data(), want_argmax.data()};
  const auto dya = absolute(dyd);
  const Conv2dEpilogue linear{.pool = c.e.pool};  // every slope is at most 1
  const Conv2dGrad<double> ga{dya.data(), nullptr, want_argmax.data()};

  auto dx = test::poisoned(static_cast<int64_t>(x.size()));
  conv2d_dgrad<float>(ctx, s, c.e, g, w.data(), dx.data());
  std::vector<double> dx_want(x.size()), dx_scale(x.size());
  conv2d_dgrad<double>(ctx, s, c.e, gd, wd.data(), dx_want.data());
  conv2d_dgrad<double>(ctx, s, linear, ga, wa.data(), dx_scale.data());
  CHECK(test::excess(dx, dx_want, dx_scale,
                     roundings(int64_t{s.R} * s.S * s.K * s.upsample * s.upsample)) <= 0);

  auto dw = test::poisoned(static_cast<int64_t>(w.size()));
  auto db = test::poisoned(s.K);
  conv2d_wgrad<float>(ctx, s, c.e, x.data(), g, dw.data(), db.data());
  std::vector<double> dw_want(w.size()), db_want(bias.size()), dw_scale(w.size()),
      db_scale(bias.size());
  conv2d_wgrad<double>(ctx, s, c.e, xd.data(), gd, dw_want.data(), db_want.data());
  conv2d_wgrad<double>(ctx, s, linear, xa.data(), ga, dw_scale.data(), db_scale.data());
  const double terms = roundings(int64_t{s.N} * s.P() * s.Q());
  CHECK(test::excess(dw, dw_want, dw_scale, terms) <= 0);
  CHECK(test::excess(db, db_want, db_scale, terms) <= 0);

  // The position that the forward pass chose holds a maximum, up to the error of the sums.
  if (c.e.pool > 1) {
    Conv2dEpilogue plain;
    std::vector<double> z(static_cast<size_t>(int64_t{s.N} * s.P() * s.Q() * s.K));
    conv2d_fprop<double>(ctx, s, plain, xd.data(), wd.data(), bd.data(), z.data(), nullptr);
    std::vector<double> best(pooled);
    conv2d_fprop<double>(ctx, s, linear, xd.data(), wd.data(), bd.data(), best.data(), nullptr);
    const int rows = s.P() / c.e.pool, columns = s.Q() / c.e.pool;
    size_t i = 0;
    for (int n = 0; n < s.N; ++n)
      for (int p = 0; p < rows; ++p)
        for (int q = 0; q < columns; ++q)
          for (int k = 0; k < s.K; ++k, ++i) {
            REQUIRE(argmax[i] < c.e.pool * c.e.pool);
            const int64_t at = ((int64_t{n} * s.P() + p * c.e.pool + argmax[i] / c.e.pool) * s.Q() +
                                q * c.e.pool + argmax[i] % c.e.pool) *
                                   s.K +
                               k;
            REQUIRE(z[static_cast<size_t>(at)] >=
                    best[i] - 2 * roundings(depth) * 1.2e-7 * scale[i]);
          }
  }
}

TEST_CASE("conv2d: every instruction set equals the float64 reference") {
  CpuContext ctx(2);
  for (const ConvAlgo algo : {ConvAlgo::naive, ConvAlgo::blocked, ConvAlgo::fused}) {
    ctx.get().conv = algo;
    CAPTURE(name_of(algo));
    test::for_each_isa([&] {
      for (const Case& c : kCases) check(c, ctx);
    });
  }
}

TEST_CASE("conv2d: the number of threads changes no bit") {
  const Case cases[] = {
      {{5, 24, 20, 6, 24, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
      {{40, 4, 4, 16, 24, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
      {{9, 8, 8, 64, 320, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
      {{5, 24, 20, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
      {{9, 24, 20, 32, 48, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},  // Winograd from here on (not wgrad)
      {{9, 24, 20, 48, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
      {{5, 70, 54, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
      {{5, 70, 54, 1, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
  };
  for (const auto& [s, e] : cases) {
    const auto x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    const auto w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
    const auto bias = test::random_floats(s.K);
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    const auto dy = test::random_floats(outputs);
    std::vector<std::vector<float>> first;
    for (const int threads : {1, 2, 3}) {
      CpuContext ctx(threads);
      auto y = test::poisoned(outputs), dx = test::poisoned(static_cast<int64_t>(x.size()));
      auto dw = test::poisoned(static_cast<int64_t>(w.size())), db = test::poisoned(s.K);
      std::vector<uint8_t> argmax(static_cast<size_t>(outputs));
      conv2d_fprop<float>(ctx, s, e, x.data(), w.data(), bias.data(), y.data(), argmax.data());
      const Conv2dGrad<float> g{dy.data(), y.data(), argmax.data()};
      conv2d_dgrad<float>(ctx, s, e, g, w.data(), dx.data());
      conv2d_wgrad<float>(ctx, s, e, x.data(), g, dw.data(), db.data());
      const std::vector<std::vector<float>> all{y, dx, dw, db};
      if (first.empty()) first = all;
      CHECK(all == first);
    }
  }
}

TEST_CASE("conv2d: a warmed-up call asks the system for no memory") {
  CpuContext ctx(1);
  const Case cases[] = {{{2, 16, 16, 8, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
                        {{2, 16, 16, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
                        {{2, 8, 8, 16, 3, 1, 1, 1, 0, 2}, {kSigmoid, 0, 1}},
                        {{2, 4, 4, 16, 8, 4, 4, 1, 0, 1}, {kLeaky, 0.2f, 1}},
                        {{2, 48, 48, 32, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
                        {{2, 48, 48, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}}};
  for (const auto& [s, e] : cases) {
    const auto x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    const auto w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    std::vector<float> y(static_cast<size_t>(outputs)), dx(x.size()), dw(w.size());
    std::vector<uint8_t> argmax(y.size());
    const Conv2dGrad<float> g{y.data(), y.data(), argmax.data()};
    const auto step = [&](uint64_t version) {
      conv2d_fprop<float>(ctx, s, e, x.data(), {w.data(), version}, nullptr, y.data(),
                          argmax.data());
      conv2d_dgrad<float>(ctx, s, e, g, {w.data(), version}, dx.data());
      conv2d_wgrad<float>(ctx, s, e, x.data(), g, dw.data(), nullptr);
    };
    step(1);
    const int64_t before = ctx.get().memory->stats().system_calls;
    step(2);
    CHECK(ctx.get().memory->stats().system_calls == before);
  }
}

TEST_CASE("conv2d: packed weights follow the version") {
  CpuContext ctx(1);
  const Conv2dShape s{1, 4, 4, 3, 8, 3, 3, 1, 1, 1};
  const auto x = test::random_floats(4 * 4 * 3);
  auto w = test::random_floats(8 * 27);
  const auto run = [&](uint64_t version) {
    auto y = test::poisoned(4 * 4 * 8);
    conv2d_fprop<float>(ctx, s, {}, x.data(), {w.data(), version}, nullptr, y.data(), nullptr);
    return y;
  };
  const auto before = run(1);
  for (float& f : w) f *= 2;
  CHECK(run(1) == before);  // the version says that nothing changed
  const auto after = run(2);
  for (size_t i = 0; i < after.size(); ++i) CHECK(after[i] == 2 * before[i]);
}

}  // namespace
}  // namespace assay
