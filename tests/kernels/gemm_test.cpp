// Every version of the matrix product against the float64 reference.
#include "kernels/gemm/gemm.h"

#include <functional>
#include <ostream>
#include <string>

#if ASSAY_EMULATED
#include "kernels/emulator/check.h"
#include "kernels/emulator/config.h"
#include "kernels/emulator/profile.h"
#endif
#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/cuda/algorithms.h"
#include "tests/support/every_way.h"

namespace assay {

std::ostream& operator<<(std::ostream& out, const GemmShape& s) {
  return out << s.M << " x " << s.N << " x " << s.K << (s.transpose_a ? ", A transposed" : "")
             << (s.transpose_b ? ", B transposed" : "");
}

namespace {

/// The emulator gets the small ones; the CPU and a GPU all of them.
struct Case {
  GemmShape s;
  bool emulated;
};
// Odd sizes and sizes whose rows begin at multiples of 16 bytes; several tiles; splits of k.
constexpr Case kCases[] = {
    {{1, 1, 1}, true},      {{3, 5, 7}, true},     {{68, 132, 36}, true}, {{70, 65, 33}, true},
    {{1, 72, 64}, true},    {{14, 17, 1}, true},   {{5, 3, 100}, true},   {{66, 1, 31}, true},
    {{2, 2, 0}, true},      {{16, 20, 272}, true}, {{9, 7, 301}, true},   {{32, 512, 576}, false},
    {{97, 130, 33}, false}, {{1, 200, 64}, false}, {{200, 1, 31}, false}, {{13, 32, 128}, false},
    {{100, 16, 9}, false},  {{33, 3, 96}, false},  {{9, 1, 512}, false},  {{20, 4, 64}, false},
    {{98, 1100, 3}, false}, {{1, 131, 0}, false},  {{3, 130, 8}, false},
};

/// gemm<float>, or one of the versions behind it.
using Product = std::function<void(Context&, const GemmShape&, const GemmEpilogue&, const float* a,
                                   Weights<float> b, const float* bias, float* c)>;

/// Runs one product and compares it with the reference. The bound, in units of eps, is K + 4 for
/// the roundings of the sum and `operands` for those of the operands of a product.
void check(Context& ctx, const GemmShape& s, const GemmEpilogue& e, bool with_bias,
           double operands = 0, const Product& product = gemm<float>) {
  CAPTURE(s);
  const auto a = test::random_floats(int64_t{s.M} * s.K),
             b = test::random_floats(int64_t{s.K} * s.N);
  const auto bias = test::random_floats(s.N), start = test::random_floats(int64_t{s.M} * s.N);
  const test::Array c(ctx, e.accumulate ? start : test::poisoned(int64_t{s.M} * s.N));
  const test::Array b_there(ctx, b), bias_there(ctx, bias);
  product(ctx, s, e, test::Array(ctx, a), b_there.get(), with_bias ? bias_there.get() : nullptr, c);
  const auto ad = test::widen(a), bd = test::widen(b), biasd = test::widen(bias);
  auto want = test::widen(start), scale = test::absolute(test::widen(start));
  CpuContext cpu(1);
  gemm<double>(cpu, s, e, ad.data(), bd.data(), with_bias ? biasd.data() : nullptr, want.data());
  const auto aa = test::absolute(ad), ba = test::absolute(bd), biasa = test::absolute(biasd);
  gemm<double>(cpu, s, {.accumulate = e.accumulate}, aa.data(), ba.data(),
               with_bias ? biasa.data() : nullptr, scale.data());
  for (double& v : scale) v += 1;
  CHECK(test::excess(c.host(), want, scale, s.K + 4.0 + operands) <= 0);
}

void check_epilogues(Context& ctx, const GemmShape& s) {
  check(ctx, s, {}, false);
  check(ctx, s, {.activation = Activation::relu}, true);
  check(ctx, s, {.activation = Activation::sigmoid}, true);
  check(ctx, s, {.activation = Activation::tanh}, false);
  check(ctx, s, {.activation = Activation::leaky_relu, .slope = 0.2f}, true);
  check(ctx, s, {.accumulate = true}, true);
}

template <class F>
void for_each_transpose(GemmShape s, const F& f) {
  for (const int transposes : {0, 1, 2, 3}) {
    s.transpose_a = transposes & 1;
    s.transpose_b = transposes & 2;
    f(s);
  }
}

TEST_CASE("gemm: every instruction set, transpose and epilogue equals the float64 reference") {
  test::for_each_isa([&] {
    CpuContext ctx(2);
    for (const GemmAlgorithm& algorithm : gemm_algorithms(Device::cpu())) {
      if (algorithm.is_bf16()) continue;  // gemm_tiles_test.cpp
      ctx.get().algorithm = algorithm.algo;
      CAPTURE(std::string(algorithm.name));
      for (const Case& c : kCases)
        for_each_transpose(c.s, [&](const GemmShape& s) { check_epilogues(ctx, s); });
    }
  });
}

/// A version, and the error by which it rounds the operands of a product, in units of eps = 2^-23.
/// TF32 rounds to 11 significant bits, an error of 2^-11 each; bf16 to 8. Three TF32 products leave
/// out low * low, 2^-22, and round the low parts, which is as little again.
struct Version {
  Algorithm algo;
  Precision precision;
  double operands;
};
std::ostream& operator<<(std::ostream& out, const Version& v) {
  return out << name_of(v.algo) << ", " << name_of(v.precision);
}
constexpr Version kVersions[] = {
    {Algorithm::naive, Precision::fp32, 0},
    {Algorithm::tiled, Precision::fp32, 0},
    {Algorithm::hoisted, Precision::fp32, 0},
    {Algorithm::pipelined, Precision::fp32, 0},
    {Algorithm::tensor_core, Precision::tf32x3, 8},
    {Algorithm::tensor_core, Precision::tf32, 8192 * 1.001},
    {Algorithm::tensor_core, Precision::bf16, 0},
    {Algorithm::hopper, Precision::tf32x3, 8},
    {Algorithm::hopper, Precision::tf32, 8192 * 1.001},
    {Algorithm::hopper, Precision::bf16, 0},
};

/// Runs a product of bf16 tensors, or that of a gradient of weights if A is transposed, and
/// compares it with the reference. The operands are bf16 numbers, whose products are exact: what is
/// left are the K + 4 roundings of an fp32 sum and its activation, and the output's to bf16, by
/// 2^-8 of the value.
void check_on_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, bool with_bias,
                   const cuda::GemmTile* tile = nullptr,
                   [[maybe_unused]] Algorithm version = Algorithm::tensor_core) {
  CAPTURE(s);
  const auto random = [](int64_t n) {
    std::vector<bf16> v;
    for (const float f : test::random_floats(n)) v.emplace_back(f);
    return v;
  };
  const auto wide = [](const std::vector<bf16>& v) {
    std::vector<float> out;
    for (const bf16 f : v) out.push_back(static_cast<float>(f));
    return out;
  };
  const int64_t results = int64_t{s.M} * s.N;
  const auto a = random(int64_t{s.M} * s.K), b = random(int64_t{s.K} * s.N);
  const auto bias = test::random_floats(s.N);
  const test::Array a_there(ctx, a);
  std::vector<float> got;
  if (s.transpose_a) {
    const test::Array b_there(ctx, b);
    const test::Array<float> c(ctx, results);
    if (tile == nullptr) gemm_wgrad<bf16>(ctx, s, a_there, b_there, c);
#if ASSAY_HAVE_CUDA
    if (tile != nullptr) cuda::gemm_bf16_wgrad(ctx, s, a_there, b_there, c, *tile);
#endif
    got = c.host();
  } else {
    const test::Array b_there(ctx, wide(b)), bias_there(ctx, bias);
    const test::Array c(ctx, std::vector<bf16>(static_cast<size_t>(results), bf16(NAN)));
    const float* added = with_bias ? bias_there.get() : nullptr;
    if (tile == nullptr) gemm<bf16>(ctx, s, e, a_there, b_there.get(), added, c);
#if ASSAY_HAVE_CUDA
    const auto with_tile = version == Algorithm::hopper ? cuda::gemm_hopper_bf16 : cuda::gemm_bf16;
    if (tile != nullptr) with_tile(ctx, s, e, a_there, b_there, added, c, *tile);
#endif
    got = wide(c.host());
  }
  with_bias = with_bias && !s.transpose_a;
  const auto ad = test::widen(wide(a)), bd = test::widen(wide(b)), biasd = test::widen(bias);
  const auto aa = test::absolute(ad), ba = test::absolute(bd), biasa = test::absolute(biasd);
  std::vector<double> want(static_cast<size_t>(results)), scale = want;
  CpuContext cpu(1);
  gemm<double>(cpu, s, s.transpose_a ? GemmEpilogue() : e, ad.data(), bd.data(),
               with_bias ? biasd.data() : nullptr, want.data());
  gemm<double>(cpu, s, {}, aa.data(), ba.data(), with_bias ? biasa.data() : nullptr, scale.data());
  const double factor = s.K + 4.0;
  for (size_t i = 0; i < scale.size(); ++i) {
    scale[i] += 1;
    if (s.transpose_a) continue;
    const double rounding = std::abs(want[i]) / (factor * std::numeric_limits<float>::epsilon());
    scale[i] += std::exp2(-8) * (scale[i] + rounding);
  }
  CHECK(test::excess(got, want, scale, factor) <= 0);
}

TEST_CASE("gemm: every version on the CUDA device equals the float64 reference") {
  test::for_each_cuda_run([](Context& ctx) {
    for (const Version& version : kVersions) {
      CAPTURE(version);
      ctx.algorithm = version.algo;
      ctx.precision = version.precision;
      for (const Case& c : kCases) {
#if ASSAY_EMULATED
        if (!c.emulated) continue;
#endif
        for_each_transpose(c.s, [&](const GemmShape& s) {
          if (version.precision != Precision::bf16)
            check(ctx, s, {}, true, version.operands);
          else if (!s.transpose_a || !s.transpose_b)
            check_on_bf16(ctx, s, {.activation = Activation::tanh}, true);
        });
      }
    }
    ctx.algorithm = Algorithm::automatic;
    ctx.precision = Precision::fp32;
    for (const GemmShape& s : {GemmShape{5, 9, 3}, GemmShape{16, 20, 272}}) check_epilogues(ctx, s);
  });
}

// The CNN's first dense layer at its own size: forward, backward and for the weights, as
// operations on (N, out) x (in).
TEST_CASE("gemm: the CNN's dense layer with every version on the CUDA device") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  for (const Version& version : kVersions) {
    CAPTURE(version);
    ctx.algorithm = version.algo;
    ctx.precision = version.precision;
    const auto run = [&](const GemmShape& s, const GemmEpilogue& e, bool with_bias) {
      if (version.precision != Precision::bf16)
        return check(ctx, s, e, with_bias, version.operands);
      if (version.algo == Algorithm::hopper && !test::sm90a_tested()) return;
      REQUIRE(gemm_bf16_algorithm(ctx, s) != nullptr);
      check_on_bf16(ctx, s, e, with_bias);
    };
    run({.M = 32, .N = 512, .K = 576, .transpose_b = true}, {.activation = Activation::relu}, true);
    run({.M = 32, .N = 576, .K = 512}, {}, false);
    if (version.algo != Algorithm::hopper || version.precision != Precision::bf16)
      run({.M = 512, .N = 576, .K = 32, .transpose_a = true}, {}, false);
  }
}

