#include "models/evaluation/bootstrap.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

struct TestSet {
  std::vector<double> a, b;  // scores of two models on the same images
  std::vector<uint8_t> labels;
};

double normal(RandomSequence& random) {
  const double u = 1.0 - random.uniform(), v = random.uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
}

/// Both models see the same image: their scores share `common` of their variance.
TestSet random_set(RandomSequence& random, int good, int defective, double shift,
                   double common = 0) {
  TestSet set;
  for (int i = 0; i < good + defective; ++i) {
    set.labels.push_back(i % (good + defective) >= good);
    const double shared = std::sqrt(common) * normal(random) + shift * set.labels.back();
    set.a.push_back(shared + std::sqrt(1 - common) * normal(random));
    set.b.push_back(shared + std::sqrt(1 - common) * normal(random));
  }
  return set;
}

struct Metrics {
  double auroc, f1;
};

/// AUROC over all pairs and F1 over all images of a list written out in full.
Metrics slow_metrics(const std::vector<double>& scores, const std::vector<uint8_t>& labels,
                     const std::vector<uint32_t>& images, double threshold) {
  double right = 0, pairs = 0, tp = 0, wrong = 0;
  for (const uint32_t i : images) {
    tp += labels[i] && scores[i] > threshold;
    wrong += (scores[i] > threshold) != (labels[i] != 0);
    for (const uint32_t j : images) {
      if (!labels[i] || labels[j]) continue;
      right += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      ++pairs;
    }
  }
  return {right / pairs, tp / (tp + wrong / 2)};
}

/// Resample b as bootstrap.h defines it: from (seed, b), the defective images first.
std::vector<uint32_t> slow_draw(const std::vector<uint8_t>& labels, uint64_t seed, int b) {
  RandomSequence random(seed, RandomStream::bootstrap, static_cast<uint64_t>(b));
  std::vector<uint32_t> images;
  for (const bool defective : {true, false}) {
    std::vector<uint32_t> members;
    for (uint32_t i = 0; i < labels.size(); ++i) {
      if ((labels[i] != 0) == defective) members.push_back(i);
    }
    for (size_t i = 0; i < members.size(); ++i) {
      images.push_back(members[random.below(static_cast<uint32_t>(members.size()))]);
    }
  }
  return images;
}

bool equal(const Interval& a, const Interval& b) {
  const double bound = 8 * std::numeric_limits<double>::epsilon();
  return std::abs(a.low - b.low) <= bound && std::abs(a.high - b.high) <= bound;
}

Interval slow_interval(const std::vector<double>& values) {
  return {percentile(values, 2.5), percentile(values, 97.5)};
}

double width(const Interval& interval) {
  return interval.high - interval.low;
}

}  // namespace

TEST_CASE("intervals are those of resamples written out image by image") {
  RandomSequence random(31, RandomStream::split);
  TestSet set = random_set(random, 13, 21, 1.0);
  for (double& score : set.a) score = std::round(4 * score);  // ties
  const double threshold_a = 2, threshold_b = 0.7;
  std::vector<double> auroc_a, f1_a, auroc_difference, f1_difference;
  for (int i = 0; i < 300; ++i) {
    const std::vector<uint32_t> images = slow_draw(set.labels, 5, i);
    const Metrics a = slow_metrics(set.a, set.labels, images, threshold_a);
    const Metrics b = slow_metrics(set.b, set.labels, images, threshold_b);
    auroc_a.push_back(a.auroc);
    f1_a.push_back(a.f1);
    auroc_difference.push_back(a.auroc - b.auroc);
    f1_difference.push_back(a.f1 - b.f1);
  }
  const BootstrapOptions options{.seed = 5, .resamples = 300};
  const BootstrapIntervals single = bootstrap({set.a, threshold_a}, set.labels, options);
  CHECK(equal(*single.auroc, slow_interval(auroc_a)));
  CHECK(equal(*single.f1, slow_interval(f1_a)));

  const PairedDifference paired =
      paired_bootstrap({set.a, threshold_a}, {set.b, threshold_b}, set.labels, options);
  CHECK(equal(paired.auroc->interval, slow_interval(auroc_difference)));
  CHECK(equal(paired.f1->interval, slow_interval(f1_difference)));
  CHECK(paired.auroc->estimate ==
        *auroc(rank_scores(set.a, set.labels)) - *auroc(rank_scores(set.b, set.labels)));
}

