// Every version of the matrix product against the float64 reference.
#include "kernels/gemm/gemm.h"

#include "tests/kernels/every_way.h"

namespace assay {
namespace {

const GemmShape kShapes[] = {{1, 1, 1},     {3, 5, 7},    {32, 512, 576}, {97, 130, 33},
                             {1, 200, 64},  {14, 17, 1},  {5, 3, 100},    {200, 1, 31},
                             {13, 32, 128}, {100, 16, 9}, {2, 2, 0}};

/// Runs one product and holds it to the reference: (K + 4) roundings of the sum, and `operands`
/// more for how the operands of a product are rounded, in units of eps.
void check(Context& ctx, const GemmShape& s, const GemmEpilogue& e, bool with_bias,
           double operands = 0) {
  CAPTURE(s.M);
  CAPTURE(s.N);
  CAPTURE(s.K);
  CAPTURE(s.transpose_a);
  CAPTURE(s.transpose_b);
  const auto a = test::random_floats(int64_t{s.M} * s.K),
             b = test::random_floats(int64_t{s.K} * s.N);
  const auto bias = test::random_floats(s.N), start = test::random_floats(int64_t{s.M} * s.N);
  const test::Array c(ctx, e.accumulate ? start : test::poisoned(int64_t{s.M} * s.N));
  const test::Array b_there(ctx, b), bias_there(ctx, bias);
  gemm<float>(ctx, s, e, test::Array(ctx, a), b_there.get(), with_bias ? bias_there.get() : nullptr,
              c);
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
    for (const GemmShape& shape : kShapes)
      for_each_transpose(shape, [&](const GemmShape& s) { check_epilogues(ctx, s); });
  });
}

/// A rung, and what it does to the operands of a product, in units of eps = 2^-23: TF32 rounds to
/// 11 significant bits, 2^-11 each; bf16 to 8; three TF32 products leave out low * low, 2^-22, and
/// round the low parts, as little again.
struct Rung {
  ConvAlgo algo;
  Precision precision;
  double operands;
};
constexpr Rung kRungs[] = {
    {ConvAlgo::naive, Precision::fp32, 0},
    {ConvAlgo::tiled, Precision::fp32, 0},
    {ConvAlgo::pipelined, Precision::fp32, 0},
    {ConvAlgo::tensor_core, Precision::tf32x3, 8},
    {ConvAlgo::tensor_core, Precision::tf32, 8192 * 1.001},
    {ConvAlgo::tensor_core, Precision::bf16, 65536 * 1.01},
};

// Odd sizes and sizes whose rows begin at multiples of 16 bytes; several tiles; splits of k.
constexpr GemmShape kCudaShapes[] = {{1, 1, 1},   {3, 5, 7},     {68, 132, 36}, {70, 65, 33},
                                     {1, 72, 64}, {14, 17, 1},   {5, 3, 100},   {66, 1, 31},
                                     {2, 2, 0},   {16, 20, 272}, {9, 7, 301}};

TEST_CASE("gemm: every rung on the CUDA device equals the float64 reference") {
  test::for_each_cuda_run([](Context& ctx) {
    for (const Rung& rung : kRungs) {
      CAPTURE(rung.operands);
      CAPTURE(static_cast<int>(rung.algo));
      ctx.conv = rung.algo;
      ctx.precision = rung.precision;
      for (const GemmShape& shape : kCudaShapes)
        for_each_transpose(shape,
                           [&](const GemmShape& s) { check(ctx, s, {}, true, rung.operands); });
    }
    ctx.conv = ConvAlgo::automatic;
    ctx.precision = Precision::fp32;
    for (const GemmShape& s : {GemmShape{5, 9, 3}, GemmShape{16, 20, 272}}) check_epilogues(ctx, s);
  });
}

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
