#include "models/evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "tests/models/golden.h"

namespace assay {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct TestSet {
  std::vector<double> scores;
  std::vector<uint8_t> labels;
};

/// Random scores on a grid of `steps` values, so that few steps make many ties.
TestSet random_set(RandomSequence& random, int n, uint32_t steps) {
  TestSet set;
  for (int i = 0; i < n; ++i) {
    set.labels.push_back(random.below(3) == 0);
    const uint32_t shift = set.labels.back() ? steps / 3 : 0;
    set.scores.push_back(0.25 * (random.below(steps) + shift) - 1);
  }
  return set;
}

/// Metrics are sums of n terms of at most 1, rounded on either side.
bool close(double a, double b, size_t n) {
  return std::abs(a - b) <= 2 * kEps * static_cast<double>(n + 4);
}

bool same(const std::optional<double>& ours, const nlohmann::json& theirs, size_t n) {
  if (!ours || theirs.is_null()) return !ours && theirs.is_null();
  return close(*ours, theirs.get<double>(), n);
}

bool same(const std::vector<CurvePoint>& ours, const nlohmann::json& theirs) {
  bool equal = ours.size() == theirs.size();
  for (size_t i = 0; equal && i < ours.size(); ++i) {
    equal = close(ours[i].x, theirs[i][0], 1) && close(ours[i].y, theirs[i][1], 1);
  }
  return equal;
}

}  // namespace

TEST_CASE("image metrics agree with scikit-learn") {
  const nlohmann::json cases = testing::golden("metrics.json")["images"];
  REQUIRE(cases.size() == 10);
  for (const nlohmann::json& expected : cases) {
    CAPTURE(expected["name"].get<std::string>());
    const auto scores = expected["scores"].get<std::vector<double>>();
    const auto labels = expected["labels"].get<std::vector<uint8_t>>();
    const size_t n = scores.size();
    const std::vector<Level> levels = rank_scores(scores, labels);
    const ImageMetrics ours = image_metrics(levels, expected["threshold"]);

    CHECK(same(ours.auroc, expected["auroc"], n));
    CHECK(same(ours.average_precision, expected["average_precision"], n));
    CHECK(same(ours.fpr95, expected["fpr95"], n));
    CHECK(same(ours.f1_all_positive, expected["f1_all_positive"], n));
    REQUIRE(ours.f1_max);
    CHECK(same(ours.f1_max->f1, expected["f1_max"], n));
    CHECK(same(roc_curve(levels), expected["roc"]));
    CHECK(same(pr_curve(levels), expected["pr"]));

    const nlohmann::json& there = expected["at_threshold"];
    CHECK(ours.threshold == expected["threshold"].get<double>());
    CHECK(ours.confusion.tp == there["tp"].get<int64_t>());
    CHECK(ours.confusion.fp == there["fp"].get<int64_t>());
    CHECK(ours.confusion.tn == there["tn"].get<int64_t>());
    CHECK(ours.confusion.fn == there["fn"].get<int64_t>());
    CHECK(same(ours.confusion.f1(), there["f1"], n));
    CHECK(same(ours.confusion.precision(), there["precision"], n));
    CHECK(same(ours.confusion.recall(), there["recall"], n));
    CHECK(same(ours.confusion.accuracy(), there["accuracy"], n));
    CHECK(same(ours.confusion.balanced_accuracy(), there["balanced_accuracy"], n));
  }
}

TEST_CASE("AUROC is the share of pairs in the right order, a tie counting one half") {
  RandomSequence random(11, RandomStream::split);
  for (const uint32_t steps : {2u, 5u, 100u, 1000000u}) {
    const TestSet set = random_set(random, 97, steps);
    double right = 0, pairs = 0;
    for (size_t i = 0; i < set.scores.size(); ++i) {
      for (size_t j = 0; j < set.scores.size(); ++j) {
        if (!set.labels[i] || set.labels[j]) continue;
        right += set.scores[i] > set.scores[j] ? 1 : set.scores[i] == set.scores[j] ? 0.5 : 0;
        ++pairs;
      }
    }
    // Both are exact sums of halves, divided once.
    CHECK(auroc(rank_scores(set.scores, set.labels)) == right / pairs);
  }
}

TEST_CASE("F1-max: no threshold does better, and its own threshold reaches it") {
  RandomSequence random(12, RandomStream::split);
  for (int round = 0; round < 40; ++round) {
    const TestSet set = random_set(random, 1 + round, round % 2 ? 6 : 1000);
    const std::vector<Level> levels = rank_scores(set.scores, set.labels);
    const std::optional<F1Max> best = f1_max(levels);
    const bool any_defective = std::count(set.labels.begin(), set.labels.end(), 1) > 0;
    REQUIRE(best.has_value() == any_defective);
    if (!best) continue;
    CHECK(confusion_at(levels, best->threshold).f1() == best->f1);
    std::vector<double> thresholds = set.scores;
    thresholds.push_back(-kInfinity);
    for (const double threshold : thresholds) {
      const double f1 = confusion_at(levels, threshold).f1().value_or(0);
      CHECK(f1 <= best->f1);
      if (f1 == best->f1) CHECK(threshold <= best->threshold);  // the highest such threshold
    }
  }
}

