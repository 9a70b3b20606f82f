#include "tests/emulator/workloads.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/runtime/bf16.h"
#include "tests/emulator/device_array.h"

namespace assay::testing {
namespace {

using Floats = std::vector<float>;

constexpr double kEps = 0x1p-24;       // unit roundoff of fp32
constexpr double kTf32Eps = 0x1p-11;   // of TF32, rounded to nearest
constexpr double kTf32Chop = 0x1p-10;  // of TF32, where the low bits are dropped

/// A sum of products and the sum of their absolute values.
struct Dot {
  double value = 0, magnitude = 0;
  void add(double a, double b) {
    value += a * b;
    magnitude += std::abs(a * b);
  }
};

/// "" or the first element of `got` further than `bound` from `expected`. NaN is never near.
class Comparison {
 public:
  void element(size_t i, double got, double expected, double bound) {
    if (text_.empty() && !(std::abs(got - expected) <= bound))
      text_ = fmt::format("element {} is {:g} instead of {:g} +- {:g}", i, got, expected, bound);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Rounding errors of a dot product of length n: n eps for the sum, 2 operand_eps for the operands.
double dot_bound(const Dot& dot, int n, double operand_eps) {
  return dot.magnitude * (2 * operand_eps + operand_eps * operand_eps + n * kEps) + 1e-30;
}

// c = a b, or a b^T
template <class At>
std::string compare_gemm(const Floats& c, const Floats& a, const At& b, int M, int N, int K,
                         double operand_eps) {
  Comparison comparison;
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) {
      Dot dot;
      for (int k = 0; k < K; ++k) dot.add(a[size_t(m) * K + k], b(k, n));
      const size_t i = size_t(m) * N + n;
      comparison.element(i, c[i], dot.value, dot_bound(dot, K, operand_eps));
    }
  return comparison.text();
}

}  // namespace

std::string check_sgemm(Bug bug) {
  const int M = 140, N = 132, K = 36;
  const Floats a = random_floats(size_t(M) * K, 1), b = random_floats(size_t(K) * N, 2);
  const DeviceArray<float> da(a), db(b), dc(size_t(M) * N);
  run_sgemm(da.get(), db.get(), dc.get(), M, N, K, bug);
  return compare_gemm(
      dc.host(), a, [&](int k, int n) { return b[size_t(k) * N + n]; }, M, N, K, 0);
}

namespace {

// y (N,P,Q,K) = x (N,H,W,C) * w (K,R,S,C) in TF32, rounded to nearest.
std::string compare_conv(const Floats& y, const Floats& x, const Floats& w, const ConvShape& s) {
  Comparison comparison;
  for (size_t i = 0; i < y.size(); ++i) {
    const int k = int(i) % s.K, q = int(i) / s.K % s.Q, p = int(i) / s.K / s.Q % s.P;
    const int n = int(i) / s.K / s.Q / s.P;
    Dot dot;
    for (int r = 0; r < s.R; ++r)
      for (int u = 0; u < s.S; ++u) {
        const int h = p * s.stride - s.pad + r, v = q * s.stride - s.pad + u;
        if (h < 0 || v < 0 || h >= s.H || v >= s.W) continue;
        for (int c = 0; c < s.C; ++c)
          dot.add(x[((size_t(n) * s.H + h) * s.W + v) * s.C + c],
                  w[((size_t(k) * s.R + r) * s.S + u) * s.C + c]);
      }
    comparison.element(i, y[i], dot.value, dot_bound(dot, s.R * s.S * s.C, kTf32Eps));
  }
  return comparison.text();
}

}  // namespace

std::string check_conv_tf32(Bug bug) {
  const ConvShape s{.N = 1,
                    .H = 9,
                    .W = 7,
                    .C = 32,
                    .K = 40,
                    .R = 3,
                    .S = 3,
                    .pad = 1,
                    .stride = 1,
                    .P = 9,
                    .Q = 7};
  const Floats x = random_floats(size_t(s.N) * s.H * s.W * s.C, 3);
  const Floats w = random_floats(size_t(s.K) * s.R * s.S * s.C, 4);
  const DeviceArray<float> dx(x), dw(w), dy(size_t(s.N) * s.P * s.Q * s.K);
  run_conv_tf32(dx.get(), dw.get(), dy.get(), s, bug);
  return compare_conv(dy.host(), x, w, s);
}

std::string check_batchnorm_statistics(Bug bug) {
  const int rows = 700, C = 5;
  const Floats x = random_floats(size_t(rows) * C, 5);
  const DeviceArray<float> dx(x), dmean(C), dvariance(C);
  run_batchnorm_statistics(dx.get(), dmean.get(), dvariance.get(), rows, C, bug);
  const Floats mean = dmean.host(), variance = dvariance.host();
  Comparison comparison;
  for (int c = 0; c < C; ++c) {
    double sum = 0, squares = 0;
    for (int r = 0; r < rows; ++r) sum += x[size_t(r) * C + c];
    for (int r = 0; r < rows; ++r) squares += std::pow(x[size_t(r) * C + c] - sum / rows, 2);
    // A thread updates 3 times, 8 merges follow; each rounds a few times. |x| <= 1.
    comparison.element(c, mean[c], sum / rows, 64 * kEps);
    comparison.element(C + c, variance[c], squares / rows, 64 * kEps);
  }
  return comparison.text();
}

std::string check_maxpool(Bug) {
  const int N = 2, H = 6, W = 10, C = 12, P = H / 2, Q = W / 2;
  const Floats x = random_floats(size_t(N) * H * W * C, 6);
  const DeviceArray<float> dx(x), dy(x.size() / 4);
  const DeviceArray<uint8_t> dargmax(x.size() / 4);
  run_maxpool(dx.get(), dy.get(), dargmax.get(), N, H, W, C);
  const Floats y = dy.host();
  const std::vector<uint8_t> argmax = dargmax.host();
  Comparison comparison;
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % C, q = i / C % Q, p = i / C / Q % P, n = i / C / Q / P;
    float best = -2.0f;
    int which = -1;
    for (size_t k = 0; k < 4; ++k) {
      const float v = x[((n * H + 2 * p + k / 2) * W + 2 * q + k % 2) * C + c];
      if (v > best) best = v, which = int(k);
    }
    comparison.element(i, y[i], best, 0);
    comparison.element(i, argmax[i], which, 0);
  }
  return comparison.text();
}

std::string check_kde(Bug bug) {
  const int queries = 150, points = 300, D = 5;
  const float h = 0.7f;
  const Floats q = random_floats(size_t(queries) * D, 7), p = random_floats(size_t(points) * D, 8);
  const DeviceArray<float> dq(q), dp(p), dout(queries);
  run_kde(dq.get(), dp.get(), dout.get(), queries, points, D, h, bug);
  const Floats out = dout.host();
  Comparison comparison;
  for (int i = 0; i < queries; ++i) {
    double sum = 0;
    for (int j = 0; j < points; ++j) {
      double d2 = 0;
      for (int d = 0; d < D; ++d) d2 += std::pow(double(q[i * D + d]) - p[j * D + d], 2);
      sum += std::exp(-d2 / (2.0 * double(h) * h));
    }
    const double expected =
        std::log(sum) - std::log(points) - D * std::log(double(h) * std::sqrt(2 * M_PI));
    // Exponents up to 41 in size carry D + 3 roundings; the sum's relative error is points * eps.
    comparison.element(size_t(i), out[i], expected, (41 * (D + 3) + 2 * points + 16) * kEps);
  }
  return comparison.text();
}

std::string check_gemm_bf16(Bug bug) {
  const int M = 64, N = 128, K = 96;
  Floats a = random_floats(size_t(M) * K, 9), b = random_floats(size_t(K) * N, 10);
  const auto round = [](Floats& v) {
    std::vector<uint16_t> bits;
    for (float& f : v) {
      bits.push_back(bf16(f).bits);
      f = float(bf16(f));
    }
    return bits;
  };
  const DeviceArray<uint16_t> da(round(a)), db(round(b));
  const DeviceArray<float> dc(size_t(M) * N);
  run_gemm_bf16(da.get(), db.get(), dc.get(), M, N, K, bug);
  return compare_gemm(
      dc.host(), a, [&](int k, int n) { return b[size_t(k) * N + n]; }, M, N, K, 0);
}

std::string check_wgmma_gemm(Bug bug) {
  const int M = 100, N = 72, K = 288;
  const Floats a = random_floats(size_t(M) * K, 11), b = random_floats(size_t(N) * K, 12);
  const DeviceArray<float> da(a), db(b), dc(size_t(M) * N);
  run_wgmma_gemm(da.get(), db.get(), dc.get(), M, N, K, bug);
  return compare_gemm(
      dc.host(), a, [&](int k, int n) { return b[size_t(n) * K + k]; }, M, N, K, kTf32Chop);
}

std::string check_wgmma_generic(Bug bug) {
  const int M = 64, N = 64, K = 32;
  const Floats a = random_floats(size_t(M) * K, 13), b = random_floats(size_t(N) * K, 14);
  const DeviceArray<float> da(a), db(b), dc(size_t(M) * N);
  run_wgmma_generic(da.get(), db.get(), dc.get(), bug);
  return compare_gemm(
      dc.host(), a, [&](int k, int n) { return b[size_t(n) * K + k]; }, M, N, K, kTf32Chop);
}

std::string check_wgmma_conv(Bug bug) {
  const ConvShape s{.N = 2,
                    .H = 19,
                    .W = 12,
                    .C = 32,
                    .K = 64,
                    .R = 3,
                    .S = 3,
                    .pad = 1,
                    .stride = 2,
                    .P = 10,
                    .Q = 6};
  const Floats x = random_floats(size_t(s.N) * s.H * s.W * s.C, 16);
  const Floats w = random_floats(size_t(s.K) * s.R * s.S * s.C, 17);
  const DeviceArray<float> dx(x), dw(w), dy(size_t(s.N) * s.P * s.Q * s.K);
  run_wgmma_conv(dx.get(), dw.get(), dy.get(), s.N, s.H, s.W, bug);
  return compare_conv(dy.host(), x, w, s);
}

std::string check_last_block_sum(Bug) {
  const int n = 5000;
  const Floats x = random_floats(n, 15);
  const DeviceArray<float> dx(x), parts(6), sum(1);
  const DeviceArray<unsigned> counter(std::vector<unsigned>{0});
  Dot expected;
  for (const float v : x) expected.add(v, 1.0);
  Comparison comparison;
  for (int launch = 0; launch < 2; ++launch) {  // twice: the counter must be 0 again
    run_last_block_sum(dx.get(), parts.get(), counter.get(), sum.get(), n);
    // Longest chain of additions: 7 in a thread, 5 + 3 in a block, the same again over the parts.
    comparison.element(size_t(launch), sum.host()[0], expected.value,
                       32 * kEps * expected.magnitude);
  }
  return comparison.text();
}

}  // namespace assay::testing