TEST_CASE("the same seed gives the same bits, another seed another interval") {
  RandomSequence random(32, RandomStream::split);
  const TestSet set = random_set(random, 30, 30, 1.0);
  const ScoredImages images{set.a, 0.5};
  const Interval first = *bootstrap(images, set.labels, {.seed = 1}).auroc;
  const Interval again = *bootstrap(images, set.labels, {.seed = 1}).auroc;
  const Interval other = *bootstrap(images, set.labels, {.seed = 2}).auroc;
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK((first.low != other.low || first.high != other.high));
}

TEST_CASE("about 95 % of the intervals of a known AUROC contain it") {
  // Normals a distance d apart: AUROC = Phi(d / sqrt 2).
  const double truth = 0.5 * std::erfc(-1.0 / std::sqrt(2.0) / std::sqrt(2.0));
  RandomSequence random(33, RandomStream::split);
  int covered = 0;
  const int rounds = 300;
  for (int round = 0; round < rounds; ++round) {
    const TestSet set = random_set(random, 40, 60, 1.0);
    const Interval interval = *bootstrap({set.a, 0.5}, set.labels,
                                         {.seed = static_cast<uint64_t>(round), .resamples = 400})
                                   .auroc;
    covered += interval.low <= truth && truth <= interval.high;
  }
  // Of 300 at .95, the count has a standard deviation of 3.8; four of them on either side, and two
  // per cent below for the known optimism of percentile intervals at this size.
  CHECK(covered >= 285 - 15 - 6);
  CHECK(covered <= 285 + 15);
}

TEST_CASE("pairing takes out what two models have in common") {
  RandomSequence random(34, RandomStream::split);
  const TestSet set = random_set(random, 60, 60, 1.0, 0.9);
  const PairedDifference paired = paired_bootstrap({set.a, 0.5}, {set.b, 0.5}, set.labels);
  const double a = width(*bootstrap({set.a, 0.5}, set.labels).auroc);
  const double b = width(*bootstrap({set.b, 0.5}, set.labels).auroc);
  // Independent errors would add up to sqrt(a^2 + b^2); a correlation of about .9 leaves a third.
  CHECK(width(paired.auroc->interval) < 0.5 * std::hypot(a, b));

  const PairedDifference itself = paired_bootstrap({set.a, 0.5}, {set.a, 0.5}, set.labels);
  CHECK(itself.auroc->estimate == 0);
  CHECK(width(itself.auroc->interval) == 0);
  CHECK(width(itself.f1->interval) == 0);
}

TEST_CASE("a perfect model has no spread") {
  const std::vector<double> scores = {1, 2, 3, 11, 12};
  const std::vector<uint8_t> labels = {0, 0, 0, 1, 1};
  const BootstrapIntervals intervals = bootstrap({scores, 5}, labels);
  CHECK(intervals.auroc->low == 1);
  CHECK(intervals.auroc->high == 1);
  CHECK(intervals.f1->low == 1);
}

TEST_CASE("more confidence makes a wider interval") {
  RandomSequence random(35, RandomStream::split);
  const TestSet set = random_set(random, 30, 30, 1.0);
  const Interval narrow = *bootstrap({set.a, 0.5}, set.labels, {.confidence = 0.5}).auroc;
  const Interval wide = *bootstrap({set.a, 0.5}, set.labels, {.confidence = 0.99}).auroc;
  CHECK(wide.low < narrow.low);
  CHECK(narrow.high < wide.high);
}

TEST_CASE("one class alone has no interval; options that make no sense are errors") {
  const std::vector<double> scores = {1, 2, 3};
  for (const uint8_t label : {0, 1}) {
    const std::vector<uint8_t> labels(3, label);
    CHECK(!bootstrap({scores, 0}, labels).auroc);
    CHECK(!bootstrap({scores, 0}, labels).f1);
    CHECK(!paired_bootstrap({scores, 0}, {scores, 0}, labels).auroc);
  }
  const std::vector<uint8_t> labels = {0, 1, 1}, two = {0, 1};
  CHECK_THROWS_AS(bootstrap({scores, 0}, two), Error);
  CHECK_THROWS_AS(bootstrap({scores, std::nan("")}, labels), Error);
  CHECK_THROWS_AS(bootstrap({scores, 0}, labels, {.resamples = 0}), Error);
  CHECK_THROWS_AS(bootstrap({scores, 0}, labels, {.confidence = 1}), Error);
  CHECK_THROWS_AS(paired_bootstrap({scores, 0}, {std::span(scores).first(2), 0}, labels), Error);
}

}  // namespace assay
