// Every algorithm of the convolution, on every device and instruction set, at every precision,
// against the float64 reference.
#include "kernels/conv2d/conv2d.h"

#include <map>
#include <optional>
#include <tuple>

#include "tests/kernels/conv2d_problem.h"

namespace assay {
namespace {

using test::Conv2dCase;
using test::Conv2dProblem;
using test::Conv2dResult;
using test::Conv2dWay;
using test::kPasses;

const Conv2dWay kCpuWays[] = {
    {ConvAlgo::direct},
    {ConvAlgo::winograd},
    {ConvAlgo::automatic},
    {ConvAlgo::automatic, Precision::fp32_strict},
};
const Conv2dWay kCudaWays[] = {
    {ConvAlgo::automatic},
    {ConvAlgo::automatic, Precision::bf16},
    {ConvAlgo::naive},
    {ConvAlgo::tiled},
    {ConvAlgo::direct},
    {ConvAlgo::pipelined},
    {ConvAlgo::tensor_core, Precision::tf32},
    {ConvAlgo::tensor_core, Precision::tf32x3},
    {ConvAlgo::tensor_core, Precision::bf16},
};

double rms_error(const std::vector<float>& got, const std::vector<double>& want) {
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) sum += (got[i] - want[i]) * (got[i] - want[i]);
  return std::sqrt(sum / static_cast<double>(got.size()));
}

/// The condition under which Winograd counts as fp32: its error stays within 10 times the direct
/// kernel's, in the Frobenius norm, because the largest of a few thousand errors is a matter of
/// luck. A quarter of a rounding of a typical value is granted where the direct result is almost
/// exact.
void check_winograd(const Conv2dProblem& p, ConvPass pass, const Conv2dResult& got,
                    const Conv2dResult& direct) {
  const auto errors = [](const std::vector<float>& a, const std::vector<float>& b,
                         const std::vector<double>& want) {
    double square = 0;
    for (const double v : want) square += v * v;
    const double rounding = std::sqrt(square / static_cast<double>(want.size())) * 1.2e-7;
    CHECK(rms_error(a, want) <= 10 * std::max(rms_error(b, want), rounding / 4));
  };
  errors(got.values, direct.values, p.reference(pass).want);
  if (pass == ConvPass::wgrad) errors(got.dbias, direct.dbias, p.dbias.want);
  // Both choose the same position but for ties within their errors.
  size_t different = 0;
  for (size_t i = 0; i < got.argmax.size(); ++i) {
    REQUIRE(got.argmax[i] < p.c.e.pool * p.c.e.pool);
    different += got.argmax[i] != direct.argmax[i];
  }
  CHECK(different <= 1 + got.argmax.size() / 1000);
}

/// How many cases an algorithm ran, by pass.
using Runs = std::map<std::tuple<ConvAlgo, Precision, ConvPass>, int>;

void check_on_cpu(const Conv2dProblem& p, Runs& runs) {
  CpuContext one(1);
  for (const ConvPass pass : kPasses) {
    CAPTURE(test::to_string(pass));
    std::map<ConvAlgo, Conv2dResult> results;
    for (const Conv2dWay& way : kCpuWays) {
      CAPTURE(way);
      if (!way.runs(one, pass, p.c)) continue;
      ++runs[{way.algorithm, way.precision, pass}];
      const Conv2dResult got = run(one, p, pass, true);
      for (const int threads : {2, 3}) {
        CAPTURE(threads);
        CpuContext more(threads);
        way.choose(more);
        CHECK(run(more, p, pass) == got);
      }
      if (way.algorithm == ConvAlgo::automatic)
        CHECK(got == results.at(conv2d_rung(one, pass, p.c.s, p.c.e)));
      else if (way.algorithm == ConvAlgo::winograd)
        check_winograd(p, pass, got, results.at(ConvAlgo::direct));
      else
        check_bound(p, pass, way.precision, got);
      results.emplace(way.algorithm, got);
    }
  }
}

void check_on_cuda(const Conv2dProblem& p, Runs& runs) {
  std::map<std::tuple<ConvAlgo, Precision, ConvPass>, Conv2dResult> first;
  test::for_each_cuda_run([&](Context& ctx) {
    for (const Conv2dWay& way : kCudaWays) {
#if ASSAY_EMULATED
      if (p.c.emulated == test::Emulated::direct && way.algorithm != ConvAlgo::direct) continue;
#endif
      for (const ConvPass pass : kPasses) {
        CAPTURE(way);
        CAPTURE(test::to_string(pass));
        if (!way.runs(ctx, pass, p.c)) continue;
        const Conv2dResult got = run(ctx, p, pass);
        const auto [it, is_first] = first.try_emplace({way.algorithm, way.precision, pass}, got);
        if (is_first) {
          ++runs[it->first];
          check_bound(p, pass, way.precision, got);
        } else {
          CHECK(got == it->second);
        }
      }
    }
  });
}

template <class Ways>
void check_coverage(const Ways& ways, Runs& runs) {
  for (const Conv2dWay& way : ways)
    for (const ConvPass pass : kPasses) {
      CAPTURE(way);
      CAPTURE(test::to_string(pass));
      CHECK(runs[{way.algorithm, way.precision, pass}] >= 10);
    }
}

TEST_CASE("conv2d: every algorithm, pass and precision equals the float64 reference") {
  const bool on_cuda = test::cuda_tested(), on_cpu = test::tested("cpu");
  Runs cpu, cuda;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    bool here = on_cuda;
#if ASSAY_EMULATED
    here = here && c.emulated != test::Emulated::nothing;
#endif
    if (!here && !on_cpu) continue;
    CAPTURE(c);
    const Conv2dProblem p(c);
    test::for_each_isa([&] { check_on_cpu(p, cpu); });
    if (here) check_on_cuda(p, cuda);
  }
  if (on_cpu) check_coverage(kCpuWays, cpu);
  if (on_cuda) check_coverage(kCudaWays, cuda);
}

TEST_CASE("conv2d: a warmed-up step asks the system for no memory") {
  if (!test::tested("cpu")) return;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    CAPTURE(c);
    CpuContext ctx(1);
    const auto& [s, e, emulated] = c;
    const auto x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
    const auto w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    std::vector<float> y(static_cast<size_t>(outputs)), dx(x.size()), dw(w.size());
    std::vector<uint8_t> argmax(y.size());
    const Conv2dGrad<float> g{y.data(), y.data(), argmax.data()};
    const auto step = [&](uint64_t version) {
      const Weights<float> weights(w.data(), version);
      conv2d_fprop<float>(ctx, s, e, x.data(), weights, nullptr, y.data(), argmax.data());
      conv2d_dgrad<float>(ctx, s, e, g, weights, dx.data());
      conv2d_wgrad<float>(ctx, s, e, x.data(), g, dw.data(), nullptr);
    };
    step(1);
    step(2);  // what the first step used as scratch may be packed weights now
    const int64_t before = ctx.get().memory->stats().system_calls;
    step(3);
    CHECK(ctx.get().memory->stats().system_calls == before);
  }
}

TEST_CASE("conv2d: packed weights follow the version") {
  if (!test::tested("cpu")) return;
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
