// Losses and their gradients against the float64 reference.
#include "kernels/loss/loss.h"

#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

constexpr int64_t kSizes[] = {1, 3, 17, 513, 40003};

TEST_CASE("mse_loss: value and gradient") {
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    const auto x = test::random_floats(n), t = test::random_floats(n);
    CpuContext ctx(1);
    std::vector<double> want(n + 1);
    mse_loss<double>(ctx, n, test::widen(x).data(), test::widen(t).data(), &want[n], want.data());
    // A gradient: two roundings of 2 (x - t) / n and one of 2 / n. The loss: sums of non-negative
    // numbers, at most 130 of them in a row in float.
    auto scale = test::absolute(want);
    scale[n] *= 50;
    test::every_way(
        [&](Context& c) {
          const test::Array<float> out(c, n + 1);  // the gradient, then the loss
          mse_loss<float>(c, n, test::Array(c, x), test::Array(c, t), out + n, out);
          const test::Array<float> alone(c, 1);
          mse_loss<float>(c, n, test::Array(c, x), test::Array(c, t), alone, nullptr);
          CHECK(alone.host()[0] == out.host()[n]);
          return out.host();
        },
        test::near(want, scale, 3));
  }
}

TEST_CASE("mse_rows: each row by itself") {
  const int64_t rows = 13, C = 1025;
  const auto x = test::random_floats(rows * C), t = test::random_floats(rows * C);
  CpuContext ctx(1);
  std::vector<double> want(rows);
  mse_rows<double>(ctx, rows, C, test::widen(x).data(), test::widen(t).data(), want.data());
  test::every_way(
      [&](Context& c) {
        const test::Array<float> out(c, rows);
        mse_rows<float>(c, rows, C, test::Array(c, x), test::Array(c, t), out);
        return out.host();
      },
      test::near(want, want, 150));
}

TEST_CASE("bce_with_logits_loss: value and gradient, small and large logits") {
  for (const int64_t n : kSizes)
    for (const float reach : {0.01f, 5.0f, 90.0f}) {
      CAPTURE(n);
      CAPTURE(reach);
      auto x = test::random_floats(n), t = test::random_floats(n);
      for (float& v : x) v *= reach;
      for (float& v : t) v = v > 0.5f ? 1 : v < -0.5f ? 0 : std::abs(v);
      const float weight = 2.5f;
      CpuContext ctx(1);
      std::vector<double> want(n + 1), scale(n + 1);
      bce_with_logits_loss<double>(ctx, n, weight, test::widen(x).data(), test::widen(t).data(),
                                   &want[n], want.data());
      for (int64_t i = 0; i < n; ++i) scale[i] = (1 + weight) / static_cast<double>(n);
      scale[n] = 20 * (1 + weight) * (1 + reach);
      test::every_way(
          [&](Context& c) {
            const test::Array<float> out(c, n + 1);  // the gradient, then the loss
            bce_with_logits_loss<float>(c, n, weight, test::Array(c, x), test::Array(c, t), out + n,
                                        out);
            return out.host();
          },
          test::near(want, scale, 8));
    }
}

TEST_CASE("bce_with_logits_loss: confident and right costs exp(-x), not 0") {
  const std::vector<float> x = {30}, t = {1};
  test::every_way(
      [&](Context& c) {
        const test::Array<float> out(c, 2);
        bce_with_logits_loss<float>(c, 1, 1.0f, test::Array(c, x), test::Array(c, t), out, out + 1);
        return out.host();
      },
      [](const std::vector<float>& got) {
        CHECK(got[0] == doctest::Approx(9.3576e-14).epsilon(1e-4));
        CHECK(got[1] == doctest::Approx(-9.3576e-14).epsilon(1e-4));
      });
}

TEST_CASE("losses refuse nothing") {
  CpuContext ctx(1);
  float loss = 0;
  CHECK_THROWS_AS(mse_loss<float>(ctx, 0, nullptr, nullptr, &loss, nullptr), Error);
}

}  // namespace
}  // namespace assay