#if ASSAY_HAVE_CUDA
constexpr cuda::GemmTile kTiles[] = {{64, 64}, {128, 64}, {128, 128}};

/// The version with a tile of our choice, at any shape.
Product with_tile(Algorithm version, cuda::GemmTile tile) {
  return [=](Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
             Weights<float> b, const float* bias, float* c) {
    const auto run = version == Algorithm::tiled       ? cuda::gemm_tiled
                     : version == Algorithm::hoisted   ? cuda::gemm_hoisted
                     : version == Algorithm::pipelined ? cuda::gemm_pipelined
                     : version == Algorithm::hopper    ? cuda::gemm_hopper
                                                       : cuda::gemm_tensor_core;
    run(ctx, {s, e, a, b.data, bias, c}, tile);
  };
}

/// A full tile and a bit, less than one, splits of k; rows of A and B in 8s.
void check_bf16_tile(Context& ctx, Algorithm version, cuda::GemmTile tile) {
  for (const GemmShape& s : {GemmShape{129, 136, 40}, GemmShape{130, 65, 24, false, true},
                             GemmShape{67, 8, 272}, GemmShape{67, 3, 272, false, true},
                             GemmShape{136, 152, 37, true}, GemmShape{8, 72, 272, true}}) {
    if (version == Algorithm::hopper && !cuda::gemm_hopper_bf16_covers(ctx, s).is_possible())
      continue;
    check_on_bf16(ctx, s, {}, true, &tile, version);
  }
}

