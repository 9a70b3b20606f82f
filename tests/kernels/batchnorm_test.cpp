// Batch normalisation against the float64 reference.
#include "kernels/batchnorm/batchnorm.h"

#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

struct Case {
  int64_t rows;
  int C;
  Activation activation;
};
constexpr Case kCases[] = {
    {2, 1, Activation::none},           {3, 3, Activation::relu},
    {63, 17, Activation::leaky_relu},   {65, 16, Activation::tanh},
    {130, 33, Activation::sigmoid},     {4096, 5, Activation::relu},
    {5000, 64, Activation::leaky_relu}, {17, 1000, Activation::none},
};

template <class T>
struct Outputs {
  std::vector<T> y, mean, rstd, running_mean, running_var;
};

template <class T>
struct Inputs {
  std::vector<T> x, gamma, beta, running_mean, running_var, dy;
};

Inputs<float> random_inputs(const BatchNormShape& s, float offset) {
  Inputs<float> in{test::random_floats(s.rows * s.C), test::random_floats(s.C),
                   test::random_floats(s.C),          test::random_floats(s.C),
                   test::random_floats(s.C),          test::random_floats(s.rows * s.C)};
  for (float& v : in.x) v += offset;
  for (float& v : in.running_var) v = 0.5f + std::abs(v);
  return in;
}
Inputs<double> widen(const Inputs<float>& in) {
  return {test::widen(in.x),           test::widen(in.gamma),
          test::widen(in.beta),        test::widen(in.running_mean),
          test::widen(in.running_var), test::widen(in.dy)};
}

template <class T>
Outputs<T> train(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                 const Inputs<T>& in) {
  const test::Array<T> y(ctx, s.rows * s.C), mean(ctx, s.C), rstd(ctx, s.C);
  const test::Array running_mean(ctx, in.running_mean), running_var(ctx, in.running_var);
  batchnorm_training<T>(ctx, s, o,
                        {test::Array(ctx, in.x), test::Array(ctx, in.gamma),
                         test::Array(ctx, in.beta), y, mean, rstd, running_mean, running_var});
  return {y.host(), mean.host(), rstd.host(), running_mean.host(), running_var.host()};
}

template <class T>
std::vector<T> joined(std::initializer_list<const std::vector<T>*> parts) {
  std::vector<T> all;
  for (const auto* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}
template <class T>
std::vector<T> joined(const Outputs<T>& out) {
  return joined<T>({&out.y, &out.mean, &out.rstd, &out.running_mean, &out.running_var});
}

TEST_CASE("batchnorm: training equals the float64 reference") {
  for (const Case& c : kCases)
    for (const float offset : {0.0f, 1000.0f}) {
      const BatchNormShape s{c.rows, c.C};
      const BatchNormOptions o{.activation = c.activation, .slope = 0.2f};
      CAPTURE(c.rows);
      CAPTURE(c.C);
      CAPTURE(offset);
      const auto in = random_inputs(s, offset);
      CpuContext ctx(1);
      const auto want = train<double>(ctx, s, o, widen(in));
      // xhat's error: that of the mean (one rounding of a number as large as the offset) and of
      // the variance, times rstd; rstd has its own relative part.
      Outputs<double> scale = want;
      for (int64_t i = 0; i < s.rows; ++i)
        for (int k = 0; k < s.C; ++k) scale.y[i * s.C + k] = 4 + (1 + offset) * want.rstd[k];
      for (int k = 0; k < s.C; ++k) {
        scale.mean[k] = 1 + offset;
        // Deviations from a rough mean, which is corrected in double: the offset adds no error.
        scale.rstd[k] = 20 * want.rstd[k];
        scale.running_mean[k] = 1 + offset;
        scale.running_var[k] = 40;
      }
      test::every_way([&](Context& x) { return joined(train<float>(x, s, o, in)); },
                      [&](const std::vector<float>& got) {
                        CHECK(test::excess(got, joined(want), joined(scale), 4) <= 0);
                      });
    }
}

TEST_CASE("batchnorm: inference equals the float64 reference") {
  for (const Case& c : kCases) {
    const BatchNormShape s{c.rows, c.C};
    const BatchNormOptions o{.activation = c.activation, .slope = 0.2f};
    CAPTURE(c.rows);
    CAPTURE(c.C);
    const auto in = random_inputs(s, 0);
    const auto wide = widen(in);
    CpuContext ctx(1);
    std::vector<double> want(s.rows * s.C);
    batchnorm_inference<double>(ctx, s, o,
                                {wide.x.data(), wide.gamma.data(), wide.beta.data(),
                                 wide.running_mean.data(), wide.running_var.data(), want.data()});
    const std::vector<double> scale(s.rows * s.C, 4.0);  // |gamma (x - mean) rstd| < 3, |beta| < 1
    test::every_way(
        [&](Context& x) {
          const test::Array<float> y(x, s.rows * s.C);
          batchnorm_inference<float>(
              x, s, o,
              {test::Array(x, in.x), test::Array(x, in.gamma), test::Array(x, in.beta),
               test::Array(x, in.running_mean), test::Array(x, in.running_var), y});
          return y.host();
        },
        test::near(want, scale, 4));
  }
}

template <class T>
std::vector<T> backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const Inputs<T>& in, const std::vector<T>& y, const std::vector<T>& mean,
                        const std::vector<T>& rstd) {
  const int64_t n = s.rows * s.C;
  const test::Array<T> out(ctx, n + 2 * s.C);  // dx, dgamma, dbeta
  const test::Array kept(ctx, y);
  batchnorm_backward<T>(
      ctx, s, o,
      {test::Array(ctx, in.x), o.activation == Activation::none ? nullptr : kept.get(),
       test::Array(ctx, in.dy), test::Array(ctx, in.gamma), test::Array(ctx, mean),
       test::Array(ctx, rstd), out, out + n, out + n + s.C});
  return out.host();
}

TEST_CASE("batchnorm: gradients equal the float64 reference") {
  for (const Case& c : kCases) {
    const BatchNormShape s{c.rows, c.C};
    const BatchNormOptions o{.activation = c.activation, .slope = 0.2f};
    CAPTURE(c.rows);
    CAPTURE(c.C);
    const auto in = random_inputs(s, 0);
    CpuContext ctx(1);
    const auto out = train<float>(ctx, s, o, in);
    const auto want = backward<double>(ctx, s, o, widen(in), test::widen(out.y),
                                       test::widen(out.mean), test::widen(out.rstd));
    // Float chains of 64 products of |dz| < 1 and |x - mean| < 2; their sums are added in double.
    std::vector<double> scale(want.size());
    const double per_row = 64.0 / static_cast<double>(s.rows) + 1;
    for (int k = 0; k < s.C; ++k) {
      const double r = out.rstd[k];
      for (int64_t i = 0; i < s.rows; ++i) scale[i * s.C + k] = r * (2 + per_row * (1 + 4 * r * r));
      scale[s.rows * s.C + k] = 2 * r * static_cast<double>(s.rows);
      scale[s.rows * s.C + s.C + k] = static_cast<double>(s.rows);
    }
    test::every_way(
        [&](Context& x) { return backward<float>(x, s, o, in, out.y, out.mean, out.rstd); },
        test::near(want, scale, 8));
  }
}

TEST_CASE("batchnorm: one row has no variance") {
  CpuContext ctx(1);
  const auto in = random_inputs({1, 4}, 0);
  CHECK_THROWS_AS(train<float>(ctx, {1, 4}, {}, in), Error);
}

}  // namespace
}  // namespace assay
