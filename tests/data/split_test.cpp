#include "data/split.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/noise.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using testing::contains;
using testing::message_of;

std::vector<Sample> named(const std::vector<std::string>& paths) {
  std::vector<Sample> samples;
  for (const std::string& path : paths) {
    Sample sample;
    sample.path = path;
    samples.push_back(sample);
  }
  return samples;
}

void check_partition(std::vector<size_t> a, const std::vector<size_t>& b, size_t n) {
  CHECK(std::is_sorted(a.begin(), a.end()));
  CHECK(std::is_sorted(b.begin(), b.end()));
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  REQUIRE(a.size() == n);
  for (size_t i = 0; i < n; ++i) CHECK(a[i] == i);
}

}  // namespace

TEST_CASE("15 % validate, at least 8, and the seed draws them") {
  const std::vector<std::pair<size_t, size_t>> expected = {{10, 8}, {48, 8},   {56, 8},  {57, 9},
                                                           {60, 9}, {209, 31}, {391, 59}};
  for (const auto& [n, validation] : expected) {
    const Split split = draw_split(n, 1);
    CHECK(split.validation.size() == validation);
    check_partition(split.train, split.validation, n);
  }
  CHECK(draw_split(209, 1).validation == draw_split(209, 1).validation);
  CHECK(draw_split(209, 1).validation != draw_split(209, 2).validation);
  CHECK_THROWS_AS(draw_split(9, 1), DataError);

  // Each image validates about as often as any other: 31 of 209 draws, binomial over 2000 seeds.
  std::vector<int> chosen(209);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    for (const size_t i : draw_split(209, seed).validation) ++chosen[i];
  }
  const double p = 31.0 / 209, mean = 2000 * p, deviation = std::sqrt(2000 * p * (1 - p));
  for (const int count : chosen) CHECK(std::abs(count - mean) < 5 * deviation);
}

TEST_CASE("a split goes to disk and back") {
  const testing::TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 20; ++i) paths.push_back(fmt::format("train/good/{}.png", 100 + i));
  const std::vector<Sample> samples = named(paths);
  const Split split = draw_split(20, 3);
  write_split(folder / "split.json", split, samples);
  const Split read = read_split(folder / "split.json", samples);
  CHECK(read.train == split.train);
  CHECK(read.validation == split.validation);
}

TEST_CASE("names of other tools are understood: longer paths and bare file names") {
  const testing::TemporaryFolder folder;
  const std::vector<Sample> samples =
      named({"train/good/000.png", "train/good/001.png", "train/good/002.png"});
  testing::put(folder / "s.json",
               std::string(R"({"train": ["002.png", "/data/nut/train/good/000.png"],
                               "validation": ["train/good/001.png"], "tool": "x"})"));
  const Split split = read_split(folder / "s.json", samples);
  CHECK(split.train == std::vector<size_t>{0, 2});
  CHECK(split.validation == std::vector<size_t>{1});
}

TEST_CASE("a split that does not fit is refused") {
  const testing::TemporaryFolder folder;
  const std::vector<Sample> samples = named({"good/a.png", "good/b.png", "bad/x/b.png"});
  const auto refusal = [&](const std::string& text) {
    testing::put(folder / "s.json", text);
    const std::string message =
        message_of<DataError>([&] { read_split(folder / "s.json", samples); });
    CHECK(message.starts_with((folder / "s.json").string() + ": "));
    return message;
  };
  CHECK(contains(refusal(R"({"train": ["a.png"], "validation": ["c.png"]})"), "\"c.png\""));
  CHECK(contains(refusal(R"({"train": ["a.png"], "validation": ["nut/a.png"]})"), "nut/a.png"));
  CHECK(contains(refusal(R"({"train": ["a.png"], "validation": ["b.png"]})"), "2 images"));
  CHECK(contains(refusal(R"({"train": ["a.png"], "validation": ["good/a.png"]})"), "named twice"));
  CHECK(contains(refusal(R"({"train": ["a.png"], "validation": []})"), "\"validation\""));
  CHECK(contains(refusal(R"({"train": ["a.png"]})"), "\"validation\""));
  CHECK(contains(refusal(R"({"train": [1], "validation": ["good/b.png"]})"), "no file name"));
  CHECK(contains(refusal("[1, 2"), "not a split"));
  CHECK(contains(refusal(""), "not a split"));
  CHECK_THROWS_AS(read_split(folder / "no.json", samples), DataError);
}