TEST_CASE("gemm: every tile of every version on the CUDA device equals the float64 reference") {
  test::for_each_cuda_run([](Context& ctx) {
    for (const Version& version : kVersions) {
      if (version.algo == Algorithm::naive) continue;
      for (const cuda::GemmTile tile : kTiles) {
        CAPTURE(version);
        CAPTURE(tile.M);
        CAPTURE(tile.N);
        ctx.precision = version.precision;
        if (version.precision == Precision::bf16) {
          check_bf16_tile(ctx, version.algo, tile);
          continue;
        }
        const Product product = with_tile(version.algo, tile);
        // A full tile and a bit, less than one, splits of k.
        for (const GemmShape& shape :
             {GemmShape{129, 132, 36}, GemmShape{130, 65, 21}, GemmShape{67, 3, 272}})
          for_each_transpose(shape, [&](const GemmShape& s) {
            if (version.algo == Algorithm::hopper &&
                !cuda::gemm_hopper_covers(ctx, s).is_possible())
              return;
            check(ctx, s, {}, true, version.operands, product);
          });
      }
    }
  });
}

TEST_CASE("gemm on sm_90: a block of the hopper version takes several tiles, also cut off") {
  test::for_each_cuda_run([](Context& ctx) {
    ctx.algorithm = Algorithm::hopper;
    for (const auto& [precision, operands] :
         {std::pair(Precision::tf32, 8192 * 1.001), std::pair(Precision::tf32x3, 8.0)}) {
      ctx.precision = precision;
      const GemmShape s{.M = 128 * 134 - 3, .N = 6, .K = 36, .transpose_b = true};  // 132 blocks
      check(ctx, s, {.activation = Activation::relu}, true, operands);
    }
    ctx.precision = Precision::bf16;
    for (const int N : {6, 7})  // in pairs and one by one
      check_on_bf16(ctx, {.M = 128 * 134 - 3, .N = N, .K = 72, .transpose_b = true},
                    {.activation = Activation::relu}, true);
  });
}

