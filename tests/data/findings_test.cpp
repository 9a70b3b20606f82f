#include "data/findings.h"

#include <fmt/format.h>

#include <deque>

#include "data/check.h"
#include "tests/support/png_writer.h"

namespace assay {
namespace {

using testing::contains;
using testing::put;
using testing::small_image;
using testing::TemporaryFolder;

/// Findings about images that are never read: only their properties are given.
class Seen {
 public:
  ImageFacts& add(const std::string& path, bool defective = false) {
    samples_.push_back({.path = path,
                        .file = {},
                        .defective = defective,
                        .defect = defective ? "bad" : "good",
                        .masks = {},
                        .draw = {}});
    facts_.push_back({.size = {100, 100}, .hash = ++last_hash_});
    images.push_back({&samples_.back(), &facts_.back()});
    return facts_.back();
  }
  std::vector<ReadImage> images;

 private:
  static inline uint64_t last_hash_ = 0;
  std::deque<Sample> samples_;
  std::deque<ImageFacts> facts_;
};

}  // namespace

TEST_CASE("nothing is said of images that are alike") {
  Seen training, test;
  for (const char* name : {"a", "b", "c"}) training.add(name);
  test.add("d", true).mask = MaskCoverage{0.6, 0.5};
  test.add("e").size = {120, 100};
  const ImageFindings findings = check_images(training.images, test.images);
  CHECK(findings.problems.empty());
  CHECK(findings.notes.empty());
}

TEST_CASE("16 bits of which fewer are used are named with their range") {
  Seen training, test;
  const auto deep = [](ImageFacts& facts, int value) { facts.bits = 16, facts.max_value = value; };
  deep(training.add("a"), 4000);
  deep(test.add("b"), 3000);
  test.add("c");
  std::vector<std::string> notes = check_images(training.images, test.images).notes;
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] ==
        "2 of 3 images (a, b) have 16 bits a value but use 12 (the largest value is "
        "4000), so they look dark; assay train --bit-depth 12 scales them");
  CHECK(check_images(training.images, test.images, 12).notes.empty());
  notes = check_images(training.images, test.images, 11).notes;
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes[0], "2 of 3 images (a, b) have values above 2047"));
  deep(test.add("d"), 40000);
  CHECK(check_images(training.images, test.images).notes.empty());
}

TEST_CASE("another shape than the training images' is named") {
  Seen training, test;
  for (const char* name : {"a", "b", "c"}) training.add(name).size = {640, 480};
  training.add("odd").size = {480, 640};
  test.add("d").size = {1280, 960};
  test.add("e").size = {900, 900};
  const std::vector<std::string> notes = check_images(training.images, test.images).notes;
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes[0],
                 "2 of 6 images (odd, e) have another shape (480x640) than training "
                 "images (640x480)"));
}

TEST_CASE("the same image in training and test is named; as good and defective it is refused") {
  Seen training, test;
  const uint64_t hash = training.add("train/good/a").hash;
  test.add("test/good/b").hash = hash;
  test.add("c");
  ImageFindings findings = check_images(training.images, test.images);
  CHECK(findings.problems.empty());
  REQUIRE(findings.notes.size() == 1);
  CHECK(contains(findings.notes[0], "1 of 2 test images (test/good/b = train/good/a) are among"));
  test.add("bad/d", true).hash = hash;
  findings = check_images(training.images, test.images);
  REQUIRE(findings.problems.size() == 1);
  CHECK(contains(findings.problems[0], "bad/d: is the same image as train/good/a"));
  training.add("train/good/e").hash = hash;  // twice in training alone: nothing to say
  findings = check_images(training.images, {});
  REQUIRE(findings.notes.size() == 1);  // but of a cross-validation
  CHECK(contains(findings.notes[0], "stand there twice"));
}

TEST_CASE("masks among the images of defects that no name betrays") {
  Seen training, test;
  training.add("good/1");
  test.add("bad/masks/1.png", true).two_valued = true;
  CHECK(check_images(training.images, test.images).problems.empty());
  test.add("bad/1.jpg", true);
  const ImageFindings findings = check_images(training.images, test.images);
  REQUIRE(findings.problems.size() == 1);
  CHECK(contains(findings.problems[0], "bad/masks/1.png: lies among the images of defects"));
  CHECK(contains(findings.problems[0], "the mask of bad/1.jpg"));
}

TEST_CASE("masks of everything, of the complement and of less than a pixel are named") {
  Seen training, test;
  training.add("a");
  test.add("all", true).mask = MaskCoverage{1, 1};
  test.add("inverted", true).mask = MaskCoverage{0.95, 1};
  test.add("large", true).mask = MaskCoverage{0.6, 0.4};
  ImageFacts& small = test.add("small", true);
  small.mask = MaskCoverage{1e-5, 0};
  small.mask_vanishes = true;
  const std::vector<std::string> notes = check_images(training.images, test.images).notes;
  REQUIRE(notes.size() == 3);
  CHECK(contains(notes[0], "1 of 4 masks (all) mark the whole image"));
  CHECK(contains(notes[1], "1 of 4 masks (inverted) mark all but a part"));
  CHECK(contains(notes[2], "1 of 4 masks (small) mark less than a pixel"));
}

TEST_CASE("data check finds all of it in files") {
  const TemporaryFolder root;
  const auto path = [&](const std::string& name) { return root / ("nut/" + name); };
  for (int i = 0; i < 10; ++i) put(path(fmt::format("train/good/{}.png", i)), small_image(i));
  put(path("test/good/0.png"), small_image(3));
  put(path("test/crack/0.png"), small_image(20, 12, 30));
  put(path("test/crack/masks/0.png"), [] {
    Image mask(12, 30, 1);
    mask.pixels[5] = 255;
    return mask;
  }());
  put(path("test/crack/1.png"),
      testing::make_png({10, 12, 16, testing::kGrey}, testing::Bytes(240, 3)));
  Image inverted(12, 10, 1);
  std::fill(inverted.pixels.begin(), inverted.pixels.end(), uint8_t{1});
  *inverted.at(5, 5) = 0;
  put(path("ground_truth/crack/1_mask.png"), inverted);
  CpuContext ctx(2);
  const ClassReport report = check_data(ctx, root.path()).front();
  REQUIRE(report.problems.size() == 1);
  CHECK(contains(report.problems[0], "crack/masks/0.png: lies among the images of defects"));
  std::string notes;
  for (const std::string& note : report.notes) notes += note + "\n";
  CHECK(contains(notes, "test/good/0.png = train/good/3.png"));
  CHECK(contains(notes, "(test/crack/1.png) have 16 bits a value but use 10"));
  CHECK(contains(notes, "have another shape (30x12) than training images (10x12)"));
  CHECK(contains(notes, "mark all but a part"));
}

}  // namespace assay
