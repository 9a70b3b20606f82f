// Properties of the CUDA versions of the convolution: large tiles, coverage, alignment, bank
// conflicts. conv2d_test.cpp tests their results.
#include <cmath>
#include <string>

#if ASSAY_EMULATED
#include "kernels/emulator/check.h"
#include "kernels/emulator/config.h"
#include "kernels/emulator/profile.h"
#endif
#include "kernels/pointwise/pointwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/runtime/cuda/step_packs.h"
#include "tests/kernels/conv2d_problem.h"

namespace assay {
namespace {

using test::Array;
using test::conv;
using test::conv1x1;
using test::Conv2dCase;
using test::Conv2dProblem;
using test::Conv2dWay;
using test::conv3x3;
using test::conv4x4s2;
using test::kPasses;

/// Runs a pass with `lowest` and each higher version up to tensor_core and checks its error bound.
void check_from(Algorithm lowest, Context& ctx, const Conv2dProblem& p, ConvPass pass) {
  CAPTURE(p.c);
  CAPTURE(test::to_string(pass));
  const Conv2dProblem narrow(p.c, true);  // for bf16 tensors
  for (const Conv2dWay& way : test::conv2d_ways(Device::cuda())) {
    if (way.row == nullptr || way.row->algo < lowest || way.row->algo == Algorithm::direct ||
        way.row->algo == Algorithm::hopper)  // has its own tests below
      continue;
    CAPTURE(way);
    if (way.on_bf16() && !way.covers(ctx, pass, p.c)) continue;  // channels in 8s
    REQUIRE(way.covers(ctx, pass, p.c));
    const Conv2dProblem& problem = way.on_bf16() ? narrow : p;
    check_bound(problem, pass, way.precision, run(ctx, problem, pass, way));
  }
}

// At least 132 tiles of 128 pixels (of all phases) x 64 channels, more than 32 of them; of bf16
// also x 128 channels, more than 64 of them.
TEST_CASE("conv2d on CUDA: the pipeline's large tiles, which need many pixels") {
  if (!test::cuda_tested()) return;
  const auto ctx = make_context(Device::cuda(), 1);
  for (const Conv2dCase& c :
       {conv1x1(130, 132, 4, 36).relu(), conv3x3(130, 132, 4, 36).pool(2).relu(),
        conv3x3(65, 66, 4, 36).upsample(2).leaky(0.2f)})
    check_from(Algorithm::pipelined, *ctx, Conv2dProblem(c), ConvPass::fprop);
  for (const Conv2dCase& c : {conv1x1(130, 132, 36, 4).pool(2).relu(), conv1x1(130, 132, 36, 4),
                              conv3x3(130, 132, 36, 4).pool(2).relu(), conv4x4s2(132, 132, 36, 4)})
    check_from(Algorithm::pipelined, *ctx, Conv2dProblem(c), ConvPass::dgrad);
  const auto check_on_bf16 = [&](const Conv2dCase& c, ConvPass pass) {
    CAPTURE(c);
    ctx->get().algorithm = Algorithm::tensor_core;
    REQUIRE(!conv2d_algorithm(*ctx, pass, c.s, c.e, DType::bf16).converts(DType::bf16));
    const Conv2dProblem p(c, true);
    check_bound(p, pass, Precision::bf16, test::run_on_bf16(*ctx, p, pass, {}));
  };
  check_on_bf16(conv3x3(130, 132, 8, 40).pool(2).relu(), ConvPass::fprop);
  check_on_bf16(conv1x1(130, 132, 8, 72).pool(4).leaky(0.2f), ConvPass::fprop);
  check_on_bf16(conv3x3(130, 132, 36, 8).pool(2).relu(), ConvPass::dgrad);
  check_on_bf16(conv1x1(130, 132, 36, 8).leaky(0.2f), ConvPass::dgrad);
  check_on_bf16(conv1x1(130, 132, 100, 8).tanh(), ConvPass::dgrad);
}

// More than 132 tiles, boxes of one and of several images, some over the edge of the image or of
// the batch, channels and filters over the edge of a tile.
TEST_CASE("conv2d on sm_90: the hopper version's boxes, and several tiles a block") {
  if (!test::sm90a_tested()) return;
  const auto ctx = make_context(Device::cuda(), 1);
  const auto check = [&](const Conv2dCase& c, ConvPass pass) {
    CAPTURE(c);
    CAPTURE(test::to_string(pass));
    const Conv2dProblem wide(c), narrow(c, true);
    for (const Conv2dWay& way : test::conv2d_ways(Device::cuda())) {
      if (way.row == nullptr || way.row->algo != Algorithm::hopper) continue;
      if (way.on_bf16() && (pass == ConvPass::dgrad ? c.s.K : c.s.C) % 8 != 0) continue;
      REQUIRE(way.covers(*ctx, pass, c));
      const Conv2dProblem& p = way.on_bf16() ? narrow : wide;
      check_bound(p, pass, way.precision, run(*ctx, p, pass, way));
    }
  };
  check(conv1x1(130, 132, 4, 68).relu(), ConvPass::fprop);  // tiles of 128 filters
  check(conv1x1(8, 8, 36, 132).batch(3), ConvPass::fprop);
  check(conv1x1(96, 118, 4, 36), ConvPass::fprop);                // tiles of 64 filters
  check(conv3x3(4, 4, 64, 40).batch(3).relu(), ConvPass::fprop);  // 18 stages in two parts
  check(conv4x4s2(8, 8, 40, 68).leaky(0.2f), ConvPass::dgrad);    // phases of 12 stages
  check(conv4x4s2(8, 8, 40, 72).leaky(0.2f), ConvPass::dgrad);    // of 8 stages of bf16
  check(conv3x3(4, 4, 128, 40).batch(3).relu(), ConvPass::fprop);
  check(conv1x1(130, 132, 72, 68).pool(2).relu(), ConvPass::fprop);
  check(conv1x1(96, 118, 36, 8), ConvPass::dgrad);
  check(conv1x1(130, 132, 64, 68), ConvPass::fprop);  // stages of 64 channels of bf16
  check(conv3x3(18, 22, 40, 36).pool(2).relu(), ConvPass::fprop);
  check(conv3x3(4, 4, 32, 8).batch(9).pool(4).tanh(), ConvPass::fprop);
  check(conv3x3(18, 22, 8, 68).pool(2).relu(), ConvPass::fprop);
  check(conv4x4s2(20, 36, 8, 8).leaky(0.2f), ConvPass::fprop);
  check(conv4x4s2(16, 16, 8, 40).batch(2).leaky(0.2f), ConvPass::dgrad);
  check(conv3x3(5, 6, 8, 8).upsample(2).sigmoid(), ConvPass::fprop);
  check(conv3x3(5, 6, 8, 8).upsample(2).sigmoid(), ConvPass::dgrad);
  check(conv3x3(9, 11, 8, 36).batch(2).pool(2).tanh(), ConvPass::dgrad);
  check(test::conv(1, 1, 9, 9, 8, 8).stride(2), ConvPass::dgrad);  // three phases without a tap
}

// Two blocks of tiles and of filters, three stages, tiles cut on both sides.
TEST_CASE("conv2d on CUDA: Winograd is within 10 times the error of multiply-adds in fp32") {
  if (!test::cuda_tested()) return;
  const auto ctx = make_context(Device::cuda(), 1);
  const auto way = [](Algorithm algo) {
    for (const Conv2dWay& w : test::conv2d_ways(Device::cuda()))
      if (w.row != nullptr && w.row->algo == algo && w.precision == Precision::fp32) return w;
    return Conv2dWay{};
  };
  for (const Conv2dCase& c :
       {conv3x3(22, 26, 20, 36).pool(2).leaky(0.2f),
        conv3x3(26, 22, 23, 33).batch(2).pool(4).relu(), conv3x3(25, 27, 17, 35).tanh()}) {
    CAPTURE(c);
    const Conv2dProblem p(c);
    for (const ConvPass pass : {ConvPass::fprop, ConvPass::dgrad}) {
      CAPTURE(test::to_string(pass));
      const auto errors = [&](Algorithm algo) {
        REQUIRE(way(algo).covers(*ctx, pass, c));
        const auto got = run(*ctx, p, pass, way(algo), true);
        double sum = 0;
        const auto& want = p.reference(pass).want;
        for (size_t i = 0; i < want.size(); ++i)
          sum += (got.values[i] - want[i]) * (got.values[i] - want[i]);
        if (pass == ConvPass::fprop && c.e.pool > 1) {
          const double factor = 10 * test::roundings(Precision::fp32, p.terms(pass));
          CHECK(test::maxima_chosen(p, got.argmax, factor));
        }
        return std::sqrt(sum);
      };
      CHECK(errors(Algorithm::winograd) <= 10 * errors(Algorithm::tiled));
    }
  }
}

TEST_CASE("conv2d on CUDA: a version leaves what it does not cover to the one below") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  const auto version = [&](Algorithm conv, Precision precision, ConvPass pass,
                           const Conv2dCase& c) {
    ctx.algorithm = conv;
    ctx.precision = precision;
    return conv2d_algorithm(ctx, pass, c.s, c.e).algo();
  };
  const Conv2dCase wide = conv3x3(8, 8, 32, 64).pool(2).relu();
  const Conv2dCase odd = conv3x3(8, 8, 31, 65);
  const Conv2dCase first = conv3x3(8, 8, 3, 64);
  const Conv2dCase pooled_behind_upsampling = conv3x3(8, 8, 32, 64).upsample(2).pool(2).relu();
  constexpr ConvPass kFprop = ConvPass::fprop, kDgrad = ConvPass::dgrad, kWgrad = ConvPass::wgrad;
  constexpr Precision kFp32 = Precision::fp32, kTf32 = Precision::tf32;

