#include "models/evaluation/threshold.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/scoring.h"
#include "tests/support/files.h"

namespace assay::testing {
namespace {

std::vector<double> ascending(size_t n, RandomSequence& random) {
  std::vector<double> scores(n);
  for (double& score : scores) score = random.uniform();
  std::sort(scores.begin(), scores.end());
  return scores;
}

}  // namespace

TEST_CASE("held-out good scores promise a rate by their rank") {
  RandomSequence random(3, RandomStream::split);
  const std::vector<double> scores = ascending(99, random);
  const PromisedRate five = promised_rate(scores, 0.05);
  CHECK(five.kept);
  CHECK(five.position == 5);
  CHECK(five.threshold == scores[94]);
  CHECK(five.rate == doctest::Approx(0.05));
  // Beta(5, 95), by scipy.stats.beta.ppf.
  CHECK(five.interval.low == doctest::Approx(0.0165999).epsilon(1e-4));
  CHECK(five.interval.high == doctest::Approx(0.1002279).epsilon(1e-4));

  const PromisedRate few = promised_rate(std::span(scores).first(8), 0.01);
  CHECK(!few.kept);
  CHECK(few.position == 1);
  CHECK(few.threshold == scores[7]);
  CHECK(few.rate == doctest::Approx(1.0 / 9));
  // Beta(1, 8) has the distribution function 1 - (1 - x)^8.
  CHECK(few.interval.low == doctest::Approx(1 - std::pow(0.975, 1.0 / 8)));
  CHECK(few.interval.high == doctest::Approx(1 - std::pow(0.025, 1.0 / 8)));
  CHECK(promised_rate(std::span(scores).first(9), 0.1).kept);  // 0.1 * 10 counts as 1
}

TEST_CASE("the promised rate holds on new images, and its interval covers the rate of a draw") {
  constexpr int kDraws = 2000;
  constexpr size_t kImages = 40;
  RandomSequence random(7, RandomStream::split);
  double mean = 0, covered = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const PromisedRate promise = promised_rate(ascending(kImages, random), 0.1);
    const double rate = 1 - promise.threshold;  // uniform scores
    mean += rate / kDraws;
    covered += rate >= promise.interval.low && rate <= promise.interval.high;
  }
  // Four standard errors: Beta(4, 37) has the deviation 0.046.
  CHECK(std::abs(mean - 4.0 / 41) < 4 * 0.046 / std::sqrt(kDraws));
  CHECK(std::abs(covered / kDraws - 0.95) < 4 * std::sqrt(0.95 * 0.05 / kDraws));
}

TEST_CASE("one option sets the threshold, and a run keeps the last one") {
  RunConfig config;
  CHECK(threshold_rule(config) == ThresholdRule());
  config.k = "2.5";
  const ThresholdRule rule{ThresholdRule::Kind::deviations, 2.5};
  CHECK(threshold_rule(config) == rule);
  config.target_fpr = "0.1";
  CHECK_THROWS_AS(threshold_rule(config), UsageError);
  set_threshold_rule(config, rule);
  CHECK(config.k == "2.5");
  CHECK(config.target_fpr.empty());

  const TemporaryFolder root;
  const RunFolder folder(root.path());
  CHECK(kept_threshold_rule(config, folder) == rule);
  const ThresholdRule rate{ThresholdRule::Kind::rate, 0.125};
  keep_threshold_rule(rate, folder);
  CHECK(kept_threshold_rule(config, folder) == rate);
  put(folder.threshold(), std::string("{}"));
  CHECK_THROWS_AS(kept_threshold_rule(config, folder), CheckpointError);
}

TEST_CASE("a rule sets the threshold of a scoring") {
  Scoring scoring;
  scoring.rule = Scoring::Rule::mean;
  scoring.own_rule = "its own";
  scoring.threshold = 7;
  CHECK(scoring.threshold_text() == "its own");
  CHECK_THROWS_AS(scoring.set_threshold({ThresholdRule::Kind::rate, 0.5}), UsageError);
  scoring.good_scores = {1, 2, 3, 4};
  scoring.set_threshold({ThresholdRule::Kind::rate, 0.5});
  CHECK(scoring.threshold == 3);
  scoring.set_threshold({ThresholdRule::Kind::rate, 0.01});
  CHECK(scoring.threshold == 4);
  CHECK(contains(scoring.threshold_text(), "4 images cannot promise the 1 % asked for, 20 %"));
  scoring.set_threshold({ThresholdRule::Kind::deviations, 2});
  CHECK(scoring.threshold == doctest::Approx(2.5 + 2 * std::sqrt(5.0 / 3)));
  scoring.set_threshold({ThresholdRule::Kind::fixed, -1});
  CHECK(scoring.threshold == -1);
  ScoredImage image{.path = {}, .set = {}, .defect = {}, .components = {-0.5}};
  scoring.predict(image);
  CHECK(image.predicted_defective);
}

}  // namespace assay::testing
