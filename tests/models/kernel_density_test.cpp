// The density of latents and the rules of its bandwidth, against direct formulas.
#include "models/detectors/kernel_density.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/runtime/philox.h"

namespace assay {
namespace {

constexpr int kN = 7, kD = 5;

std::vector<float> random_points(int n, uint64_t seed) {
  RandomSequence random(seed, RandomStream::init);
  std::vector<float> points(static_cast<size_t>(n) * kD);
  for (float& p : points) p = random.uniform(-2, 2);
  return points;
}

double squared_distance(const std::vector<float>& a, int i, const std::vector<float>& b, int j) {
  double sum = 0;
  for (int d = 0; d < kD; ++d) {
    const double difference = double{a[i * kD + d]} - b[j * kD + d];
    sum += difference * difference;
  }
  return sum;
}

/// log p(x_i) under the points other than `leave_out`.
double direct_log_density(const std::vector<float>& points, const std::vector<float>& x, int i,
                          double h, int leave_out = -1) {
  double sum = 0;
  int n = 0;
  for (int j = 0; j < kN; ++j) {
    if (j == leave_out) continue;
    sum += std::exp(-squared_distance(x, i, points, j) / (2 * h * h));
    ++n;
  }
  return std::log(sum / n) - kD / 2.0 * std::log(2 * std::numbers::pi * h * h);
}

double mean_leave_one_out(const std::vector<float>& points, double h) {
  double sum = 0;
  for (int i = 0; i < kN; ++i) sum += direct_log_density(points, points, i, h, i);
  return sum / kN;
}

}  // namespace

TEST_CASE("the density is the formula's") {
  const auto points = random_points(kN, 1), queries = random_points(3, 2);
  const KdeDetector density(Tensor::from({kN, kD}, points), 0.8);
  const std::vector<double> got = density.log_density(Tensor::from({3, kD}, queries));
  for (int i = 0; i < 3; ++i) {
    const double want = direct_log_density(points, queries, i, 0.8);
    CHECK(std::abs(got[i] - want) <= 1e-6 * std::abs(want) + 1e-9);
  }
}

TEST_CASE("scott and silverman follow from n, D and the mean deviation") {
  const auto points = random_points(kN, 3);
  double deviation = 0;
  for (int d = 0; d < kD; ++d) {
    double mean = 0, squares = 0;
    for (int i = 0; i < kN; ++i) mean += points[i * kD + d] / double{kN};
    for (int i = 0; i < kN; ++i) squares += std::pow(points[i * kD + d] - mean, 2);
    deviation += std::sqrt(squares / (kN - 1)) / kD;
  }
  const auto bandwidth = [&](const char* rule) {
    return KdeDetector::fit(Tensor::from({kN, kD}, points), parse_bandwidth(rule)).bandwidth();
  };
  CHECK(bandwidth("scott") == doctest::Approx(deviation * std::pow(7, -1 / 9.0)).epsilon(1e-9));
  CHECK(bandwidth("silverman") ==
        doctest::Approx(deviation * std::pow(7 * 7 / 4.0, -1 / 9.0)).epsilon(1e-9));
  CHECK(bandwidth("0.25") == 0.25);
}

TEST_CASE("median: the median pairwise distance over the root of two") {
  const auto points = random_points(kN, 4);
  std::vector<double> distances;
  for (int i = 0; i < kN; ++i)
    for (int j = 0; j < i; ++j)
      distances.push_back(std::sqrt(squared_distance(points, i, points, j)));
  std::sort(distances.begin(), distances.end());  // 21 of them
  const KdeDetector density =
      KdeDetector::fit(Tensor::from({kN, kD}, points), parse_bandwidth("median"));
  CHECK(density.bandwidth() == doctest::Approx(distances[10] / std::sqrt(2.0)).epsilon(1e-9));
}

TEST_CASE("loo: no other bandwidth of the grid makes the points more likely") {
  const auto points = random_points(kN, 5);
  const double h =
      KdeDetector::fit(Tensor::from({kN, kD}, points), parse_bandwidth("loo")).bandwidth();
  // Steps of the grid are a factor of 10^(4/59) = 1.17; half a step away is between two values.
  for (const double factor : {0.5, 0.8, 1.25, 2.0})
    CHECK(mean_leave_one_out(points, h) > mean_leave_one_out(points, h * factor));

  std::vector<double> squared;
  for (int i = 0; i < kN; ++i)
    for (int j = 0; j < kN; ++j) squared.push_back(squared_distance(points, i, points, j));
  CHECK(leave_one_out_log_likelihood(squared, kN, kD, 0.7) ==
        doctest::Approx(mean_leave_one_out(points, 0.7)).epsilon(1e-12));
}

TEST_CASE("median and loo search 2,000 latents of more, and can be stopped") {
  constexpr int kMany = 2100;
  const auto points = random_points(kMany, 6);
  const Tensor z = Tensor::from({kMany, kD}, points);
  std::vector<double> squared;
  for (int i = 0; i < kMany; ++i)
    for (int j = 0; j < kMany; ++j) squared.push_back(squared_distance(points, i, points, j));
  const double h = KdeDetector::fit(z, parse_bandwidth("loo")).bandwidth();
  // Within a step of the grid of what all latents would choose.
  const auto likelihood = [&](double bandwidth) {
    return leave_one_out_log_likelihood(squared, kMany, kD, bandwidth);
  };
  CHECK(likelihood(h) > likelihood(h / 1.4));
  CHECK(likelihood(h) > likelihood(h * 1.4));

  std::vector<double> distances;
  for (int i = 0; i < kMany; ++i)
    for (int j = 0; j < i; ++j) distances.push_back(std::sqrt(squared[i * kMany + j]));
  std::nth_element(distances.begin(), distances.begin() + distances.size() / 2, distances.end());
  CHECK(KdeDetector::fit(z, parse_bandwidth("median")).bandwidth() ==
        doctest::Approx(distances[distances.size() / 2] / std::sqrt(2.0)).epsilon(0.02));

  struct Stopped {};
  CHECK_THROWS_AS(KdeDetector::fit(z, parse_bandwidth("loo"), [](double) { throw Stopped(); }),
                  Stopped);
  for (const char* rule : {"median", "loo"}) {
    std::vector<double> shares;
    KdeDetector::fit(z, parse_bandwidth(rule), [&](double done) { shares.push_back(done); });
    REQUIRE(!shares.empty());
    CHECK(std::is_sorted(shares.begin(), shares.end()));
    CHECK(shares.front() > 0);
    CHECK(shares.back() == 1);
  }
}

TEST_CASE("latents without a spread still have a bandwidth") {
  const Tensor same = Tensor::full({4, kD}, 0.5);
  const KdeDetector density = KdeDetector::fit(same, parse_bandwidth("loo"));
  CHECK(density.bandwidth() > 0);
  CHECK(std::isfinite(density.log_density(same)[0]));
}

TEST_CASE("bandwidths that are none are refused") {
  for (const char* text : {"", "0", "-1", "nan", "inf", "0.2x", "Scott"})
    CHECK_THROWS_AS(parse_bandwidth(text), UsageError);
}

}  // namespace assay