  if (test::sm90a_tested()) {
    CHECK(version(Algorithm::hopper, kTf32, kFprop, wide) == Algorithm::hopper);
    CHECK(version(Algorithm::hopper, Precision::tf32x3, kDgrad, conv4x4s2(8, 8, 32, 64)) ==
          Algorithm::hopper);
    const Conv2dCase large = conv3x3(64, 64, 64, 64).batch(8).pool(2).relu();
    CHECK(version(Algorithm::automatic, kTf32, kFprop, large) == Algorithm::hopper);
    CHECK(version(Algorithm::automatic, kTf32, kDgrad, large) == Algorithm::hopper);
    CHECK(version(Algorithm::automatic, kTf32, kWgrad, large) == Algorithm::tensor_core);
    CHECK(version(Algorithm::automatic, kTf32, kFprop, wide) == Algorithm::tensor_core);
    const auto chosen_on_bf16 = [&](Algorithm algorithm, ConvPass pass, const Conv2dCase& c) {
      ctx.algorithm = algorithm;
      ctx.precision = Precision::bf16;
      return std::string(conv2d_algorithm(ctx, pass, c.s, c.e, DType::bf16).name());
    };
    CHECK(chosen_on_bf16(Algorithm::hopper, kFprop, wide) == "hopper_bf16");
    CHECK(chosen_on_bf16(Algorithm::automatic, kFprop, large) == "hopper_bf16");
    CHECK(chosen_on_bf16(Algorithm::automatic, kDgrad, large) == "hopper_bf16");
    CHECK(chosen_on_bf16(Algorithm::automatic, kWgrad, large) == "tensor_core_bf16");
  }
  CHECK(version(Algorithm::hopper, kTf32, kWgrad, wide) == Algorithm::tensor_core);
  CHECK(version(Algorithm::hopper, kTf32, kFprop, odd) == Algorithm::tiled);
  CHECK(version(Algorithm::hopper, kFp32, kFprop, wide) == Algorithm::pipelined);
  CHECK(version(Algorithm::tensor_core, kTf32, kWgrad, odd) == Algorithm::tiled);
  CHECK(version(Algorithm::tensor_core, kTf32, kDgrad, first) == Algorithm::tensor_core);
  CHECK(version(Algorithm::tensor_core, kTf32, kFprop, first) == Algorithm::tiled);
  CHECK(version(Algorithm::tensor_core, kTf32, kFprop, pooled_behind_upsampling) ==
        Algorithm::naive);
  CHECK(version(Algorithm::tensor_core, kTf32, kDgrad, pooled_behind_upsampling) ==
        Algorithm::tensor_core);
  CHECK(version(Algorithm::naive, kTf32, kFprop, wide) == Algorithm::naive);
  CHECK(version(Algorithm::direct, kFp32, kFprop, wide) == Algorithm::pipelined);
  CHECK(version(Algorithm::automatic, kFp32, kFprop, wide) == Algorithm::pipelined);
  const Conv2dCase many = conv3x3(64, 64, 64, 64).batch(9).pool(2).relu();  // 72 x 2 blocks
  for (const ConvPass pass : {kFprop, kDgrad}) {
    CHECK(version(Algorithm::automatic, kFp32, pass, many) == Algorithm::winograd);
    CHECK(version(Algorithm::automatic, Precision::fp32_strict, pass, many) ==
          Algorithm::pipelined);
    CHECK(version(Algorithm::winograd, Precision::fp32_strict, pass, many) == Algorithm::pipelined);
    CHECK(version(Algorithm::winograd, kFp32, pass, odd) == Algorithm::winograd);
  }
  CHECK(version(Algorithm::winograd, kFp32, kWgrad, many) == Algorithm::pipelined);
  CHECK(version(Algorithm::winograd, kFp32, kDgrad, conv4x4s2(8, 8, 32, 64)) ==
        Algorithm::pipelined);
  CHECK(version(Algorithm::winograd, kFp32, kFprop, conv(3, 3, 8, 8, 31, 65)) == Algorithm::tiled);
  const auto on_bf16 = [&](Algorithm conv, ConvPass pass, const Conv2dCase& c) {
    ctx.algorithm = conv;
    ctx.precision = Precision::bf16;
    const Conv2dChoice choice = conv2d_algorithm(ctx, pass, c.s, c.e, DType::bf16);
    return std::string(choice.name()) + (choice.converts(DType::bf16) ? ", converts" : "");
  };
  const Conv2dCase dense = test::conv(4, 4, 4, 4, 64, 16);
  CHECK(on_bf16(Algorithm::automatic, kFprop, wide) == "tensor_core_bf16");
  CHECK(on_bf16(Algorithm::tensor_core, kDgrad, wide) == "tensor_core_bf16");
  CHECK(on_bf16(Algorithm::pipelined, kWgrad, wide) == "pipelined, converts");
  CHECK(on_bf16(Algorithm::automatic, kFprop, first) == "direct_bf16");
  CHECK(on_bf16(Algorithm::automatic, kDgrad, first) == "direct_bf16");
  CHECK(on_bf16(Algorithm::tensor_core, kDgrad, first) == "tensor_core_bf16");
  CHECK(on_bf16(Algorithm::automatic, kFprop, odd) == "tiled, converts");
  CHECK(on_bf16(Algorithm::automatic, kFprop, dense) == "tensor_core, converts");
  CHECK(on_bf16(Algorithm::tensor_core, kFprop, dense) == "tensor_core_bf16");

