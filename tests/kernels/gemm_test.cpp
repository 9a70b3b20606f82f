// Every version of the matrix product against the float64 reference.
#include "kernels/gemm/gemm.h"

#include "tests/kernels/every_way.h"

namespace assay {
namespace {

const GemmShape kShapes[] = {{1, 1, 1},     {3, 5, 7},    {32, 512, 576}, {97, 130, 33},
                             {1, 200, 64},  {14, 17, 1},  {5, 3, 100},    {200, 1, 31},
                             {13, 32, 128}, {100, 16, 9}, {2, 2, 0}};

TEST_CASE("gemm: every instruction set, transpose and epilogue equals the float64 reference") {
  const auto check = [&](Context& ctx, const GemmShape& s, const GemmEpilogue& e, bool with_bias) {
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
    gemm<float>(ctx, s, e, test::Array(ctx, a), b_there.get(),
                with_bias ? bias_there.get() : nullptr, c);
    const auto ad = test::widen(a), bd = test::widen(b), biasd = test::widen(bias);
    auto want = test::widen(start), scale = test::absolute(test::widen(start));
    CpuContext cpu(1);
    gemm<double>(cpu, s, e, ad.data(), bd.data(), with_bias ? biasd.data() : nullptr, want.data());
    const auto aa = test::absolute(ad), ba = test::absolute(bd), biasa = test::absolute(biasd);
    gemm<double>(cpu, s, {.accumulate = e.accumulate}, aa.data(), ba.data(),
                 with_bias ? biasa.data() : nullptr, scale.data());
    for (double& v : scale) v += 1;
    CHECK(test::excess(c.host(), want, scale, s.K + 4.0) <= 0);
  };
  const auto check_all = [&](Context& ctx) {
    for (GemmShape s : kShapes)
      for (const int transposes : {0, 1, 2, 3}) {
        s.transpose_a = transposes & 1;
        s.transpose_b = transposes & 2;
        check(ctx, s, {}, false);
        // The emulator takes its time; an epilogue does not care how deep the sum is.
        if (ctx.device.is_cuda() && gemm_flops(s) > 1'000'000) continue;
        check(ctx, s, {.activation = Activation::relu}, true);
        check(ctx, s, {.activation = Activation::sigmoid}, true);
        check(ctx, s, {.activation = Activation::tanh}, false);
        check(ctx, s, {.activation = Activation::leaky_relu, .slope = 0.2f}, true);
        check(ctx, s, {.accumulate = true}, true);
      }
  };
  test::for_each_isa([&] {
    CpuContext ctx(2);
    check_all(ctx);
  });
  test::for_each_cuda_run(check_all);
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
