// Every algorithm of the convolution, on every device and instruction set, at every precision,
// against the float64 reference.
#include "kernels/conv2d/conv2d.h"

#include <map>
#include <sstream>
#include <string>

#include "tests/kernels/conv2d_problem.h"

namespace assay {
namespace {

using test::Conv2dCase;
using test::Conv2dProblem;
using test::Conv2dResult;
using test::Conv2dWay;
using test::kPasses;

double rms_error(const std::vector<float>& got, const std::vector<double>& want) {
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) sum += (got[i] - want[i]) * (got[i] - want[i]);
  return std::sqrt(sum / static_cast<double>(got.size()));
}

/// The condition for Winograd to count as fp32: its error is within 10 times that of a plain sum of
/// products. Errors are in the Frobenius norm, because the largest of a few thousand is random. A
/// quarter of a rounding of a typical value is added for plain results that are almost exact.
void check_winograd(const Conv2dProblem& p, ConvPass pass, const Conv2dResult& got,
                    const Conv2dResult& plain) {
  const auto errors = [](const std::vector<float>& a, const std::vector<float>& b,
                         const std::vector<double>& want) {
    double square = 0;
    for (const double v : want) square += v * v;
    const double rounding = std::sqrt(square / static_cast<double>(want.size())) * 1.2e-7;
    CHECK(rms_error(a, want) <= 10 * std::max(rms_error(b, want), rounding / 4));
  };
  errors(got.values, plain.values, p.reference(pass).want);
  if (pass == ConvPass::wgrad) errors(got.dbias, plain.dbias, p.dbias.want);
  // Both choose the same position except for ties within their errors.
  size_t different = 0;
  for (size_t i = 0; i < got.argmax.size(); ++i) {
    REQUIRE(got.argmax[i] < p.c.e.pool * p.c.e.pool);
    different += got.argmax[i] != plain.argmax[i];
  }
  CHECK(different <= 1 + got.argmax.size() / 1000);
}

/// How many cases ran, by way and pass, each counted once for every instruction set.
using Runs = std::map<std::string, int>;
std::string key_of(const Conv2dWay& way, ConvPass pass) {
  std::ostringstream key;
  key << way << ", " << test::to_string(pass);
  return key.str();
}

/// The row that the dispatcher runs; null where it lowers the convolution first.
const Conv2dAlgorithm* chosen_row(Context& ctx, ConvPass pass, const Conv2dCase& c) {
  const Conv2dChoice choice = conv2d_algorithm(ctx, pass, c.s, c.e);
  return choice.lowering == Lowering::none ? choice.conv : nullptr;
}

void check_on_cpu(const Conv2dProblem& p, Runs& runs, bool with_naive) {
  CpuContext one(1);
  for (const ConvPass pass : kPasses) {
    CAPTURE(test::to_string(pass));
    std::map<const Conv2dAlgorithm*, Conv2dResult> results;
    const Conv2dResult* plain = nullptr;  // of a sum of products without transforms
    for (const Conv2dWay& way : test::conv2d_ways(Device::cpu())) {
      CAPTURE(way);
      if (!way.covers(one, pass, p.c)) continue;
      if (way.row != nullptr && way.row->algo == Algorithm::naive && !with_naive) continue;
      ++runs[key_of(way, pass)];
      const Conv2dResult got = run(one, p, pass, way, true);
      for (const int threads : {2, 3}) {
        CAPTURE(threads);
        CpuContext more(threads);
        CHECK(run(more, p, pass, way) == got);
      }
      const Conv2dAlgorithm* row = way.row != nullptr ? way.row : chosen_row(one, pass, p.c);
      if (way.row == nullptr && row != nullptr) {
        if (results.contains(row)) CHECK(got == results.at(row));
      } else if (row != nullptr && row->algo == Algorithm::winograd) {
        REQUIRE(plain != nullptr);
        check_winograd(p, pass, got, *plain);
      } else {
        check_bound(p, pass, way.precision, got);
      }
      if (way.row == nullptr) continue;
      const auto kept = results.emplace(way.row, got).first;
      if (way.row->algo == Algorithm::fused) plain = &kept->second;
    }
  }
}

/// narrow: the same with bf16 operands, for bf16 tensors.
void check_on_cuda(const Conv2dProblem& wide, const Conv2dProblem& narrow, Runs& runs) {
  std::map<std::string, Conv2dResult> first;
  test::for_each_cuda_run([&](Context& ctx) {
    for (const Conv2dWay& way : test::conv2d_ways(Device::cuda())) {
      const Conv2dProblem& p = way.on_bf16() ? narrow : wide;
#if ASSAY_EMULATED
      if (p.c.emulated == test::Emulated::direct &&
          (way.row == nullptr || way.row->algo != Algorithm::direct))
        continue;
#endif
      for (const ConvPass pass : kPasses) {
        CAPTURE(way);
        CAPTURE(test::to_string(pass));
        if (!way.covers(ctx, pass, p.c)) continue;
        const Conv2dResult got = run(ctx, p, pass, way);
        const auto [it, is_first] = first.try_emplace(key_of(way, pass), got);
        if (!is_first) {
          CHECK(got == it->second);
          continue;
        }
        ++runs[it->first];
        check_bound(p, pass, way.precision, got);
      }
    }
  });
}

void check_coverage(Device device, Runs& runs, int min_cases) {
  for (const Conv2dWay& way : test::conv2d_ways(device))
    for (const ConvPass pass : kPasses) {
      const auto lacks = [pass](const Conv2dAlgorithm& row) { return !row.has(pass); };
      if (way.row != nullptr && lacks(*way.row)) continue;
      if (way.row != nullptr && way.row->algo == Algorithm::hopper && !test::sm90a_tested())
        continue;
      CAPTURE(key_of(way, pass));
      CHECK(runs[key_of(way, pass)] >= min_cases);
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
    // Plain loops take long on a large image, and they are the same on every instruction set.
    bool with_naive = conv2d_flops(c.s) < 10'000'000;
    test::for_each_isa([&] {
      check_on_cpu(p, cpu, with_naive);
      with_naive = false;
    });
    if (here) check_on_cuda(p, Conv2dProblem(c, true), cuda);
  }
  if (on_cpu) check_coverage(Device::cpu(), cpu, 5);
  if (on_cuda) check_coverage(Device::cuda(), cuda, 10);
}

TEST_CASE("conv2d: a warmed-up step asks the system for no memory") {
  if (!test::tested("cpu")) return;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    CAPTURE(c);
    CpuContext ctx(1);
    const Conv2dShape& s = c.s;  // clang 14's lambdas take no structured binding
    const Conv2dEpilogue& e = c.e;
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

TEST_CASE("conv2d: both gradients at once are those of the passes, bit for bit") {
  if (!test::tested("cpu")) return;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    CAPTURE(c);
    CpuContext ctx(1);
    const Conv2dProblem p(c);
    const Conv2dGrad<float> g{p.dy.data(), p.y_of_backward.data(), p.argmax.data()};
    const size_t filters = p.w.size(), biases = static_cast<size_t>(c.s.K);
    std::vector<float> dx(p.x.size(), NAN), dx2 = dx, dw(filters, NAN), dw2 = dw, db(biases, NAN),
                                            db2 = db;
    conv2d_dgrad<float>(ctx, c.s, c.e, g, p.w.data(), dx.data());
    conv2d_wgrad<float>(ctx, c.s, c.e, p.x.data(), g, dw.data(), db.data());
    conv2d_bprop<float>(ctx, c.s, c.e, p.x.data(), g, p.w.data(), dx2.data(), dw2.data(),
                        db2.data());
    CHECK(dx == dx2);
    CHECK(dw == dw2);
    CHECK(db == db2);
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
