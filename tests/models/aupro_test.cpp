#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/intervals.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/pixel_metrics.h"
#include "tests/models/golden.h"

namespace assay {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

struct Image {
  int H, W;
  std::vector<float> heat;
  std::vector<uint8_t> mask;
};

PixelEvaluation evaluation_of(const std::vector<Image>& images) {
  PixelEvaluation evaluation;
  for (const Image& p : images) evaluation.add(p.heat, p.mask, p.H, p.W);
  return evaluation;
}

size_t pixels_of(const std::vector<Image>& images) {
  size_t pixels = 0;
  for (const Image& p : images) pixels += p.heat.size();
  return pixels;
}

/// A few sums of n terms, each total at most 1, stretched by 1 / limit.
double bound(size_t n, double limit) {
  return 8 * kEps * static_cast<double>(n + 4) / limit;
}

/// The pixels of each region, by spreading the smallest index until nothing changes.
std::vector<std::vector<int>> slow_regions(const Image& p) {
  std::vector<int> label(p.mask.size(), -1);
  for (size_t i = 0; i < label.size(); ++i) {
    if (p.mask[i]) label[i] = static_cast<int>(i);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (int a = 0; a < p.H * p.W; ++a) {
      for (int b = 0; b < p.H * p.W; ++b) {
        const bool touch = std::abs(a / p.W - b / p.W) <= 1 && std::abs(a % p.W - b % p.W) <= 1;
        if (touch && label[a] >= 0 && label[b] >= 0 && label[b] < label[a]) {
          label[a] = label[b];
          changed = true;
        }
      }
    }
  }
  std::vector<std::vector<int>> regions;
  for (const int name : std::set<int>(label.begin(), label.end())) {
    if (name < 0) continue;
    regions.emplace_back();
    for (int i = 0; i < p.H * p.W; ++i) {
      if (label[i] == name) regions.back().push_back(i);
    }
  }
  return regions;
}

/// AUPRO by its definition: every distinct heat is a threshold, for which all pixels are counted
/// anew.
double slow_aupro(const std::vector<Image>& images, double limit) {
  std::set<float, std::greater<>> thresholds;
  for (const Image& p : images) thresholds.insert(p.heat.begin(), p.heat.end());
  std::vector<CurvePoint> curve = {{0, 0}};
  for (const float t : thresholds) {
    double false_alarms = 0, good = 0, overlap = 0, regions = 0;
    for (const Image& p : images) {
      for (size_t i = 0; i < p.heat.size(); ++i) {
        good += !p.mask[i];
        false_alarms += !p.mask[i] && p.heat[i] >= t;
      }
      for (const std::vector<int>& region : slow_regions(p)) {
        double found = 0;
        for (const int i : region) found += p.heat[i] >= t;
        overlap += found / static_cast<double>(region.size());
        ++regions;
      }
    }
    curve.push_back({false_alarms / good, overlap / regions});
  }
  double area = 0;
  for (size_t i = 1; i < curve.size() && curve[i - 1].x < limit; ++i) {
    const CurvePoint a = curve[i - 1], b = curve[i];
    const double x = std::min(b.x, limit);
    const double y = b.x > limit ? a.y + (b.y - a.y) * (limit - a.x) / (b.x - a.x) : b.y;
    area += (x - a.x) * (a.y + y) / 2;
  }
  return area / limit;
}

std::vector<Image> random_images(RandomSequence& random, uint32_t steps) {
  std::vector<Image> images;
  const int sizes[][2] = {{9, 11}, {1, 13}, {7, 1}, {10, 10}, {1, 1}};
  for (const auto& [H, W] : sizes) {
    Image p{.H = H, .W = W, .heat = {}, .mask = {}};
    for (int i = 0; i < H * W; ++i) {
      p.mask.push_back(random.below(6) == 0 ? 255 : 0);
      const uint32_t shift = p.mask.back() ? steps / 3 : 0;
      p.heat.push_back(0.25f * static_cast<float>(random.below(steps) + shift) - 1);
    }
    images.push_back(p);
  }
  images[3].mask.assign(100, 0);  // a good image
  return images;
}

}  // namespace