TEST_CASE("folds test every image once, stratified, and share none between their parts") {
  std::vector<uint8_t> defective(101);
  for (size_t i = 0; i < 23; ++i) defective[i * 4] = 1;
  const std::vector<Fold> folds = stratified_folds(defective, 5, 7);
  REQUIRE(folds.size() == 5);
  std::vector<size_t> tested;
  for (const Fold& fold : folds) {
    std::vector<size_t> rest = fold.train;
    rest.insert(rest.end(), fold.validation.begin(), fold.validation.end());
    std::sort(rest.begin(), rest.end());
    check_partition(rest, fold.test, 101);
    tested.insert(tested.end(), fold.test.begin(), fold.test.end());
    const auto bad = [&](const std::vector<size_t>& part) {
      return std::count_if(part.begin(), part.end(), [&](size_t i) { return defective[i] != 0; });
    };
    CHECK(bad(fold.test) >= 4);  // 23 / 5
    CHECK(bad(fold.test) <= 5);
    CHECK(fold.test.size() >= 20);
    CHECK(fold.test.size() <= 21);
    CHECK(bad(fold.validation) == 3);                           // 15 % of 18 or 19
    CHECK(fold.validation.size() - bad(fold.validation) == 9);  // 15 % of 62 or 63
  }
  std::sort(tested.begin(), tested.end());
  REQUIRE(tested.size() == 101);
  for (size_t i = 0; i < 101; ++i) CHECK(tested[i] == i);
  CHECK(stratified_folds(defective, 5, 7)[2].train == folds[2].train);
  CHECK(stratified_folds(defective, 5, 8)[2].train != folds[2].train);

  CHECK_THROWS_AS(stratified_folds(defective, 1, 0), UsageError);
  const std::vector<uint8_t> few = {0, 0, 0, 0, 0, 1, 1, 1, 1};
  CHECK(contains(message_of<DataError>([&] { stratified_folds(few, 5, 0); }),
                 "4 defective images are too few for 5 folds"));
  CHECK(stratified_folds(few, 4, 0).size() == 4);
  // Of two folds one tests the larger half, and the rest must train and validate.
  const std::vector<uint8_t> three = {0, 0, 0, 0, 1, 1, 1};
  CHECK(contains(message_of<DataError>([&] { stratified_folds(three, 2, 0); }),
                 "3 defective images are too few for 2 folds; at least 4"));
  CHECK(stratified_folds(three, 3, 0).size() == 3);
  for (const Fold& fold : stratified_folds(few, 2, 0))
    for (const std::vector<size_t>* part : {&fold.train, &fold.validation, &fold.test})
      for (const uint8_t kind : {0, 1})
        CHECK(std::any_of(part->begin(), part->end(), [&](size_t i) { return few[i] == kind; }));
}

