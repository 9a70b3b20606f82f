// Every rung of the CUDA ladder, every pass and precision, against the float64 reference.
#include <map>
#include <ostream>
#include <string>
#include <tuple>

#include "kernels/conv2d/algorithm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#if ASSAY_EMULATED
#include "kernels/emulator/check.h"
#include "kernels/emulator/profile.h"
#endif
#include "tests/kernels/conv2d_case.h"
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

using test::absolute;
using test::Array;
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
    {{1, 12, 12, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 9, 9, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 64, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{1, 3, 3, 20, 36, 3, 3, 1, 1, 4}, {kRelu, 0, 1}},
    {{1, 5, 4, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 6, 6, 32, 3, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{1, 5, 5, 128, 1, 1, 1, 1, 0, 2}, {kSigmoid, 0, 1}},
    {{1, 8, 8, 1, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 8, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{2, 4, 4, 4, 8, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 12, 12, 3, 64, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
    {{1, 8, 8, 32, 40, 4, 4, 2, 1, 1}, {kNone, 0, 1}},
    {{3, 4, 4, 64, 1, 4, 4, 1, 0, 1}, {kNone, 0, 1}},  // one output pixel: a dense layer
    {{2, 4, 3, 8, 20, 4, 3, 1, 0, 1}, {kLeaky, 0.2f, 1}},
    // awkward ones
    {{1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 1, 1, 5, 3, 3, 3, 1, 1, 1}, {kTanh, 0, 1}},
    {{2, 5, 7, 3, 17, 5, 3, 1, 2, 1}, {kLeaky, 0.1f, 1}},
    {{1, 7, 5, 5, 33, 2, 2, 1, 0, 1}, {kNone, 0, 2}},
    {{1, 9, 11, 3, 5, 3, 3, 2, 0, 1}, {kRelu, 0, 1}},
    {{2, 11, 10, 12, 7, 3, 3, 3, 2, 1}, {kNone, 0, 1}},
    {{1, 10, 10, 3, 6, 2, 2, 3, 0, 1}, {kSigmoid, 0, 1}},
    {{1, 6, 6, 20, 36, 3, 3, 1, 4, 1}, {kRelu, 0, 2}},
    {{1, 5, 6, 7, 9, 3, 3, 1, 0, 2}, {kTanh, 0, 2}},
    {{1, 3, 5, 2, 3, 5, 5, 1, 2, 4}, {kRelu, 0, 4}},
    {{1, 4, 4, 3, 5, 3, 3, 2, 1, 2}, {kNone, 0, 1}},
    {{1, 9, 7, 31, 65, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 9, 9, 3, 19, 3, 3, 1, 1, 1}, {kSigmoid, 0, 4}},
    {{20, 3, 3, 4, 6, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{1, 3, 3, 2, 5, 3, 3, 1, 0, 1}, {kNone, 0, 2}},  // no window fits: y is empty
    {{2, 13, 12, 16, 20, 3, 3, 3, 1, 1}, {kLeaky, 0.1f, 2}},
    {{2, 3, 5, 7, 2, 1, 1, 1, 0, 4}, {kLeaky, 0.2f, 1}},  // 1x1 behind an upsampling
};

/// One case: inputs and what the float64 reference makes of them.
struct Problem {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<float> x, w, bias, dy, y_exact;
  std::vector<uint8_t> argmax;
  std::vector<double> y, y_scale, z, dx, dx_scale, dw, dw_scale, db, db_scale;

  explicit Problem(const Case& c);
  int64_t outputs() const { return int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K; }
};

Problem::Problem(const Case& c) : s(c.s), e(c.e) {
  x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
  w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
  bias = test::random_floats(s.K);
  dy = test::random_floats(outputs());
  const auto pooled = static_cast<size_t>(outputs());
  const auto xd = widen(x), wd = widen(w), bd = widen(bias), dyd = widen(dy);
  const auto xa = absolute(xd), wa = absolute(wd), ba = absolute(bd), dya = absolute(dyd);
  const Conv2dEpilogue linear{.pool = e.pool};  // every slope is at most 1

  y.resize(pooled);
  y_scale.resize(pooled);
  argmax.resize(pooled);
  z.resize(static_cast<size_t>(int64_t{s.N} * s.P() * s.Q() * s.K));
  ref::conv2d_fprop<double>(s, e, xd.data(), wd.data(), bd.data(), y.data(), argmax.data());
  ref::conv2d_fprop<double>(s, {}, xd.data(), wd.data(), bd.data(), z.data(), nullptr);
  ref::conv2d_fprop<double>(s, linear, xa.data(), wa.data(), ba.data(), y_scale.data(), nullptr);
  for (double& v : y_scale) v += 1;  // sigmoid and tanh add a few ulp of their own, at most 1

  // The backward passes are those of the same function: y and argmax are the float64 ones.
  y_exact.assign(y.begin(), y.end());
  const auto y_wide = widen(y_exact);
  const Conv2dGrad<double> g{dyd.data(), y_wide.data(), argmax.data()};
  const Conv2dGrad<double> ga{dya.data(), nullptr, argmax.data()};
  dx.resize(x.size());
  dx_scale.resize(x.size());
  ref::conv2d_dgrad<double>(s, e, g, wd.data(), dx.data());
  ref::conv2d_dgrad<double>(s, linear, ga, wa.data(), dx_scale.data());
  dw.resize(w.size());
  dw_scale.resize(w.size());
  db.resize(bias.size());
  db_scale.resize(bias.size());
  ref::conv2d_wgrad<double>(s, e, xd.data(), g, dw.data(), db.data());
  ref::conv2d_wgrad<double>(s, linear, xa.data(), ga, dw_scale.data(), db_scale.data());
}

std::ostream& operator<<(std::ostream& out, const Problem& p) {
  const Conv2dShape& s = p.s;
  return out << "N " << s.N << " H " << s.H << " W " << s.W << " C " << s.C << " K " << s.K << " R "
             << s.R << " S " << s.S << " stride " << s.stride << " pad " << s.pad << " upsample "
             << s.upsample << " pool " << p.e.pool;
}

/// Bound of the error of a sum of n products, in units of eps * sum |a||b|.
///   fp32: gamma_n of Higham, "Accuracy and stability", section 3.1, with n+4 for bias,
///   activation and folded filters
///   tf32, bf16: each operand is first rounded to 11 or 8 significant bits, which moves it by at
///   most 2^-11 or 2^-8 of itself
double roundings(Precision precision, int64_t n) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const double sum = static_cast<double>(n) + 4;
  switch (precision) {
    case Precision::tf32:
      return sum + 2 * std::exp2(-11) / kEps * (1 + std::exp2(-11));
    case Precision::bf16:
      return sum + 2 * std::exp2(-8) / kEps * (1 + std::exp2(-8));
    case Precision::tf32x3:
      // Three sums; what is left of an operand and the product of the small parts: 2^-22 each.
      return 3 * sum + 3 * std::exp2(-22) / kEps;
    default:
      return sum;
  }
}

/// Whether the chosen positions hold maxima of their windows, up to the error of the sums.
bool maxima_chosen(const Problem& p, const std::vector<uint8_t>& argmax, double factor) {
  const auto& [s, e] = std::tie(p.s, p.e);
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;
  size_t i = 0;
  for (int n = 0; n < s.N; ++n)
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        for (int k = 0; k < s.K; ++k, ++i) {
          const auto z = [&](int place) {
            const int64_t at = (int64_t{n} * s.P() + row * e.pool + place / e.pool) * s.Q() +
                               column * e.pool + place % e.pool;
            return p.z[static_cast<size_t>(at * s.K + k)];
          };
          if (argmax[i] >= e.pool * e.pool) return false;
          double best = z(0);
          for (int place = 1; place < e.pool * e.pool; ++place) best = std::max(best, z(place));
          const double error = factor * std::numeric_limits<float>::epsilon() * p.y_scale[i];
          if (z(argmax[i]) < best - 2 * error) return false;
        }
  return true;
}

// Each returns what the device computed, bits to be compared between runs.
std::vector<float> run_fprop(Context& ctx, const Problem& p) {
  const Array<float> x(ctx, p.x), w(ctx, p.w), bias(ctx, p.bias), y(ctx, p.outputs());
  const Array<uint8_t> argmax(ctx, p.outputs());
  conv2d_fprop<float>(ctx, p.s, p.e, x, w.get(), bias, y, p.e.pool > 1 ? argmax.get() : nullptr);
  const double factor = roundings(ctx.precision, int64_t{p.s.R} * p.s.S * p.s.C);
  std::vector<float> outputs = y.host();
  CHECK(test::excess(outputs, p.y, p.y_scale, factor) <= 0);
  if (p.e.pool > 1) {
    const std::vector<uint8_t> places = argmax.host();
    CHECK(maxima_chosen(p, places, factor));
    outputs.insert(outputs.end(), places.begin(), places.end());
  }
  return outputs;
}

std::vector<float> run_dgrad(Context& ctx, const Problem& p) {
  const Array<float> w(ctx, p.w), dy(ctx, p.dy), y(ctx, p.y_exact);
  const Array<uint8_t> argmax(ctx, p.argmax);
  const Array<float> dx(ctx, static_cast<int64_t>(p.x.size()));
  conv2d_dgrad<float>(ctx, p.s, p.e, {dy, y, argmax}, w.get(), dx);
  const int64_t terms = int64_t{p.s.R} * p.s.S * p.s.K * p.s.upsample * p.s.upsample;
  const std::vector<float> outputs = dx.host();
  CHECK(test::excess(outputs, p.dx, p.dx_scale, roundings(ctx.precision, terms)) <= 0);
  return outputs;
}

std::vector<float> run_wgrad(Context& ctx, const Problem& p) {
  const Array<float> x(ctx, p.x), dy(ctx, p.dy), y(ctx, p.y_exact);
  const Array<uint8_t> argmax(ctx, p.argmax);
  const Array<float> dw(ctx, static_cast<int64_t>(p.w.size())), db(ctx, p.s.K);
  conv2d_wgrad<float>(ctx, p.s, p.e, x, {dy, y, argmax}, dw, db);
  const int64_t terms = int64_t{p.s.N} * p.s.P() * p.s.Q();
  std::vector<float> outputs = dw.host();
  CHECK(test::excess(outputs, p.dw, p.dw_scale, roundings(ctx.precision, terms)) <= 0);
  const std::vector<float> bias = db.host();
  CHECK(test::excess(bias, p.db, p.db_scale, roundings(Precision::fp32, terms)) <= 0);
  outputs.insert(outputs.end(), bias.begin(), bias.end());
  return outputs;
}

struct Way {
  ConvAlgo conv;
  Precision precision;
};
std::ostream& operator<<(std::ostream& out, const Way& way) {
  return out << "rung " << static_cast<int>(way.conv) << ", " << name_of(way.precision);
}
const Way kWays[] = {
    {ConvAlgo::automatic, Precision::fp32},   {ConvAlgo::automatic, Precision::bf16},
    {ConvAlgo::naive, Precision::fp32},       {ConvAlgo::tiled, Precision::fp32},
    {ConvAlgo::direct, Precision::fp32},      {ConvAlgo::pipelined, Precision::fp32},
    {ConvAlgo::tensor_core, Precision::tf32}, {ConvAlgo::tensor_core, Precision::tf32x3},
    {ConvAlgo::tensor_core, Precision::bf16},
};

TEST_CASE("conv2d on CUDA: every rung, pass and precision, with the same bits under any schedule") {
  if (!test::cuda_tested()) return;
  const std::vector<Problem> problems(std::begin(kCases), std::end(kCases));
  std::map<std::tuple<ConvAlgo, Precision, ConvPass>, int> runs;
  std::vector<std::vector<float>> first;
  test::for_each_cuda_run([&](Context& ctx) {
    std::vector<std::vector<float>> outputs;
    for (const Problem& p : problems)
      for (const Way& way : kWays) {
        CAPTURE(p);
        CAPTURE(way);
        ctx.conv = way.conv;
        ctx.precision = way.precision;
        // Where the rung falls to a lower one, that one's turn is another.
        const auto runs_here = [&](ConvPass pass) {
          const bool here = way.conv == ConvAlgo::automatic ||
                            conv2d_algorithm(ctx, pass, p.s, p.e).algo() == way.conv;
          runs[{way.conv, way.precision, pass}] += here;
          return here;
        };
        if (runs_here(ConvPass::fprop)) outputs.push_back(run_fprop(ctx, p));
        if (runs_here(ConvPass::dgrad)) outputs.push_back(run_dgrad(ctx, p));
        if (runs_here(ConvPass::wgrad)) outputs.push_back(run_wgrad(ctx, p));
      }
    if (first.empty()) first = outputs;
    CHECK(outputs == first);
  });
  for (const Way& way : kWays)
    for (const ConvPass pass : {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad}) {
      CAPTURE(way);
      CAPTURE(static_cast<int>(pass));
      CHECK(runs[{way.conv, way.precision, pass}] >= 10);
    }
}

/// Runs f() with each way from this one on.
template <class F>
void for_each_way_from(ConvAlgo lowest, Context& ctx, const F& f) {
  for (const Way& way : kWays) {
    if (way.conv < lowest || way.conv == ConvAlgo::direct) continue;
    CAPTURE(way);
    ctx.conv = way.conv;
    ctx.precision = way.precision;
    f();
  }
}

// At least 132 tiles of 128 pixels (of all phases) x 64 channels, more than 32 of them.
TEST_CASE("conv2d on CUDA: the pipeline's large tiles, which need many pixels") {
  if (!test::cuda_tested()) return;
  const Problem forward[] = {Problem({{1, 130, 132, 4, 36, 1, 1, 1, 0, 1}, {kRelu, 0, 1}}),
                             Problem({{1, 130, 132, 4, 36, 3, 3, 1, 1, 1}, {kRelu, 0, 2}}),
                             Problem({{1, 65, 66, 4, 36, 3, 3, 1, 1, 2}, {kLeaky, 0.2f, 1}})};
  const Problem backward[] = {Problem({{1, 130, 132, 36, 4, 1, 1, 1, 0, 1}, {kRelu, 0, 2}}),
                              Problem({{1, 130, 132, 36, 4, 1, 1, 1, 0, 1}, {}}),
                              Problem({{1, 130, 132, 36, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 2}}),
                              Problem({{1, 132, 132, 36, 4, 4, 4, 2, 1, 1}, {}})};
  const auto ctx = make_context(Device::cuda(), 1);
  for_each_way_from(ConvAlgo::pipelined, *ctx, [&] {
    for (const Problem& p : forward) {
      CAPTURE(p);
      run_fprop(*ctx, p);
    }
    for (const Problem& p : backward) {
      CAPTURE(p);
      run_dgrad(*ctx, p);
    }
  });
}

// The models' layers with few channels, on pictures that are small but need several parts, and
// awkward ones.
const Case kFewChannels[] = {
    {{2, 40, 40, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{2, 25, 25, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 40, 40, 3, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 12, 12, 32, 3, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{1, 32, 32, 1, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 24, 24, 64, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 24, 24, 16, 8, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{3, 16, 16, 8, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{9, 8, 8, 4, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{4, 8, 8, 4, 8, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 16, 16, 8, 16, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 9, 9, 16, 64, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 9, 9, 100, 1, 1, 1, 1, 0, 2}, {kSigmoid, 0, 1}},
    {{2, 32, 32, 3, 64, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
    {{3, 4, 4, 256, 1, 4, 4, 1, 0, 1}, {kNone, 0, 1}},
    // awkward ones
    {{3, 1, 700, 1, 3, 1, 3, 1, 1, 1}, {kNone, 0, 1}},
    {{700, 1, 1, 3, 1, 1, 1, 1, 0, 1}, {kTanh, 0, 1}},
    {{2, 33, 17, 5, 6, 5, 3, 2, 2, 1}, {kLeaky, 0.1f, 2}},
    {{1, 41, 37, 8, 7, 2, 4, 1, 1, 1}, {kSigmoid, 0, 4}},
    {{5, 11, 13, 2, 70, 3, 2, 3, 3, 1}, {kRelu, 0, 1}},
    {{1, 13, 11, 4, 1, 3, 3, 1, 0, 4}, {kNone, 0, 1}},
};

TEST_CASE("conv2d on CUDA: few channels in several blocks of pixels or parts") {
  if (!test::cuda_tested()) return;
  const std::vector<Problem> problems(std::begin(kFewChannels), std::end(kFewChannels));
  std::vector<std::vector<float>> first;
  std::map<ConvPass, int> covered;
  test::for_each_cuda_run([&](Context& ctx) {
    ctx.conv = ConvAlgo::direct;
    std::vector<std::vector<float>> outputs;
    for (const Problem& p : problems) {
      CAPTURE(p);
      REQUIRE(conv2d_algorithm(ctx, ConvPass::wgrad, p.s, p.e).algo() == ConvAlgo::direct);
      outputs.push_back(run_wgrad(ctx, p));
      for (const ConvPass pass : {ConvPass::fprop, ConvPass::dgrad}) {
        if (conv2d_algorithm(ctx, pass, p.s, p.e).algo() != ConvAlgo::direct) continue;
        ++covered[pass];
        outputs.push_back(pass == ConvPass::fprop ? run_fprop(ctx, p) : run_dgrad(ctx, p));
      }
    }
    if (first.empty()) first = outputs;
    CHECK(outputs == first);
  });
  CHECK(covered[ConvPass::fprop] >= 2 * 10);
  CHECK(covered[ConvPass::dgrad] >= 2 * 10);
}

TEST_CASE("conv2d on CUDA: a rung leaves what it does not cover to the one below") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  const auto rung = [&](ConvAlgo conv, Precision precision, ConvPass pass, const Case& c) {
    ctx.conv = conv;
    ctx.precision = precision;
    return conv2d_algorithm(ctx, pass, c.s, c.e).algo();
  };
  const Case wide{{1, 8, 8, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}};
  const Case odd{{1, 8, 8, 31, 65, 3, 3, 1, 1, 1}, {}};
  const Case first{{1, 8, 8, 3, 64, 3, 3, 1, 1, 1}, {}};
  const Case pooled_behind_upsampling{{1, 8, 8, 32, 64, 3, 3, 1, 1, 2}, {kRelu, 0, 2}};
  constexpr ConvPass kFprop = ConvPass::fprop, kDgrad = ConvPass::dgrad, kWgrad = ConvPass::wgrad;
  constexpr Precision kFp32 = Precision::fp32, kTf32 = Precision::tf32;

  CHECK(rung(ConvAlgo::hopper, kTf32, kFprop, wide) == ConvAlgo::tensor_core);
  CHECK(rung(ConvAlgo::hopper, kFp32, kFprop, wide) == ConvAlgo::pipelined);
  CHECK(rung(ConvAlgo::tensor_core, kTf32, kWgrad, odd) == ConvAlgo::tiled);
  CHECK(rung(ConvAlgo::tensor_core, kTf32, kDgrad, first) == ConvAlgo::tensor_core);
  CHECK(rung(ConvAlgo::tensor_core, kTf32, kFprop, first) == ConvAlgo::tiled);
  CHECK(rung(ConvAlgo::tensor_core, kTf32, kFprop, pooled_behind_upsampling) == ConvAlgo::naive);
  CHECK(rung(ConvAlgo::tensor_core, kTf32, kDgrad, pooled_behind_upsampling) ==
        ConvAlgo::tensor_core);
  CHECK(rung(ConvAlgo::naive, kTf32, kFprop, wide) == ConvAlgo::naive);
  CHECK(rung(ConvAlgo::direct, kFp32, kFprop, wide) == ConvAlgo::pipelined);
  CHECK(rung(ConvAlgo::automatic, kFp32, kFprop, wide) == ConvAlgo::pipelined);
  CHECK(rung(ConvAlgo::automatic, Precision::bf16, kFprop, wide) == ConvAlgo::tensor_core);
  CHECK(rung(ConvAlgo::automatic, Precision::bf16, kFprop, first) == ConvAlgo::direct);
}

TEST_CASE("conv2d on CUDA: filters may lie anywhere, pictures by fours at multiples of 16 bytes") {
  if (!test::cuda_tested()) return;
  const Problem p({{1, 6, 6, 8, 40, 3, 3, 1, 1, 1}, {kRelu, 0, 1}});
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  std::vector<float> shifted(p.w.size() + 1);
  std::copy(p.w.begin(), p.w.end(), shifted.begin() + 1);
  const Array<float> x(ctx, p.x), w(ctx, p.w), w1(ctx, shifted);
  const Array<float> y(ctx, p.outputs()), y1(ctx, p.outputs());
  for (const ConvAlgo conv : {ConvAlgo::direct, ConvAlgo::pipelined}) {
    ctx.conv = conv;
    REQUIRE(conv2d_algorithm(ctx, ConvPass::fprop, p.s, p.e).algo() == conv);
    conv2d_fprop<float>(ctx, p.s, p.e, x, w.get(), nullptr, y, nullptr);
    conv2d_fprop<float>(ctx, p.s, p.e, x, w1.get() + 1, nullptr, y1, nullptr);
    CHECK(y1.host() == y.host());
    CHECK_THROWS_AS(conv2d_fprop<float>(ctx, p.s, p.e, x.get() + 1, w.get(), nullptr, y, nullptr),
                    Error);
  }
}

#if ASSAY_EMULATED
TEST_CASE("conv2d on CUDA: no bank conflicts") {
  if (!emulator::instrumented() || !test::cuda_tested()) return;
  const emulator::Config before = emulator::config();
  emulator::config().profile = true;
  emulator::clear_profile();
  const Problem problem({{1, 8, 8, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}});
  const auto ctx = make_context(Device::cuda(), 1);
  for_each_way_from(ConvAlgo::tiled, *ctx, [&] {
    run_fprop(*ctx, problem);
    run_dgrad(*ctx, problem);
    run_wgrad(*ctx, problem);
  });
  ctx->get().conv = ConvAlgo::direct;
  run_wgrad(*ctx, Problem({{1, 8, 8, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}}));
  emulator::config() = before;
  int lines = 0;
  for (const emulator::LineProfile& line : emulator::profile()) {
    const std::string file = line.line.substr(0, line.line.find(':'));
    const bool hot = file == "tiled.cu" || file == "fma_tile.cuh" || file == "mma_tile.cuh" ||
                     file == "pipeline.cuh" || file == "pipeline_wgrad.cuh" ||
                     file == "sources.cuh" || file == "epilogue.cuh" || file == "direct_wgrad.cu";
    if (line.global || !hot) continue;
    ++lines;
    CAPTURE(line.line);
    CHECK(line.cost == line.ideal);
  }
  CHECK(lines >= 15);
}
#endif

}  // namespace
}  // namespace assay