TEST_CASE("pixel metrics agree with scikit-learn and with AUPRO from scipy's regions") {
  const nlohmann::json cases = testing::golden("metrics.json")["pixels"];
  REQUIRE(cases.size() == 2);
  for (const nlohmann::json& expected : cases) {
    CAPTURE(expected["name"].get<std::string>());
    std::vector<Image> images;
    size_t regions = 0;
    for (size_t i = 0; i < expected["heats"].size(); ++i) {
      images.push_back({.H = expected["H"],
                        .W = expected["W"],
                        .heat = expected["heats"][i].get<std::vector<float>>(),
                        .mask = expected["masks"][i].get<std::vector<uint8_t>>()});
      const Image& p = images.back();
      regions += connected_regions(p.mask, p.H, p.W).size.size();
    }
    CHECK(regions == expected["regions"].get<size_t>());
    const size_t n = pixels_of(images);
    PixelEvaluation evaluation = evaluation_of(images);
    const PixelMetrics ours = evaluation.metrics();
    CHECK(std::abs(*ours.auroc - expected["auroc"].get<double>()) <= bound(n, 1));
    CHECK(std::abs(*ours.average_precision - expected["average_precision"].get<double>()) <=
          bound(n, 1));
    for (const nlohmann::json& aupro : expected["aupro"]) {
      const double limit = aupro["limit"];
      CHECK(std::abs(*evaluation.metrics(limit).aupro - aupro["value"].get<double>()) <=
            bound(n, limit));
    }
  }
}

TEST_CASE("AUPRO is what a direct count at every threshold gives") {
  RandomSequence random(21, RandomStream::split);
  for (const uint32_t steps : {1u, 3u, 20u, 100000u}) {
    CAPTURE(steps);
    const std::vector<Image> images = random_images(random, steps);
    PixelEvaluation evaluation = evaluation_of(images);
    for (const double limit : {0.01, 0.3, 1.0}) {
      CAPTURE(limit);
      CHECK(std::abs(*evaluation.metrics(limit).aupro - slow_aupro(images, limit)) <=
            bound(pixels_of(images), limit));
    }
  }
}

TEST_CASE("pixel AUROC and AP are the image metrics of all pixels") {
  RandomSequence random(22, RandomStream::split);
  const std::vector<Image> images = random_images(random, 40);
  std::vector<double> scores;
  std::vector<uint8_t> labels;
  for (const Image& p : images) {
    scores.insert(scores.end(), p.heat.begin(), p.heat.end());
    labels.insert(labels.end(), p.mask.begin(), p.mask.end());
  }
  const std::vector<Level> levels = rank_scores(scores, labels);
  const PixelMetrics pixels = evaluation_of(images).metrics();
  CHECK(pixels.auroc == auroc(levels));
  CHECK(pixels.average_precision == average_precision(levels));
}

TEST_CASE("regions are 8-connected") {
  const std::vector<uint8_t> mask = {1, 0, 0, 9,  //
                                     0, 1, 0, 9,  //
                                     0, 0, 0, 0,  //
                                     1, 1, 0, 1};
  const Regions regions = connected_regions(mask, 4, 4);
  CHECK(regions.size == std::vector<int64_t>{2, 2, 2, 1});
  CHECK(regions.label == std::vector<int32_t>{0, -1, -1, 1,    //
                                              -1, 0, -1, 1,    //
                                              -1, -1, -1, -1,  //
                                              2, 2, -1, 3});
  // A row's end does not touch the next row's beginning.
  const std::vector<uint8_t> ends = {0, 0, 1, 0, 0, 0, 1, 0, 0};
  CHECK(connected_regions(ends, 3, 3).size.size() == 2);
}

TEST_CASE("a small region counts as much as a large one") {
  // One of two defects is found, before any false alarm: the overlap is 1/2 whatever their sizes.
  const std::vector<uint8_t> mask = {1, 0, 1, 1, 1, 1, 1, 0, 0, 0};
  const std::vector<float> heat = {9, 5, 1, 1, 1, 1, 1, 5, 5, 5};
  PixelEvaluation evaluation;
  evaluation.add(heat, mask, 1, 10);
  CHECK(*evaluation.metrics().aupro == doctest::Approx(0.5).epsilon(1e-15));
}

TEST_CASE("an image without a mask is good, and images may be added after a result") {
  RandomSequence random(23, RandomStream::split);
  const std::vector<Image> images = random_images(random, 40);
  PixelEvaluation at_once = evaluation_of(images), in_parts;
  for (const Image& p : images) {
    const bool good = std::count(p.mask.begin(), p.mask.end(), 0) == p.H * p.W;
    in_parts.add(p.heat, good ? std::vector<uint8_t>{} : p.mask, p.H, p.W);
    in_parts.metrics();
  }
  CHECK(in_parts.metrics().aupro == at_once.metrics().aupro);
  CHECK(in_parts.metrics().auroc == at_once.metrics().auroc);
}

