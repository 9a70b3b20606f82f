// Every CPU version of the matrix product against the float64 reference.
#include "kernels/gemm/gemm.h"

#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

const GemmShape kShapes[] = {{1, 1, 1},     {3, 5, 7},    {32, 512, 576}, {97, 130, 33},
                             {1, 200, 64},  {14, 17, 1},  {5, 3, 100},    {200, 1, 31},
                             {13, 32, 128}, {100, 16, 9}, {2, 2, 0}};

TEST_CASE("gemm: every instruction set, transpose and epilogue equals the float64 reference") {
  CpuContext ctx(2);
  const auto check = [&](GemmShape s, const GemmEpilogue& e, bool with_bias) {
    CAPTURE(s.M);
    CAPTURE(s.N);
    CAPTURE(s.K);
    CAPTURE(s.transpose_a);
    CAPTURE(s.transpose_b);
    const auto a = test::random_floats(int64_t{s.M} * s.K),
               b = test::random_floats(int64_t{s.K} * s.N);
    const auto bias = test::random_floats(s.N), start = test::random_floats(int64_t{s.M} * s.N);
    auto c = e.accumulate ? start : test::poisoned(int64_t{s.M} * s.N);
    gemm<float>(ctx, s, e, a.data(), b.data(), with_bias ? bias.data() : nullptr, c.data());
    const auto ad = test::widen(a), bd = test::widen(b), biasd = test::widen(bias);
    auto want = test::widen(start), scale = test::absolute(test::widen(start));
    gemm<double>(ctx, s, e, ad.data(), bd.data(), with_bias ? biasd.data() : nullptr, want.data());
    const auto aa = test::absolute(ad), ba = test::absolute(bd), biasa = test::absolute(biasd);
    gemm<double>(ctx, s, {.accumulate = e.accumulate}, aa.data(), ba.data(),
                 with_bias ? biasa.data() : nullptr, scale.data());
    for (double& v : scale) v += 1;
    CHECK(test::excess(c, want, scale, s.K + 4.0) <= 0);
  };
  test::for_each_isa([&] {
    for (GemmShape s : kShapes)
      for (const int transposes : {0, 1, 2, 3}) {
        s.transpose_a = transposes & 1;
        s.transpose_b = transposes & 2;
        check(s, {}, false);
        check(s, {.activation = Activation::relu}, true);
        check(s, {.activation = Activation::sigmoid}, true);
        check(s, {.activation = Activation::tanh}, false);
        check(s, {.activation = Activation::leaky_relu, .slope = 0.2f}, true);
        check(s, {.accumulate = true}, true);
      }
  });
}

TEST_CASE("gemm: the number of threads changes no bit") {
  const GemmShape s{150, 300, 70};
  const auto a = test::random_floats(150 * 70), b = test::random_floats(70 * 300);
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    CpuContext ctx(threads);
    auto c = test::poisoned(150 * 300);
    gemm<float>(ctx, s, {}, a.data(), b.data(), nullptr, c.data());
    if (first.empty()) first = c;
    CHECK(c == first);
  }
}

}  // namespace
}  // namespace assay