TEST_CASE("gemm on sm_90: every epilogue of the hopper version") {
  test::for_each_cuda_run([](Context& ctx) {
    ctx.algorithm = Algorithm::hopper;
    ctx.precision = Precision::tf32x3;
    for (const int N : {64, 37}) {
      const GemmShape s{.M = 96, .N = N, .K = 200, .transpose_b = true};
      for (const Activation a : {Activation::none, Activation::tanh})
        check(ctx, s, {.activation = a}, true, 8);
      check(ctx, s, {.accumulate = true}, false, 8);
    }
  });
}

TEST_CASE("gemm on sm_90: automatic takes the hopper version for large products in tf32") {
  if (!test::sm90a_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  const GemmShape large{.M = 4096, .N = 4096, .K = 4096};
  const auto algo = [&](const GemmShape& s) { return gemm_algorithm(ctx, s).algo; };
  CHECK(algo(large) == Algorithm::pipelined);  // fp32
  ctx.precision = Precision::tf32x3;
  CHECK(algo(large) == Algorithm::hopper);
  CHECK(algo({.M = 4096, .N = 4096, .K = 4094}) == Algorithm::tensor_core);
  CHECK(algo({.M = 4096, .N = 4096, .K = 4096, .transpose_a = true}) == Algorithm::tensor_core);
  const GemmShape small{.M = 256, .N = 256, .K = 4096};
  CHECK(algo(small) == Algorithm::tensor_core);
  ctx.algorithm = Algorithm::hopper;
  CHECK(algo(small) == Algorithm::hopper);
  CHECK(algo({.M = 256, .N = 256, .K = 4095}) == Algorithm::tensor_core);
  ctx.algorithm = Algorithm::automatic;
  const auto on_bf16 = [&](const GemmShape& s) {
    return std::string(gemm_bf16_algorithm(ctx, s)->name);
  };
  CHECK(on_bf16(large) == "hopper_bf16");
  CHECK(on_bf16(small) == "tensor_core_bf16");
  CHECK(on_bf16({.M = 4096, .N = 4096, .K = 4096, .transpose_a = true}) == "tensor_core_bf16");
}

TEST_CASE("gemm: the tile is chosen by the shape, and so are the parts of k") {
  const auto chosen = [](int M, int N, int K = 64) {
    const cuda::GemmTile tile = cuda::gemm_tile({M, N, K});
    return std::pair(tile.M, tile.N);
  };
  CHECK(chosen(4096, 4096) == std::pair(128, 128));
  CHECK(chosen(128 * 12, 128 * 11) == std::pair(128, 128));  // 132 blocks
  CHECK(chosen(128 * 12, 128 * 10) == std::pair(128, 64));
  CHECK(chosen(128 * 132, 64) == std::pair(128, 64));  // half of a wider tile would be padding
  CHECK(chosen(512, 512) == std::pair(64, 64));
  CHECK(chosen(32, 100000) == std::pair(64, 64));
  for (const cuda::GemmTile tile : kTiles) {
    CHECK(cuda::gemm_splits({4096, 4096, 4096}, tile) == 1);
    CHECK(cuda::gemm_splits({32, 512, 0}, tile) == 1);
    CHECK(cuda::gemm_splits({1, 1, 100000}, tile) == 32);
  }
  CHECK(cuda::gemm_splits({32, 512, 576}, {64, 64}) == 4);  // no part is shorter than 128
}

#if ASSAY_EMULATED
TEST_CASE("gemm on CUDA: no bank conflicts") {
  if (!emulator::instrumented() || !test::cuda_tested()) return;
  const emulator::Config before = emulator::config();
  emulator::config().profile = true;
  emulator::clear_profile();
  const auto ctx = make_context(Device::cuda(), 1);
  for (const Version& version : kVersions)
    for (const cuda::GemmTile tile : kTiles) {
      if (version.algo == Algorithm::naive) continue;
      ctx->get().precision = version.precision;
      if (version.precision == Precision::bf16) {
        check_bf16_tile(*ctx, version.algo, tile);
        continue;
      }
      for (const GemmShape& shape : {GemmShape{128, 128, 32}, GemmShape{65, 67, 17}})
        for_each_transpose(shape, [&](const GemmShape& s) {
          if (version.algo == Algorithm::hopper && !cuda::gemm_hopper_covers(*ctx, s).is_possible())
            return;
          check(*ctx, s, {}, true, version.operands, with_tile(version.algo, tile));
        });
    }
  emulator::config() = before;
  int lines = 0;
  for (const emulator::LineProfile& line : emulator::profile()) {
    const std::string file = line.line.substr(0, line.line.find(':'));
    if (line.global ||
        (file != "tiled.cu" && file != "block_product.cuh" && file != "fma_tile.cuh" &&
         file != "mma_tile.cuh" && file != "wgmma_pipeline.cuh"))
      continue;
    ++lines;
    CAPTURE(line.line);
    CHECK(line.cost == line.ideal);
  }
  CHECK(lines >= 6);
}
#endif
#endif

TEST_CASE("gemm: neither the number of threads nor their order changes a bit") {
  const GemmShape s{150, 300, 70};
  const auto a = test::random_floats(150 * 70), b = test::random_floats(70 * 300);
  test::every_way(
      [&](Context& ctx) {
        const test::Array<float> c(ctx, 150 * 300);
        const test::Array b_there(ctx, b);
        gemm<float>(ctx, s, {}, test::Array(ctx, a), b_there.get(), nullptr, c);
        return c.host();
      },
      [](const std::vector<float>&) {});
}

}  // namespace
}  // namespace assay
