#include "models/evaluation/calibration.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/runtime/error.h"
#include "tests/models/golden.h"

namespace assay {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
using Parts = std::vector<std::vector<double>>;

}  // namespace

TEST_CASE("calibration agrees with numpy") {
  const nlohmann::json expected = testing::golden("metrics.json")["calibration"];
  const Parts parts = expected["parts"].get<Parts>();
  const Calibration calibration = calibrate(parts);
  REQUIRE(calibration.components.size() == 2);
  double z_bound = 0;  // of the rounding of one z
  for (size_t p = 0; p < 2; ++p) {
    const double mean = expected["means"][p], deviation = expected["deviations"][p];
    const double n = static_cast<double>(parts[p].size());
    const double mean_bound = 2 * n * kEps * std::abs(mean);
    CHECK(calibration.components[p].count == 31);
    CHECK(std::abs(calibration.components[p].mean - mean) <= mean_bound);
    // d(deviation) <= d(mean) + n eps deviation
    CHECK(std::abs(calibration.components[p].deviation - deviation) <=
          mean_bound + n * kEps * deviation);
    CHECK(!calibration.is_constant(p));
    z_bound = std::max(z_bound, 5 * (2 * mean_bound / deviation + n * kEps));  // |z| < 5
  }
  for (size_t i = 0; i < parts[0].size(); ++i) {
    const std::vector<double> values = {parts[0][i], parts[1][i]};
    CHECK(std::abs(calibration.score(values) - expected["scores"][i].get<double>()) <= z_bound);
  }
  CHECK(std::abs(calibration.percentile99 - expected["percentile99"].get<double>()) <= 2 * z_bound);
}

TEST_CASE("s > k exactly where a component exceeds mean + k deviations") {
  const Parts parts = {{1, 2, 3, 4, 5}, {-10, 10, -10, 10, 0}};
  const Calibration calibration = calibrate(parts);
  CHECK(calibration.components[0].mean == 3);
  CHECK(calibration.components[0].deviation == std::sqrt(2.5));
  CHECK(calibration.components[1].deviation == 10);
  const double r_limit = 3 + 3 * std::sqrt(2.5), q_limit = 30;
  for (const double r : {3.0, r_limit - 1e-9, r_limit + 1e-9}) {
    for (const double q : {-100.0, q_limit - 1e-9, q_limit + 1e-9}) {
      const std::vector<double> values = {r, q};
      CHECK((calibration.score(values) > kThresholdDeviations) == (r > r_limit || q > q_limit));
    }
  }
}

TEST_CASE("a component that never varied does not turn rounding into a verdict") {
  const Parts parts = {{1, 2, 3}, {-20000, -20000, -20000}};
  const Calibration calibration = calibrate(parts);
  CHECK(!calibration.is_constant(0));
  CHECK(calibration.is_constant(1));
  const std::vector<double> jitter = {2, -20000 + 0.002};  // one float ulp of 20000
  CHECK(calibration.score(jitter) < kThresholdDeviations);
  const std::vector<double> moved = {2, -19000};
  CHECK(calibration.score(moved) > kThresholdDeviations);
  CHECK(std::isfinite(calibrate(Parts{{0, 0}}).z(0, 1)));
}

TEST_CASE("percentiles are linear between order statistics") {
  const std::vector<double> values = {40, 10, 30, 20};
  CHECK(percentile(values, 0) == 10);
  CHECK(percentile(values, 50) == 25);
  CHECK(percentile(values, 100) == 40);
  CHECK(percentile(values, 90) == doctest::Approx(37).epsilon(1e-15));
  CHECK(percentile(std::vector<double>{7}, 99) == 7);
}

TEST_CASE("several seeds: mean and sample deviation") {
  const SeedSummary three = summarize_seeds(std::vector<double>{1, 2, 6});
  CHECK(three.seeds == 3);
  CHECK(three.mean == 3);
  CHECK(*three.deviation == std::sqrt(7.0));
  const SeedSummary one = summarize_seeds(std::vector<double>{0.75});
  CHECK(one.mean == 0.75);
  CHECK(!one.deviation);
}

TEST_CASE("what cannot be calibrated is an error that says why") {
  CHECK_THROWS_WITH_AS(calibrate(Parts{}), "calibrate: no component of a score", Error);
  CHECK_THROWS_WITH_AS(calibrate(Parts{{1}}), doctest::Contains("at least 2 values but got 1"),
                       Error);
  CHECK_THROWS_WITH_AS(calibrate(Parts{{1, 2, 3}, {1, 2}}), doctest::Contains("3 and 2 images"),
                       Error);
  CHECK_THROWS_WITH_AS(calibrate(Parts{{1, kNan}}), doctest::Contains("value 1 is"), Error);
  const Calibration calibration = calibrate(Parts{{1, 2}, {3, 5}});
  CHECK_THROWS_AS(calibration.score(std::vector<double>{1}), Error);
  CHECK_THROWS_AS(calibration.score(std::vector<double>{1, kNan}), Error);
  CHECK_THROWS_AS(calibration.z(2, 1), Error);
  CHECK_THROWS_AS(summarize_seeds({}), Error);
  CHECK_THROWS_AS(percentile({}, 50), Error);
  CHECK_THROWS_AS(percentile(std::vector<double>{1, 2}, 101), Error);
  CHECK_THROWS_AS(percentile(std::vector<double>{1, kNan}, 50), Error);
}

}  // namespace assay
