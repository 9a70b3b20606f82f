// Convolutions by tiles (kernels/conv2d/cpu/tiles), with emulated tile instructions on every
// machine and with native ones where there are any, against the float64 reference.
#include <cmath>

#include "kernels/conv2d/cpu/tiles/tiles.h"
#include "kernels/runtime/bf16.h"
#include "tests/kernels/conv2d_problem.h"

namespace assay {
namespace {

using test::Conv2dCase;
using test::Conv2dProblem;
using test::Conv2dResult;
using test::kPasses;
namespace tiles = cpu::tiles;

/// Uses these tile instructions until the end of a scope.
class TilesScope {
 public:
  explicit TilesScope(Tiles use) { set_active_tiles(use); }
  ~TilesScope() { set_active_tiles(before_); }
  TilesScope(const TilesScope&) = delete;
  TilesScope& operator=(const TilesScope&) = delete;

 private:
  Tiles before_ = active_tiles();
};

std::vector<bf16> rounded(const std::vector<float>& values) {
  std::vector<bf16> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) out[i] = bf16(values[i]);
  return out;
}
std::vector<float> widened(const std::vector<bf16>& values) {
  std::vector<float> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<float>(values[i]);
  return out;
}

/// Elements in memory of exactly their size.
using Bf16Array = test::Array<bf16>;

/// Runs a pass over poisoned outputs.
Conv2dResult run(Context& ctx, const Conv2dProblem& p, ConvPass pass) {
  const Conv2dShape& s = p.c.s;
  const Conv2dEpilogue& e = p.c.e;
  const Bf16Array x(ctx, rounded(p.x)), dy(ctx, rounded(p.dy)), y(ctx, rounded(p.y_of_backward));
  const test::Array w(ctx, p.w), bias(ctx, p.bias);
  const test::Array argmax(ctx, p.argmax);
  const Conv2dGrad<bf16> g{dy, y, argmax};
  const auto poisoned = [](size_t n) { return rounded(test::poisoned(static_cast<int64_t>(n))); };
  const Bf16Array y_out(ctx, poisoned(p.dy.size())), dx(ctx, poisoned(p.x.size()));
  const test::Array<uint8_t> argmax_out(ctx, p.outputs());
  const test::Array<float> dw(ctx, static_cast<int64_t>(p.w.size())), dbias(ctx, s.K);
  switch (pass) {
    case ConvPass::fprop:
      tiles::fprop(ctx, s, e, x, w.get(), bias, y_out, e.pool > 1 ? argmax_out.get() : nullptr);
      return {widened(y_out.host()), e.pool > 1 ? argmax_out.host() : std::vector<uint8_t>(), {}};
    case ConvPass::dgrad:
      tiles::dgrad(ctx, s, e, g, w.get(), dx);
      return {widened(dx.host()), {}, {}};
    case ConvPass::wgrad:
      tiles::wgrad(ctx, s, e, x, g, dw, dbias);
      return {dw.host(), {}, dbias.host()};
  }
  return {};
}

/// Bound of the error in units of eps * sum |a||b|, without the output's rounding. Operands are
/// bf16 numbers, so that their products are exact and gamma_n of the sum is left
/// (conv2d_problem.h), but for two roundings to bf16, each by 2^-8 of a value at most: of dz where
/// f' is not 0 or 1, and of weights that are summed first behind an upsampling.
double roundings(const Conv2dProblem& p, ConvPass pass) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const Activation a = p.c.e.activation;
  const bool rounds_dz = pass != ConvPass::fprop && a != Activation::none && a != Activation::relu;
  const bool rounds_sums = pass != ConvPass::wgrad && p.c.s.upsample > 1;
  const double operands =
      std::exp2(-8) * (rounds_dz + rounds_sums + rounds_dz * rounds_sums / 256.0);
  return static_cast<double>(p.terms(pass)) + 4 + operands / kEps;
}

void check_bound(const Conv2dProblem& p, ConvPass pass, const Conv2dResult& got) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const test::Conv2dReference& r = p.reference(pass);
  const double factor = roundings(p, pass);
  std::vector<double> scale = r.scale;
  if (pass != ConvPass::wgrad)  // the output's rounding: 2^-8 of the value
    for (size_t i = 0; i < scale.size(); ++i)
      scale[i] += std::exp2(-8) * (scale[i] + std::abs(r.want[i]) / (factor * kEps));
  CHECK(test::excess(got.values, r.want, scale, factor) <= 0);
  if (pass == ConvPass::fprop && p.c.e.pool > 1) CHECK(maxima_chosen(p, got.argmax, factor));
  if (pass == ConvPass::wgrad)
    CHECK(test::excess(got.dbias, p.dbias.want, p.dbias.scale, factor) <= 0);
}

void check_case(const Conv2dCase& c, ConvPass pass, const Conv2dProblem& p) {
  CAPTURE(test::to_string(pass));
  Conv2dResult first;
  for (const Tiles kind : {Tiles::emulated, Tiles::native}) {
    if (!tiles_available(kind)) continue;
    CAPTURE(std::string(name_of(kind)));
    const TilesScope scope(kind);
    CpuContext one(1);
    REQUIRE(tiles::covers(one, pass, c.s, c.e).is_possible());
    const Conv2dResult got = run(one, p, pass);
    if (kind == Tiles::emulated) {
      check_bound(p, pass, got);
      first = got;
    }
    CHECK(got == first);
    for (const int threads : {2, 3}) {
      CAPTURE(threads);
      CpuContext more(threads);
      CHECK(run(more, p, pass) == first);
    }
  }
}

TEST_CASE("conv2d tiles: every pass equals the float64 reference") {
  if (!test::tested("cpu")) return;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    if (c.s.upsample > 1 && (c.s.stride > 1 || c.e.pool > 1)) continue;
    CAPTURE(c);
    const Conv2dProblem p(c, true);
    for (const ConvPass pass : kPasses) check_case(c, pass, p);
  }
}

}  // namespace
}  // namespace assay
