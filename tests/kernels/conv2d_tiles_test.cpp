// Convolutions by tiles (kernels/conv2d/cpu/tiles), with emulated tile instructions on every
// machine and with native ones where there are any, against the float64 reference.
#include <cstdlib>
#include <cstring>

#include "kernels/conv2d/cpu/tiles/tiles.h"
#include "tests/kernels/conv2d_problem.h"
#include "tests/support/tiles.h"

namespace assay {
namespace {

using test::Conv2dCase;
using test::Conv2dProblem;
using test::Conv2dResult;
using test::kPasses;
namespace tiles = cpu::tiles;

using test::rounded;
using test::TilesScope;
using test::widened;

/// Runs a pass over poisoned outputs.
Conv2dResult run(Context& ctx, const Conv2dProblem& p, ConvPass pass) {
  return test::run_on_bf16(ctx, p, pass, {tiles::fprop, tiles::dgrad, tiles::wgrad});
}

void check_case(const Conv2dCase& c, ConvPass pass, const Conv2dProblem& p) {
  CAPTURE(test::to_string(pass));
  Conv2dResult first;
  test::for_each_tiles([&](Tiles kind) {
    CpuContext one(1);
    REQUIRE(tiles::covers(one, pass, c.s, c.e).is_possible());
    const Conv2dResult got = run(one, p, pass);
    if (kind == Tiles::emulated) {
      test::check_bound_on_bf16(p, pass, got);
      first = got;
    }
    CHECK(got == first);
    for (const int threads : {2, 3}) {
      CAPTURE(threads);
      CpuContext more(threads);
      CHECK(run(more, p, pass) == first);
    }
  });
}

/// Beside the shared cases: windows of more rows than a line of windows takes, so many weights that
/// tasks are panels and channels, phases of which some lack taps.
std::vector<Conv2dCase> more_cases() {
  return {
      test::conv(20, 1, 24, 3, 1, 4).relu(),
      test::conv3x3(3, 3, 200, 170).batch(2).leaky(0.2f),
      test::conv3x3(2, 3, 200, 180).upsample(2).relu(),
      test::conv(1, 2, 9, 8, 3, 5).stride(3).batch(3).tanh(),
      test::conv3x3(7, 5, 12, 4).batch(40).pool(4).sigmoid(),
  };
}

TEST_CASE("conv2d tiles: every pass equals the float64 reference") {
  if (!test::tested("cpu")) return;
  std::vector<Conv2dCase> cases = test::conv2d_cases();
  for (const Conv2dCase& c : more_cases()) cases.push_back(c);
  for (const Conv2dCase& c : cases) {
    if (c.s.upsample > 1 && (c.s.stride > 1 || c.e.pool > 1)) continue;
    CAPTURE(c);
    const Conv2dProblem p(c, true);
    for (const ConvPass pass : kPasses) check_case(c, pass, p);
  }
}

/// What the instruction gives for a row of A and a column of B (Intel's manual 325383, TDPBF16PS).
float tile_product(const std::vector<bf16>& a, const std::vector<bf16>& b) {
  const auto flush = [](float f) { return std::abs(f) < 0x1p-126f ? std::copysign(0.0f, f) : f; };
  float sum = 0;
  for (size_t step = 0; step < a.size(); step += 32) {
    float chain[2] = {};
    for (size_t i = step; i < step + 32; ++i)
      chain[i % 2] = flush(
          std::fma(flush(static_cast<float>(a[i])), flush(static_cast<float>(b[i])), chain[i % 2]));
    sum = flush(sum + flush(chain[0] + chain[1]));
  }
  return sum;
}

// The gradient of 1x1 filters is a product of tiles with pixels along its reduction.
TEST_CASE("conv2d tiles: a product rounds and flushes as the instruction does") {
  if (!test::tested("cpu")) return;
  constexpr int kPixels = 64, kFilters = 16, kChannels = 16;
  const Conv2dShape s{.N = 1, .H = 1, .W = kPixels, .C = kChannels, .K = kFilters, .R = 1, .S = 1};
  RandomSequence random(11, RandomStream::init);
  const auto values = [&](int count) {
    std::vector<bf16> v(static_cast<size_t>(count));
    for (bf16& b : v)
      b = bf16(std::ldexp(random.uniform(-1, 1), static_cast<int>(random.uniform(-20, 20))));
    for (size_t i = 0; i < v.size(); i += 7)
      v[i].bits = static_cast<uint16_t>(i % 0x80);  // subnormal
    return v;
  };
  const auto x = values(kPixels * kChannels), dy = values(kPixels * kFilters);
  test::for_each_tiles([&](Tiles) {
    CpuContext ctx(1);
    std::vector<float> dw(kFilters * kChannels);
    tiles::wgrad(ctx, s, {}, x.data(), {dy.data()}, dw.data(), nullptr);
    for (int k = 0; k < kFilters; ++k)
      for (int c = 0; c < kChannels; ++c) {
        std::vector<bf16> a, b;
        for (int i = 0; i < kPixels; ++i) {
          a.push_back(dy[static_cast<size_t>(i * kFilters + k)]);
          b.push_back(x[static_cast<size_t>(i * kChannels + c)]);
        }
        CHECK(dw[static_cast<size_t>(k * kChannels + c)] == tile_product(a, b));
      }
  });
}

TEST_CASE("conv2d tiles: a large output, which goes past the caches, has the same bits") {
  if (!test::tested("cpu")) return;
  const TilesScope scope(tiles_available(Tiles::native) ? Tiles::native : Tiles::emulated);
  CpuContext ctx(2);
  Conv2dShape s{.N = 1, .H = 600, .W = 900, .C = 1, .K = 32, .R = 1, .S = 1};
  const int64_t image = int64_t{s.H} * s.W;
  const auto x = rounded(test::random_floats(2 * image)), w = rounded(test::random_floats(s.K));
  const auto weights = widened(w);
  const test::Array<bf16> apart(ctx, 2 * image * s.K), together(ctx, 2 * image * s.K);
  for (const int n : {0, 1})
    tiles::fprop(ctx, s, {}, x.data() + n * image, weights.data(), nullptr, apart + n * image * s.K,
                 nullptr);
  s.N = 2;
  tiles::fprop(ctx, s, {}, x.data(), weights.data(), nullptr, together, nullptr);
  CHECK(std::memcmp(apart, together, static_cast<size_t>(2 * image * s.K) * sizeof(bf16)) == 0);
}

TEST_CASE("conv2d tiles: packed weights follow the version; a warmed-up step takes no memory") {
  if (!test::tested("cpu")) return;
  const TilesScope scope(Tiles::emulated);
  CpuContext ctx(1);
  const Conv2dShape s{.N = 2, .H = 6, .W = 6, .C = 20, .K = 40, .R = 3, .S = 3, .pad = 1};
  const Conv2dEpilogue e{.activation = Activation::relu, .pool = 2};
  const auto x = rounded(test::random_floats(2 * 36 * 20)),
             dy = rounded(test::random_floats(2 * 9 * 40));
  auto w = test::random_floats(40 * 9 * 20);
  std::vector<float> dw(w.size());
  std::vector<bf16> dx(x.size());
  const auto step = [&](uint64_t version) {
    std::vector<bf16> y(dy.size());
    std::vector<uint8_t> argmax(dy.size());
    const Weights<float> weights(w.data(), version);
    tiles::fprop(ctx, s, e, x.data(), weights, nullptr, y.data(), argmax.data());
    const Conv2dGrad<bf16> g{dy.data(), y.data(), argmax.data()};
    tiles::dgrad(ctx, s, e, g, weights, dx.data());
    tiles::wgrad(ctx, s, e, x.data(), g, dw.data(), nullptr);
    tiles::fprop(ctx, s, e, x.data(), weights, nullptr, y.data(), nullptr);
    return widened(y);
  };
  const auto before = step(1), dx_before = widened(dx);
  for (float& f : w) f *= 2;
  CHECK(step(1) == before);  // the version says that nothing changed
  const int64_t system_calls = ctx.get().memory->stats().system_calls;
  const auto after = step(2);
  CHECK(ctx.get().memory->stats().system_calls == system_calls);
  for (size_t i = 0; i < after.size(); ++i) CHECK(after[i] == 2 * before[i]);
  for (size_t i = 0; i < dx.size(); ++i) CHECK(static_cast<float>(dx[i]) == 2 * dx_before[i]);
}

TEST_CASE("conv2d tiles: convolutions of bf16 tensors run on emulated ones where named") {
  if (!test::tested("cpu")) return;
  const TilesScope scope(Tiles::emulated);
  const Conv2dCase c = test::conv3x3(9, 8, 5, 20).batch(2).pool(2).relu();
  const Conv2dProblem p(c, true);
  const auto x = rounded(p.x), dy = rounded(p.dy), y = rounded(p.y_of_backward);
  const Conv2dGrad<bf16> g{dy.data(), y.data(), p.argmax.data()};
  CpuContext own(2);
  Context& ctx = own;
  const auto run_by = [&](Algorithm algorithm) {
    ctx.algorithm = algorithm;
    std::vector<bf16> y_out(dy.size()), dx(x.size());
    std::vector<uint8_t> argmax(dy.size());
    std::vector<float> dw(p.w.size()), dbias(p.bias.size());
    conv2d_fprop<bf16>(ctx, c.s, c.e, x.data(), p.w.data(), p.bias.data(), y_out.data(),
                       argmax.data());
    conv2d_dgrad<bf16>(ctx, c.s, c.e, g, p.w.data(), dx.data());
    conv2d_wgrad<bf16>(ctx, c.s, c.e, x.data(), g, dw.data(), dbias.data());
    return std::vector<Conv2dResult>{
        {widened(y_out), argmax, {}}, {widened(dx), {}, {}}, {dw, {}, dbias}};
  };
  const auto by_tiles = run_by(Algorithm::tiles);
  CHECK(run_by(Algorithm::automatic) != by_tiles);  // emulated tiles are slow
  for (const ConvPass pass : kPasses)
    CHECK(by_tiles[static_cast<size_t>(pass)] == run(ctx, p, pass));
  ctx.algorithm = Algorithm::tiles;
  for (const ConvPass pass : kPasses) {
    CHECK(std::string(conv2d_algorithm(ctx, pass, c.s, c.e, DType::bf16).name()) == "tiles");
    CHECK(std::string(conv2d_algorithm(ctx, pass, c.s, c.e).name()) != "tiles");
  }
}

TEST_CASE("conv2d tiles: which layers they take") {
  if (!test::tested("cpu")) return;
  CpuContext ctx(1);
  const auto fit = [&](ConvPass pass, const Conv2dCase& c) {
    return tiles::covers(ctx, pass, c.s, c.e).fit;
  };
  const Conv2dCase layer = test::conv3x3(16, 16, 32, 64).pool(2).relu();
  const TilesScope scope(Tiles::none);
  for (const ConvPass pass : kPasses) {
    set_active_tiles(Tiles::none);
    CHECK(fit(pass, layer) == Coverage::impossible);
    set_active_tiles(Tiles::emulated);
    CHECK(fit(pass, layer) == Coverage::chosen);
    CHECK(fit(pass, layer.upsample(2)) == Coverage::impossible);  // with a pool
    CHECK(fit(pass, test::conv(4, 4, 4, 4, 512, 1)) == Coverage::slower);
    CHECK(fit(pass, test::conv(4, 4, 1, 1, 512, 100).pad(3)) == Coverage::slower);
  }
  const Conv2dCase few = test::conv3x3(32, 32, 16, 8).pool(2).relu();
  CHECK(fit(ConvPass::fprop, few) == Coverage::chosen);
  CHECK(fit(ConvPass::dgrad, few) == Coverage::slower);
}

// Run with each value of ASSAY_AMX (CMakeLists.txt).
TEST_CASE("isa: ASSAY_AMX chooses the tile instructions") {
  const char* value = std::getenv("ASSAY_AMX");
  const std::string forced = value != nullptr ? value : "";
  CHECK(tiles_available(Tiles::none));
  CHECK(tiles_available(Tiles::emulated));
  if (forced == "off")
    CHECK(active_tiles() == Tiles::none);
  else if (forced == "emulated")
    CHECK(active_tiles() == Tiles::emulated);
  else if (forced.empty())
    CHECK(active_tiles() == (tiles_available(Tiles::native) ? Tiles::native : Tiles::none));
  else
    CHECK_THROWS_WITH_AS(active_tiles(),
                         ("ASSAY_AMX=" + forced + " is neither off nor emulated").c_str(),
                         UsageError);
  if (!tiles_available(Tiles::native)) CHECK_THROWS_AS(set_active_tiles(Tiles::native), UsageError);
}

}  // namespace
}  // namespace assay