TEST_CASE("without good or without defective pixels there is no pixel metric") {
  const std::vector<float> heat = {1, 2};
  for (const uint8_t label : {0, 1}) {
    PixelEvaluation evaluation;
    evaluation.add(heat, std::vector<uint8_t>(2, label), 1, 2);
    CHECK(!evaluation.metrics().auroc);
    CHECK(!evaluation.metrics().average_precision);
    CHECK(!evaluation.metrics().aupro);
  }
  CHECK(!PixelEvaluation().metrics().aupro);
}

TEST_CASE("the error of the pixel AUROC is Obuchowski's with images as clusters, over all pairs") {
  RandomSequence random(29, RandomStream::split);
  for (int round = 0; round < 20; ++round) {
    std::vector<Image> images = random_images(random, 12);
    const std::vector<Image> more = random_images(random, 12);
    images.insert(images.end(), more.begin(), more.end());
    std::vector<std::pair<float, size_t>> pixels[2];  // good, defective: heat and image
    for (size_t i = 0; i < images.size(); ++i)
      for (size_t p = 0; p < images[i].heat.size(); ++p)
        pixels[images[i].mask[p] != 0].emplace_back(images[i].heat[p], i);
    const PixelMetrics found = evaluation_of(images).metrics();
    std::vector<double> places[2] = {std::vector<double>(pixels[0].size()),
                                     std::vector<double>(pixels[1].size())};
    const double pairs = static_cast<double>(pixels[0].size() * pixels[1].size());
    double auroc = 0;
    for (size_t g = 0; g < pixels[0].size(); ++g)
      for (size_t d = 0; d < pixels[1].size(); ++d) {
        const float good = pixels[0][g].first, bad = pixels[1][d].first;
        const double right = bad > good ? 1 : bad == good ? 0.5 : 0;
        auroc += right / pairs;
        places[0][g] += right / static_cast<double>(pixels[1].size());
        places[1][d] += right / static_cast<double>(pixels[0].size());
      }
    std::vector<double> of_image[2] = {std::vector<double>(images.size()),
                                       std::vector<double>(images.size())};
    double clusters[2] = {};
    for (const int kind : {0, 1}) {
      std::set<size_t> with;
      for (size_t p = 0; p < places[kind].size(); ++p) {
        with.insert(pixels[kind][p].second);
        of_image[kind][pixels[kind][p].second] +=
            (places[kind][p] - auroc) / static_cast<double>(places[kind].size());
      }
      clusters[kind] = static_cast<double>(with.size());
    }
    REQUIRE(clusters[0] >= 2);
    REQUIRE(clusters[1] >= 2);
    const double all = static_cast<double>(images.size());
    double variance = 0, squares = 0, fourth_powers = 0;
    for (size_t i = 0; i < images.size(); ++i) {
      const double good = of_image[0][i], bad = of_image[1][i];
      squares += std::pow(good + bad, 2);
      fourth_powers += std::pow(good + bad, 4);
      variance += clusters[0] / (clusters[0] - 1) * good * good +
                  clusters[1] / (clusters[1] - 1) * bad * bad + 2 * all / (all - 1) * good * bad;
    }
    CHECK(*found.auroc == doctest::Approx(auroc).epsilon(1e-12));
    CHECK(*found.auroc_error == doctest::Approx(std::sqrt(variance)).epsilon(1e-9));
    CHECK(found.auroc_degrees ==
          doctest::Approx(std::max(squares * squares / fourth_powers - 1, 1.0)).epsilon(1e-9));
  }
}

TEST_CASE("one image with defects says nothing of others") {
  PixelEvaluation evaluation;
  const std::vector<float> heat = {1, 2, 3, 4};
  evaluation.add(heat, std::vector<uint8_t>{0, 1, 0, 1}, 2, 2);
  evaluation.add(heat, {}, 2, 2);
  CHECK(evaluation.metrics().auroc);
  CHECK(!evaluation.metrics().auroc_error);
}