TEST_CASE("F1-max: the threshold lies half way, or on the lower of two neighbouring doubles") {
  const std::vector<uint8_t> labels = {0, 1};
  const double next = std::nextafter(1.0, 2.0), after = std::nextafter(next, 2.0);
  const std::vector<double> apart = {1, 2}, touching = {next, after};
  CHECK(f1_max(rank_scores(apart, labels))->threshold == 1.5);
  CHECK(f1_max(rank_scores(touching, labels))->threshold == next);  // their mean rounds to `after`

  // F1 is 2/3 with the first image alone and with all four: the threshold with no false alarm wins.
  const std::vector<double> four = {4, 3, 2, 1};
  const std::vector<uint8_t> outer = {1, 0, 0, 1};
  CHECK(f1_max(rank_scores(four, outer))->threshold == 3.5);

  // Where calling everything defective is best, the threshold is below the least score.
  const std::vector<uint8_t> inverted = {1, 0};
  const std::vector<Level> levels = rank_scores(apart, inverted);
  CHECK(f1_max(levels)->f1 == *f1_all_positive(levels));
  CHECK(confusion_at(levels, f1_max(levels)->threshold).tp == 1);
}

TEST_CASE("defective is predicted exactly where score > threshold") {
  const std::vector<double> scores = {1, 2, 2, 3};
  const std::vector<uint8_t> labels = {0, 1, 0, 1};
  const Confusion counts = confusion_at(rank_scores(scores, labels), 2);
  CHECK(counts.tp == 1);
  CHECK(counts.fp == 0);
  CHECK(counts.fn == 1);
  CHECK(counts.tn == 2);
}

TEST_CASE("folds with thresholds of their own are pooled by adding counts") {
  Confusion pooled{.tp = 1, .fp = 2, .tn = 3, .fn = 4};
  pooled += {.tp = 10, .fp = 20, .tn = 30, .fn = 40};
  CHECK(pooled.tp == 11);
  CHECK(pooled.fp == 22);
  CHECK(pooled.tn == 33);
  CHECK(pooled.fn == 44);
  CHECK(*pooled.f1() == 11 / (11 + (22 + 44) / 2.0));
}

TEST_CASE("the order of the images does not matter, to the last bit") {
  RandomSequence random(13, RandomStream::split);
  const TestSet set = random_set(random, 200, 30);
  std::vector<size_t> order(set.scores.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  random.shuffle(order);
  TestSet shuffled;
  for (const size_t i : order) {
    shuffled.scores.push_back(set.scores[i]);
    shuffled.labels.push_back(set.labels[i]);
  }
  const ImageMetrics a = image_metrics(rank_scores(set.scores, set.labels), 3);
  const ImageMetrics b = image_metrics(rank_scores(shuffled.scores, shuffled.labels), 3);
  CHECK(a.auroc == b.auroc);
  CHECK(a.average_precision == b.average_precision);
  CHECK(a.confusion.f1() == b.confusion.f1());
}

TEST_CASE("a metric that does not exist is empty, not a number") {
  const std::vector<double> scores = {1, 2, 3};
  SUBCASE("good images only") {
    const std::vector<uint8_t> labels = {0, 0, 0};
    const std::vector<Level> levels = rank_scores(scores, labels);
    const ImageMetrics quiet = image_metrics(levels, 9), loud = image_metrics(levels, 0);
    CHECK(!quiet.auroc);
    CHECK(!quiet.average_precision);
    CHECK(!quiet.fpr95);
    CHECK(!quiet.f1_max);
    CHECK(!quiet.confusion.f1());  // nothing to find, nothing claimed
    CHECK(!quiet.confusion.precision());
    CHECK(!quiet.confusion.recall());
    CHECK(!quiet.confusion.balanced_accuracy());
    CHECK(quiet.confusion.accuracy() == 1.0);
    CHECK(loud.confusion.f1() == 0.0);  // three false alarms
    CHECK(loud.confusion.precision() == 0.0);
    CHECK(roc_curve(levels).empty());
    CHECK(pr_curve(levels).empty());
  }
  SUBCASE("defective images only") {
    const std::vector<uint8_t> labels = {1, 1, 1};
    const std::vector<Level> levels = rank_scores(scores, labels);
    const ImageMetrics metrics = image_metrics(levels, 1.5);
    CHECK(!metrics.auroc);
    CHECK(!metrics.average_precision);
    CHECK(!metrics.fpr95);
    CHECK(!metrics.confusion.specificity());
    CHECK(metrics.f1_all_positive == 1.0);
    CHECK(metrics.f1_max->f1 == 1.0);
    CHECK(metrics.confusion.f1() == 2 / 2.5);
    CHECK(roc_curve(levels).empty());
  }
  SUBCASE("no images") {
    const ImageMetrics metrics = image_metrics({}, 0);
    CHECK(!metrics.auroc);
    CHECK(!metrics.f1_max);
    CHECK(!metrics.f1_all_positive);
    CHECK(!metrics.confusion.accuracy());
  }
}

TEST_CASE("scores that are not finite and lists that do not fit are errors") {
  const std::vector<uint8_t> labels = {0, 1};
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    const std::vector<double> scores = {0.5, bad};
    CHECK_THROWS_WITH_AS(rank_scores(scores, labels), doctest::Contains("score 1 is"), Error);
  }
  const std::vector<double> three = {1, 2, 3};
  CHECK_THROWS_WITH_AS(rank_scores(three, labels), "rank_scores: 3 scores but 2 labels", Error);
  CHECK_THROWS_AS(confusion_at({}, kNan), Error);
}

}  // namespace assay