TEST_CASE("folds of a file test every image, and train and validate on both kinds") {
  const testing::TemporaryFolder folder;
  std::vector<Sample> samples = named({"g0", "g1", "g2", "g3", "b0", "b1", "b2", "b3"});
  for (size_t i = 4; i < samples.size(); ++i) samples[i].defective = true;
  const auto read = [&](const std::string& first, const std::string& second) {
    testing::put(folder / "s.json", R"({"folds": [)" + first + "," + second + "]}");
    return read_folds(folder / "s.json", samples);
  };
  const std::string first =
      R"({"train": ["g0", "b0"], "validation": ["g1", "b1"], "test": ["g2", "g3", "b2", "b3"]})";
  const std::string second =
      R"({"train": ["g2", "b2"], "validation": ["g3", "b3"], "test": ["g0", "g1", "b0", "b1"]})";
  CHECK(read(first, second).size() == 2);
  const auto refusal = [&](const std::string& other) {
    return message_of<DataError>([&] { read(first, other); });
  };
  CHECK(contains(refusal(R"({"train": ["g2", "b2"], "validation": ["g3", "b3"],
                            "test": ["g0", "g1", "b0"]})"),
                 "\"b1\" is tested in no fold"));
  CHECK(contains(refusal(R"({"train": ["g2"], "validation": ["g3", "b3"],
                            "test": ["g0", "g1", "b0", "b1"]})"),
                 "fold 2 has no defective image to train on"));
  CHECK(contains(refusal(R"({"train": ["g2", "b2"], "validation": ["b3"],
                            "test": ["g0", "g1", "b0", "b1"]})"),
                 "fold 2 has no good image to validate with"));
  CHECK_THROWS_AS(stratified_folds(std::vector<uint8_t>(8, 1), 2'000'000'000, 0), DataError);
}

TEST_CASE("noise falls on floor(n / 10) images, drawn without replacement") {
  for (const size_t n : {0, 1, 9, 10, 19, 48, 209, 391}) {
    const std::vector<size_t> noisy = draw_noisy_images(n, 5);
    CHECK(noisy.size() == n / 10);
    CHECK(std::is_sorted(noisy.begin(), noisy.end()));
    CHECK(std::set<size_t>(noisy.begin(), noisy.end()).size() == noisy.size());
    for (const size_t i : noisy) CHECK(i < n);
  }
  CHECK(draw_noisy_images(209, 5) == draw_noisy_images(209, 5));
  CHECK(draw_noisy_images(209, 5) != draw_noisy_images(209, 6));
  CHECK(draw_noisy_images(10, 5, 1.0).size() == 10);
  CHECK_THROWS_AS(draw_noisy_images(10, 5, 1.5), Error);
}

TEST_CASE("noise is normal with variance 0.001, clipped, and a function of seed, image, value") {
  constexpr size_t n = 200001;  // not a multiple of 4
  std::vector<float> values(n, 0.5f);
  add_noise(values, 1, 42);
  double mean = 0, variance = 0, fourth = 0, beyond = 0;
  for (const float v : values) mean += (v - 0.5) / n;
  for (const float v : values) {
    const double d = v - 0.5 - mean;
    variance += d * d / n;
    fourth += d * d * d * d / n;
    beyond += std::abs(d) > 2 * std::sqrt(kNoiseVariance) ? 1.0 / n : 0.0;
  }
  // 5 standard errors of the mean, the variance, the kurtosis and the share beyond 2 sigma.
  CHECK(std::abs(mean) < 5 * std::sqrt(kNoiseVariance / n));
  CHECK(std::abs(variance / kNoiseVariance - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(fourth / (variance * variance) - 3) < 5 * std::sqrt(24.0 / n));
  CHECK(std::abs(beyond - 0.0455) < 5 * std::sqrt(0.0455 * 0.9545 / n));

  std::vector<float> part(1001, 0.5f);
  add_noise(part, 1, 42);
  for (size_t i = 0; i < part.size(); ++i) REQUIRE(part[i] == values[i]);
  for (const auto& [seed, image] : {std::pair<uint64_t, uint64_t>{2, 42}, {1, 43}}) {
    std::vector<float> other(1001, 0.5f);
    add_noise(other, seed, image);
    CHECK(other != part);
  }
  std::vector<float> edges(4000);
  std::fill(edges.begin() + 2000, edges.end(), 1.0f);
  add_noise(edges, 3, 0);
  CHECK(*std::min_element(edges.begin(), edges.end()) == 0);
  CHECK(*std::max_element(edges.begin(), edges.end()) == 1);
  CHECK(std::count(edges.begin(), edges.begin() + 2000, 0.0f) > 800);  // half of them
}

}  // namespace assay