namespace {

double gaussian(RandomSequence& random) {
  return std::sqrt(-2 * std::log(1 - random.uniform())) *
         std::cos(6.283185307179586 * random.uniform());
}

/// Images of 36 pixels whose defects differ in size and in contrast, and whose heats differ in
/// level.
void add_images(PixelEvaluation& evaluation, RandomSequence& random, int good, int defective,
                double contrast) {
  for (int i = 0; i < good + defective; ++i) {
    const double level = 0.5 * gaussian(random), defect = contrast + 0.7 * gaussian(random);
    const int size = i < good ? 0 : 1 + static_cast<int>(24 * std::pow(random.uniform(), 2));
    std::vector<float> heat;
    std::vector<uint8_t> mask;
    for (int p = 0; p < 36; ++p) {
      mask.push_back(p < size);
      heat.push_back(static_cast<float>(level + gaussian(random) + (p < size ? defect : 0)));
    }
    evaluation.add(heat, mask, 6, 6);
  }
}

}  // namespace

TEST_CASE("95 % intervals contain the pixel AUROC of the population in 93 to 97 % of test sets") {
  RandomSequence random(30, RandomStream::split);
  const int rounds = 1000, many = 100;
  for (const auto& sizes : {std::pair(12, 30), std::pair(60, 40)})
    for (const double contrast : {1.6, 3.0}) {  // AUROC of about 0.83 and 0.97
      const int good = sizes.first, defective = sizes.second;
      PixelEvaluation population;
      add_images(population, random, many * good, many * defective, contrast);
      const double truth = *population.metrics().auroc;
      int covered = 0;
      for (int round = 0; round < rounds; ++round) {
        PixelEvaluation evaluation;
        add_images(evaluation, random, good, defective, contrast);
        const PixelMetrics found = evaluation.metrics();
        const PixelValue seeds[] = {{*found.auroc, *found.auroc_error, found.auroc_degrees}};
        const Interval interval = pixel_estimate(seeds, defective)->interval;
        covered += interval.low <= truth && truth <= interval.high;
      }
      CAPTURE(good);
      CAPTURE(truth);
      CHECK(covered > rounds * 0.93 - 3 * 8);
      CHECK(covered < rounds * 0.97 + 3 * 5);
    }
}

TEST_CASE("the interval of a pixel metric over seeds has both variations") {
  const PixelValue one[] = {{0.9, 0.02, 20}}, same[] = {{0.9, 0.02, 20}, {0.9, 0.02, 20}},
                   apart[] = {{0.8, 0.02, 20}, {1.0, 0.02, 20}}, perfect[] = {{1, 0, 1}};
  const auto width = [](std::span<const PixelValue> seeds) {
    const Interval interval = pixel_estimate(seeds, 30)->interval;
    return interval.high - interval.low;
  };
  CHECK(width(same) == doctest::Approx(width(one)));  // other seeds do not bring other images
  CHECK(width(apart) > 2 * width(one));
  CHECK(pixel_estimate(perfect, 30)->interval.high == 1);
  CHECK(pixel_estimate(perfect, 30)->interval.low < 0.95);
  CHECK(!pixel_estimate(one, 1));
  CHECK(!pixel_estimate({}, 30));
}

TEST_CASE("pixel metrics refuse sizes that do not fit and heats that are not finite") {
  PixelEvaluation evaluation;
  const std::vector<float> heat = {1, 2, 3, 4};
  const std::vector<uint8_t> mask = {0, 1, 0, 0}, small = {0, 1};
  evaluation.add(heat, mask, 2, 2);
  const std::optional<double> before = evaluation.metrics().auroc;
  CHECK_THROWS_WITH_AS(evaluation.add(heat, mask, 2, 3),
                       "pixel metrics: the heat map has 4 pixels but H=2 W=3", Error);
  CHECK_THROWS_WITH_AS(evaluation.add(heat, small, 2, 2),
                       "pixel metrics: the mask has 2 pixels but H=2 W=2", Error);
  const std::vector<float> broken = {9, 9, 9, std::numeric_limits<float>::quiet_NaN()};
  CHECK_THROWS_WITH_AS(evaluation.add(broken, mask, 2, 2), doctest::Contains("pixel 3"), Error);
  CHECK_THROWS_AS(evaluation.metrics(0), Error);
  CHECK_THROWS_AS(evaluation.metrics(1.5), Error);
  CHECK(evaluation.metrics().auroc == before);  // the refused images left nothing behind
}

}  // namespace assay
