// Long sums on the tensor cores. They truncate (kernels/emulator/tensor_core.h), so a chain of
// products that stays in their accumulators drifts toward zero: tf32x3 would be off by 1e-5 at a
// depth of 2048. The versions in tf32x3 are held to fp32 multiply-adds on the same operands.
#include <cmath>
#include <functional>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/gemm/gemm.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

std::vector<float> shifted_floats(int64_t n, float shift) {
  std::vector<float> values = test::random_floats(n);
  for (float& v : values) v += shift;
  return values;
}

double distance(const std::vector<float>& got, const std::vector<double>& want) {
  double squares = 0;
  for (size_t i = 0; i < want.size(); ++i) squares += std::pow(double{got[i]} - want[i], 2);
  return std::sqrt(squares);
}

/// `chain` are the same sums as one fp32 multiply-add after another. Three products leave out
/// 2^-22 of an operand, also where the chain is exact.
void check_as_accurate_as(const std::vector<float>& got, const std::vector<float>& chain,
                          const std::vector<double>& want) {
  const double ours = distance(got, want), theirs = distance(chain, want),
               norm = distance(std::vector<float>(want.size()), want);
  CAPTURE(ours / norm);
  CAPTURE(theirs / norm);
  CHECK(ours <= theirs + std::exp2(-22) * norm);
}

void on_tensor_cores(const std::function<void(Context&, float shift)>& f) {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  ctx.precision = Precision::tf32x3;
  for (const Algorithm algo : {Algorithm::tensor_core, Algorithm::hopper})
    for (const float shift : {0.0f, 1.0f}) {  // sums near 0, and sums that only grow
      ctx.algorithm = algo;
      CAPTURE(std::string(name_of(algo)));
      CAPTURE(shift);
      f(ctx, shift);
    }
}

TEST_CASE("tf32x3: a matrix product is as accurate as fp32 multiply-adds at any depth") {
  on_tensor_cores([](Context& ctx, float shift) {
    for (const int K : {512, 2048, 8192}) {
      CAPTURE(K);
      const GemmShape s{.M = 20, .N = 24, .K = K, .transpose_b = true};
      const auto a = shifted_floats(int64_t{s.M} * K, shift),
                 b = shifted_floats(int64_t{s.N} * K, shift);
      const test::Array c(ctx, test::poisoned(int64_t{s.M} * s.N)), b_there(ctx, b);
      gemm<float>(ctx, s, {}, test::Array(ctx, a), b_there.get(), nullptr, c);
      std::vector<float> chain;
      std::vector<double> want;
      for (int m = 0; m < s.M; ++m)
        for (int n = 0; n < s.N; ++n) {
          chain.push_back(0);
          want.push_back(0);
          for (int k = 0; k < K; ++k) {
            const float x = a[static_cast<size_t>(m * K + k)],
                        y = b[static_cast<size_t>(n * K + k)];
            chain.back() = std::fma(x, y, chain.back());
            want.back() += double{x} * y;
          }
        }
      check_as_accurate_as(c.host(), chain, want);
    }
  });
}

// Depth 9 * 512 = 4608 in fprop and dgrad, 8 * 32 * 30 pixels in wgrad.
TEST_CASE("tf32x3: a convolution is as accurate as fp32 multiply-adds at any depth") {
  const auto run = [](Context& ctx, const Conv2dShape& s, float shift, ConvPass pass) {
    const int64_t xs = int64_t{s.N} * s.H * s.W * s.C, ws = int64_t{s.K} * s.R * s.S * s.C,
                  ys = int64_t{s.N} * s.P() * s.Q() * s.K;
    const auto x = shifted_floats(xs, shift), w = shifted_floats(ws, shift),
               dy = shifted_floats(ys, shift);
    const auto xd = test::widen(x), wd = test::widen(w), dyd = test::widen(dy);
    const test::Array x_there(ctx, x), w_there(ctx, w), dy_there(ctx, dy);
    const auto hold = [&](int64_t n, const auto& ours, const auto& plain, const auto& exact) {
      const test::Array out(ctx, test::poisoned(n));
      ours(out);
      std::vector<float> chain(static_cast<size_t>(n));
      std::vector<double> want(static_cast<size_t>(n));
      plain(chain.data());
      exact(want.data());
      check_as_accurate_as(out.host(), chain, want);
    };
    if (pass == ConvPass::wgrad)
      return hold(
          ws,
          [&](float* dw) {
            conv2d_wgrad<float>(ctx, s, {}, x_there, {.dy = dy_there}, dw, nullptr);
          },
          [&](float* dw) {
            ref::conv2d_wgrad<float>(s, {}, x.data(), {.dy = dy.data()}, dw, nullptr);
          },
          [&](double* dw) {
            ref::conv2d_wgrad<double>(s, {}, xd.data(), {.dy = dyd.data()}, dw, nullptr);
          });
    if (pass == ConvPass::fprop)
      return hold(
          ys,
          [&](float* y) {
            conv2d_fprop<float>(ctx, s, {}, x_there, w_there.get(), nullptr, y, nullptr);
          },
          [&](float* y) {
            ref::conv2d_fprop<float>(s, {}, x.data(), w.data(), nullptr, y, nullptr);
          },
          [&](double* y) {
            ref::conv2d_fprop<double>(s, {}, xd.data(), wd.data(), nullptr, y, nullptr);
          });
    hold(
        xs,
        [&](float* dx) { conv2d_dgrad<float>(ctx, s, {}, {.dy = dy_there}, w_there.get(), dx); },
        [&](float* dx) { ref::conv2d_dgrad<float>(s, {}, {.dy = dy.data()}, w.data(), dx); },
        [&](double* dx) { ref::conv2d_dgrad<double>(s, {}, {.dy = dyd.data()}, wd.data(), dx); });
  };
  on_tensor_cores([&](Context& ctx, float shift) {
    run(ctx, {.N = 1, .H = 5, .W = 5, .C = 512, .K = 20, .R = 3, .S = 3, .stride = 1, .pad = 1},
        shift, ConvPass::fprop);
    run(ctx, {.N = 1, .H = 5, .W = 5, .C = 20, .K = 512, .R = 3, .S = 3, .stride = 1, .pad = 1},
        shift, ConvPass::dgrad);
    run(ctx, {.N = 8, .H = 32, .W = 32, .C = 8, .K = 12, .R = 1, .S = 3, .stride = 1, .pad = 0},
        shift, ConvPass::wgrad);
  });
}

}  // namespace
}  // namespace assay
