#include "data/builtin.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/check.h"
#include "data/mvtec.h"
#include "data/portable_math.h"
#include "tests/support/files.h"

namespace assay {
namespace {

uint64_t fingerprint(const std::vector<uint8_t>& bytes) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const uint8_t b : bytes) hash = (hash ^ b) * 0x100000001B3u;
  return hash;
}

const Sample& first_of(const Dataset& data, const std::string& defect) {
  return *std::find_if(data.test.begin(), data.test.end(),
                       [&](const Sample& s) { return s.defect == defect; });
}

}  // namespace

TEST_CASE("the built-in classes have the counts they promise") {
  CHECK(list_classes("builtin") ==
        std::vector<std::string>{"brush", "chip", "leather", "ring", "screw"});
  for (const std::string& name : builtin_classes()) {
    const Dataset data = open_dataset("builtin", name, 32, 0);
    CAPTURE(name);
    CHECK(data.name == name);
    CHECK(data.origin == "builtin");
    CHECK(data.train_good.size() == 60);
    const auto good = std::count_if(data.test.begin(), data.test.end(),
                                    [](const Sample& s) { return !s.defective; });
    CHECK(good == 16);
    CHECK(data.test.size() == 40);
    CHECK(data.has_masks());
    CHECK(std::is_sorted(data.test.begin(), data.test.end(),
                         [](const Sample& a, const Sample& b) { return a.path < b.path; }));
    std::set<std::string> paths, defects;
    for (const Sample& s : pooled(data)) paths.insert(s.path);
    for (const Sample& s : data.test) defects.insert(s.defect);
    CHECK(paths.size() == 100);
    CHECK(defects.size() >= 5);  // good and four defects
  }
}

TEST_CASE("a built-in image depends on class, path, size and seed, and on nothing else") {
  const Dataset data = open_builtin("ring", 64, 5);
  const LoadedImage once = load(data.train_good[3]);
  CHECK(once.image.height == 64);
  CHECK(once.image.width == 64);
  CHECK(once.image.channels == 3);
  CHECK(!once.mask);
  load(data.train_good[4]);
  CHECK(load(open_builtin("ring", 64, 5).train_good[3]).image == once.image);
  CHECK(load_image(data.train_good[4]) != once.image);
  CHECK(load_image(open_builtin("ring", 64, 6).train_good[3]) != once.image);
  CHECK(load_image(open_builtin("chip", 64, 5).train_good[3]) != once.image);
}

TEST_CASE("built-in images are the same bytes on every machine") {
  const std::map<std::string, uint64_t> expected = {{"brush", 4227241133102597610u},
                                                    {"chip", 1445889041501748280u},
                                                    {"leather", 13051790047916287532u},
                                                    {"ring", 14622852597276539381u},
                                                    {"screw", 10544206532826394767u}};
  for (const auto& [object_class, hash] : expected) {
    const std::string name =
        object_class;  // clang 14's lambdas (CAPTURE) take no structured binding
    const Dataset data = open_builtin(name, 48, 1);
    std::vector<uint8_t> bytes;
    std::set<std::string> seen;
    for (const Sample& sample : data.test) {
      if (!seen.insert(sample.defect).second) continue;
      const LoadedImage image = load(sample);
      bytes.insert(bytes.end(), image.image.pixels.begin(), image.image.pixels.end());
      if (image.mask) {
        bytes.insert(bytes.end(), image.mask->pixels.begin(), image.mask->pixels.end());
      }
    }
    CAPTURE(name);
    CHECK(fingerprint(bytes) == hash);
  }
}

TEST_CASE("every defect can be seen, and the mask is where it is") {
  for (const std::string& name : builtin_classes()) {
    const Dataset data = open_builtin(name, 64, 2);
    for (const Sample& sample : data.test) {
      if (!sample.defective) continue;
      CAPTURE(name);
      CAPTURE(sample.path);
      const LoadedImage image = load(sample);
      REQUIRE(image.mask);
      CHECK(image.mask->channels == 1);
      CHECK(image.mask->height == 64);
      const auto marked = std::count(image.mask->pixels.begin(), image.mask->pixels.end(), 255);
      const auto rest = std::count(image.mask->pixels.begin(), image.mask->pixels.end(), 0);
      CHECK(marked + rest == 64 * 64);
      // At least 0.3 % of the image: a defect of 1.7 pixels squared at 32 pixels a side.
      CHECK(marked >= 12);
      CHECK(marked <= 64 * 64 / 2);
    }
  }
}

TEST_CASE("the images are images: neither flat nor burnt out") {
  for (const std::string& name : builtin_classes()) {
    const Image image = load_image(open_builtin(name, 64, 3).train_good[0]);
    const double n = static_cast<double>(image.size());
    const double mean = std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / n;
    double variance = 0;
    for (const uint8_t v : image.pixels) variance += (v - mean) * (v - mean) / n;
    CAPTURE(name);
    CHECK(mean > 30);
    CHECK(mean < 200);
    CHECK(variance > 15 * 15);
    const auto burnt = std::count(image.pixels.begin(), image.pixels.end(), 255);
    CHECK(burnt < 0.02 * n);
  }
}

TEST_CASE("what does not exist is refused") {
  CHECK(testing::contains(testing::message_of<UsageError>([] { open_builtin("bottle"); }),
                          "there are: brush, chip, leather, ring, screw"));
  CHECK_THROWS_AS(open_builtin("ring", 31), UsageError);
  CHECK_THROWS_AS(open_builtin("ring", 5000), UsageError);
}

TEST_CASE("written in MVTec's layout it reads back the same") {
  const testing::TemporaryFolder root;
  write_builtin(root.path(), 32, 9);
  CpuContext ctx(1);
  for (const ClassReport& report : check_data(ctx, root.path())) {
    CHECK(report.problems.empty());
    CHECK(report.counts == ClassCounts{60, 16, 24});
    CHECK(report.masks == 24);
  }
  const Dataset drawn = open_builtin("chip", 32, 9), read = open_mvtec(root.path(), "chip");
  REQUIRE(read.test.size() == drawn.test.size());
  for (size_t i = 0; i < read.test.size(); i += 5) {
    CHECK(read.test[i].path == drawn.test[i].path);
    const LoadedImage a = load(read.test[i]), b = load(drawn.test[i]);
    CHECK(a.image == b.image);
    CHECK(a.mask == b.mask);
  }
  CHECK(has_mask(first_of(read, "missing")));
  CHECK_THROWS_AS(write_builtin(root.path(), 32, 9), UsageError);  // MVTec has a "screw" too
}

TEST_CASE("sine and logarithm are what they say") {
  for (int i = -400; i <= 400; ++i) {
    const double t = i / 97.0;
    CHECK(std::abs(sin_turns(t) - std::sin(2 * kPi * t)) < 1e-8);
    CHECK(std::abs(cos_turns(t) - std::cos(2 * kPi * t)) < 1e-8);
  }
  for (int i = 1; i <= 1000; ++i) {
    const double x = i / 1000.0;
    CHECK(std::abs(log_unit(x) - std::log(x)) < 1e-8);
  }
  CHECK(std::abs(log_unit(0x1p-33) - std::log(0x1p-33)) < 1e-8);
}

}  // namespace assay