  int few_channels = 0;
  for (const Conv2dCase& c : test::conv2d_cases()) {
    if (c.emulated != test::Emulated::direct) continue;
    CAPTURE(c);
    ++few_channels;
    CHECK(version(Algorithm::direct, kFp32, kWgrad, c) == Algorithm::direct);
  }
  CHECK(few_channels >= 10);
}

#if ASSAY_HAVE_CUDA
TEST_CASE("conv2d on sm_90: the hopper version keeps its packed filters in a recorded step") {
  if (!test::sm90a_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  for (const Conv2dWay& way : test::conv2d_ways(Device::cuda())) {
    if (way.row == nullptr || way.row->algo != Algorithm::hopper) continue;
    CAPTURE(way);
    Context ctx = *context;
    // Phases of one and of two taps a side.
    const Conv2dProblem p(conv3x3(5, 6, 8, 8).upsample(4), way.on_bf16());
    const auto packs = cuda::new_step_packs();
    const auto run_with = [&](StepPacks* step) {
      ctx.precision = way.precision;
      ctx.step_packs = step;
      const Array<float> w(ctx, p.w);
      const auto on = [&]<class T>(const std::vector<T>& x, const auto& fprop) {
        const Array<T> there(ctx, x), y(ctx, std::vector<T>(p.dy.size(), static_cast<T>(NAN)));
        const auto call = [&] {
          fprop(ctx, p.c.s, p.c.e, there, w.get(), nullptr, y, nullptr);
          const std::vector<T> values = y.host();
          return std::vector<float>(values.begin(), values.end());
        };
        const std::vector<float> first = call();
        CHECK(call() == first);
        if (step != nullptr) {  // new filters are not seen before the step forgets
          fill<float>(ctx, static_cast<int64_t>(p.w.size()), 0.0f, w);
          CHECK(call() == first);
          step->forget();
          CHECK(call() == std::vector<float>(p.dy.size()));
        }
        return first;
      };
      return way.on_bf16() ? on(test::to_bf16(p.x), way.row->bf16_fprop) : on(p.x, way.row->fprop);
    };
    CHECK(run_with(packs.get()) == run_with(nullptr));
  }
}
#endif

TEST_CASE("conv2d on CUDA: filters may lie anywhere, images by fours at multiples of 16 bytes") {
  if (!test::cuda_tested()) return;
  const Conv2dProblem p(conv3x3(6, 6, 8, 40).relu());
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  std::vector<float> shifted(p.w.size() + 1);
  std::copy(p.w.begin(), p.w.end(), shifted.begin() + 1);
  const Array<float> x(ctx, p.x), w(ctx, p.w), w1(ctx, shifted);
  const Array<float> y(ctx, p.outputs()), y1(ctx, p.outputs());
  for (const Algorithm conv : {Algorithm::direct, Algorithm::pipelined}) {
    ctx.algorithm = conv;
    REQUIRE(conv2d_algorithm(ctx, ConvPass::fprop, p.c.s, p.c.e).algo() == conv);
    conv2d_fprop<float>(ctx, p.c.s, p.c.e, x, w.get(), nullptr, y, nullptr);
    conv2d_fprop<float>(ctx, p.c.s, p.c.e, x, w1.get() + 1, nullptr, y1, nullptr);
    CHECK(y1.host() == y.host());
    CHECK_THROWS_AS(
        conv2d_fprop<float>(ctx, p.c.s, p.c.e, x.get() + 1, w.get(), nullptr, y, nullptr), Error);
  }
}

TEST_CASE("conv2d on CUDA: gradients left as partial sums add up to the same bits") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  int left = 0;
  for (const Conv2dCase& c :
       {conv3x3(20, 20, 8, 40).relu(), conv3x3(20, 20, 8, 40).upsample(2).relu(),
        conv3x3(24, 24, 3, 8).pool(2).relu(), conv3x3(8, 8, 4, 4).upsample(4)}) {
    CAPTURE(c);
    const Conv2dProblem p(c);
    Context ctx = *context;
    const Array<float> x(ctx, p.x), dy(ctx, p.dy), y(ctx, p.y_of_backward);
    const Array<uint8_t> argmax(ctx, p.argmax);
    const Array<float> dw(ctx, static_cast<int64_t>(p.w.size())), db(ctx, c.s.K);
    const Array<float> dw2(ctx, static_cast<int64_t>(p.w.size())), db2(ctx, c.s.K);
    const Conv2dGrad<float> g{dy, y, argmax};
    conv2d_wgrad<float>(ctx, c.s, c.e, x, g, dw, db);
    UnfinishedSums sums({dw2, db2});
    ctx.unfinished = &sums;
    conv2d_wgrad<float>(ctx, c.s, c.e, x, g, dw2, db2);
    for (float* array : {dw2.get(), db2.get()})
      if (const auto sum = sums.take(array)) {
        finish_sum(ctx, *sum, array);
        ++left;
      }
    CHECK(dw2.host() == dw.host());
    CHECK(db2.host() == db.host());
  }
  CHECK(left >= 4);
}

#if ASSAY_EMULATED
TEST_CASE("conv2d on CUDA: no bank conflicts") {
  if (!emulator::instrumented() || !test::cuda_tested()) return;
  const emulator::Config before = emulator::config();
  emulator::config().profile = true;
  emulator::clear_profile();
  const Conv2dProblem problem(conv3x3(8, 8, 32, 64).pool(2).relu());
  const auto ctx = make_context(Device::cuda(), 1);
  for (const ConvPass pass : kPasses) check_from(Algorithm::tiled, *ctx, problem, pass);
  for (const Conv2dAlgorithm& row : conv2d_algorithms(Device::cuda()))
    if (row.algo == Algorithm::direct)
      run(*ctx, Conv2dProblem(conv3x3(8, 8, 3, 16).pool(2).relu()), ConvPass::wgrad,
          {&row, row.is_bf16() ? Precision::bf16 : Precision::fp32});
  emulator::config() = before;
  int lines = 0;
  for (const emulator::LineProfile& line : emulator::profile()) {
    const std::string file = line.line.substr(0, line.line.find(':'));
    const bool hot = file == "tiled.cu" || file == "fma_tile.cuh" || file == "mma_tile.cuh" ||
                     file == "pipeline.cuh" || file == "pipeline_wgrad.cuh" ||
                     file == "sources.cuh" || file == "epilogue.cuh" ||
                     file == "few_channels_wgrad.cu";
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
