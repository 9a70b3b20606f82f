#include "data/dataset.h"

#include <fmt/core.h>

#include <set>

#include "data/check.h"
#include "data/mvtec.h"
#include "data/split.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using testing::contains;
using testing::message_of;
using testing::put;
using testing::small_image;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

/// Class "nut": 3 train/good, 2 test/good, 2 crack with masks, 1 dirt without.
void make_nut(const fs::path& root) {
  const fs::path nut = root / "nut";
  for (const int i : {0, 1, 2}) {
    put(nut / "train/good" / fmt::format("00{}.png", i), small_image(i));
  }
  for (const int i : {0, 1}) {
    put(nut / "test/good" / fmt::format("00{}.png", i), small_image(10 + i));
    put(nut / "test/crack" / fmt::format("00{}.png", i), small_image(20 + i));
    Image mask(12, 10, 1);
    mask.pixels[static_cast<size_t>(i)] = 255;
    put(nut / "ground_truth/crack" / fmt::format("00{}_mask.png", i), mask);
  }
  put(nut / "test/dirt/000.png", small_image(30, 12, 10, 1));
  put(nut / "readme.txt", std::string("MVTec AD"));
  put(nut / "license.txt", std::string("CC BY-NC-SA"));
  put(nut / "test/crack/.DS_Store", std::string("x"));
  put(nut / "test/crack/._000.png", std::string("x"));
}

std::vector<std::string> paths(const std::vector<Sample>& samples) {
  std::vector<std::string> names;
  for (const Sample& sample : samples) names.push_back(sample.path);
  return names;
}

std::string refusal(const fs::path& root) {
  return message_of<DataError>([&] { open_mvtec(root, "nut"); });
}

}  // namespace

TEST_CASE("MVTec's layout is read in the order of the paths, stray files passed over") {
  const TemporaryFolder root;
  make_nut(root.path());
  put(root / "readme.txt", std::string("hello"));
  CHECK(list_classes(root.path().string()) == std::vector<std::string>{"nut"});
  const Dataset data = open_dataset(root.path().string(), "nut");
  CHECK(data.name == "nut");
  CHECK(data.origin == "mvtec");
  CHECK(paths(data.train_good) ==
        std::vector<std::string>{"train/good/000.png", "train/good/001.png", "train/good/002.png"});
  CHECK(paths(data.test) == std::vector<std::string>{"test/crack/000.png", "test/crack/001.png",
                                                     "test/dirt/000.png", "test/good/000.png",
                                                     "test/good/001.png"});
  CHECK(data.test[0].defective);
  CHECK(data.test[0].defect == "crack");
  CHECK(!data.test[4].defective);
  CHECK(data.test[4].defect == "good");
  CHECK(!data.train_good[0].defective);
  CHECK(has_mask(data.test[1]));
  CHECK(!has_mask(data.test[2]));
  CHECK(!data.has_masks());
  CHECK(pooled(data).size() == 8);

  const LoadedImage image = load(data.test[1]);
  CHECK(image.image == small_image(21));
  REQUIRE(image.mask);
  CHECK(image.mask->pixels[1] == 255);
  CHECK(image.mask->pixels[0] == 0);
  CHECK(load_image(data.test[2]).channels == 1);
}

TEST_CASE("a class without ground_truth is normal") {
  const TemporaryFolder root;
  make_nut(root.path());
  fs::remove_all(root / "nut/ground_truth");
  CHECK(!open_mvtec(root.path(), "nut").has_masks());
}

TEST_CASE("with every mask there, has_masks says so") {
  const TemporaryFolder root;
  make_nut(root.path());
  fs::remove_all(root / "nut/test/dirt");
  CHECK(open_mvtec(root.path(), "nut").has_masks());
}

TEST_CASE("what is missing is named") {
  const TemporaryFolder root;
  make_nut(root.path());
  SUBCASE("the data folder") {
    CHECK(contains(message_of<DataError>([&] { open_mvtec(root / "no", "nut"); }),
                   (root / "no").string() + ": there is no such folder"));
    CHECK_THROWS_AS(list_mvtec_classes(root / "no"), DataError);
  }
  SUBCASE("the class; the message lists those there are") {
    put(root / "bolt/train/good/000.png", small_image(1));
    const std::string message = message_of<UsageError>([&] { open_mvtec(root.path(), "nuts"); });
    CHECK(contains(message, "no class \"nuts\" in it; there are: bolt, nut"));
    for (const char* name : {"", ".", "..", "nut/", "../nut"})
      CHECK_THROWS_AS(open_mvtec(root.path(), name), UsageError);
    CHECK_THROWS_AS(open_mvtec(root.path(), (root / "nut").string()), UsageError);
  }
  SUBCASE("any class") {
    fs::remove_all(root / "nut");
    CHECK(contains(message_of<DataError>([&] { list_mvtec_classes(root.path()); }),
                   "no class in it"));
  }
  SUBCASE("train/good") {
    fs::remove_all(root / "nut/train");
    CHECK(contains(refusal(root.path()), "nut/train/good: there is no such folder"));
  }
  SUBCASE("images in train/good") {
    fs::remove_all(root / "nut/train/good");
    put(root / "nut/train/good/readme.txt", std::string("none yet"));
    CHECK(contains(refusal(root.path()), "nut/train/good: no PNG, JPEG, BMP or GIF image in it"));
  }
  SUBCASE("test") {
    fs::remove_all(root / "nut/test");
    CHECK(contains(refusal(root.path()), "nut/test: there is no such folder"));
    fs::create_directories(root / "nut/test");
    CHECK(contains(refusal(root.path()), "nut/test: no PNG, JPEG, BMP or GIF image in it"));
  }
  SUBCASE("images in a folder of test") {
    fs::create_directories(root / "nut/test/empty");
    CHECK(contains(refusal(root.path()), "nut/test/empty: no PNG, JPEG, BMP or GIF image in it"));
  }
  SUBCASE("the image of a mask") {
    fs::remove(root / "nut/test/crack/001.png");
    CHECK(contains(refusal(root.path()), "crack/001_mask.png: a mask without its image"));
  }
  SUBCASE("the folder of masks' images") {
    fs::remove_all(root / "nut/test/crack");
    CHECK(contains(refusal(root.path()), "crack/000_mask.png: a mask without its image"));
  }
}

TEST_CASE("an image that only seems to be there is not passed over") {
  const TemporaryFolder root;
  make_nut(root.path());
  const fs::path file = root / "nut/train/good/003.png";
  fs::create_symlink("nowhere.png", file);
  const Dataset data = open_mvtec(root.path(), "nut");
  REQUIRE(data.train_good.size() == 4);
  CHECK(contains(message_of<DataError>([&] { load(data.train_good[3]); }), file.string()));
  fs::remove(file);
  fs::create_symlink(file.filename(), file);  // a link to itself
  CHECK_THROWS_AS(load(open_mvtec(root.path(), "nut").train_good.at(3)), DataError);
  fs::remove(file);
  fs::create_directories(file);  // a folder is no image, whatever its name
  CHECK(open_mvtec(root.path(), "nut").train_good.size() == 3);
}

TEST_CASE("names that JSON cannot hold are refused") {
  for (const char* name : {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x94\xA9", "line\nbreak", ""})
    CHECK(is_utf8(name));
  for (const char* name :
       {"\xE9", "\xC3", "a\xC3(", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80"})
    CHECK(!is_utf8(name));
  const TemporaryFolder root;
  make_nut(root.path());
  put(root / "nut/train/good/caf\xE9.png", small_image(5));
  CHECK(contains(refusal(root.path()), "not UTF-8"));
}

TEST_CASE("a mask of another size than its image is refused when it is read") {
  const TemporaryFolder root;
  make_nut(root.path());
  put(root / "nut/ground_truth/crack/000_mask.png", Image(5, 6, 1));
  const Dataset data = open_mvtec(root.path(), "nut");
  const std::string message = message_of<DataError>([&] { load(data.test[0]); });
  CHECK(contains(message, "000_mask.png: the mask has 6 x 5 pixels but its image has 10 x 12"));
}

TEST_CASE("good images alone: a class without test/, and a folder without bad ones") {
  const TemporaryFolder root;
  for (int i = 0; i < 10; ++i)
    put(root / "nut/train/good" / fmt::format("{}.png", 10 + i), small_image(i));
  Dataset data = open_mvtec(root.path(), "nut");
  CHECK(data.train_good.size() == 10);
  CHECK(data.test.empty());
  CHECK(!data.draws_test);
  hold_out_test(data, 3);
  CHECK(data.train_good.size() == 8);
  CHECK(data.test.size() == 2);
  CHECK(data.draws_test);
  const Dataset folder = open_folder({.good = root / "nut/train/good", .seed = 3});
  CHECK(folder.draws_test);
  REQUIRE(folder.test.size() == 2);
  for (size_t i = 0; i < 2; ++i)  // the same draw
    CHECK("train/" + folder.test[i].path == data.test[i].path);
  for (const Sample& sample : folder.test) CHECK(!sample.defective);
  data.train_good.resize(1);
  CHECK(contains(message_of<DataError>([&] { hold_out_test(data, 3); }), "at least 2"));
  put(root / "nut/ground_truth/crack/10_mask.png", small_image(1));
  CHECK(contains(message_of<DataError>([&] { open_mvtec(root.path(), "nut"); }),
                 "test: there is no such folder"));
}

TEST_CASE("a folder of one's own: a fifth of the good images is held out by the seed") {
  const TemporaryFolder root;
  for (int i = 0; i < 11; ++i)
    put(root / "fine" / fmt::format("{}.jpg.png", 10 + i), small_image(i));
  put(root / "broken/a.png", small_image(1));
  put(root / "broken/b.PNG", small_image(2));
  put(root / "broken/good/c.png", small_image(3));
  put(root / "masks/a.png", Image(12, 10, 1));
  put(root / "masks/good/c_mask.png", Image(12, 10, 1));
  FolderOptions options{root / "fine", root / "broken/", root / "masks", 7};
  const Dataset data = open_folder(options);
  CHECK(data.origin == "folder");
  CHECK(data.name == "fine");
  CHECK(data.train_good.size() == 9);
  CHECK(data.test.size() == 5);
  CHECK(data.test[0].path == "bad/a.png");
  CHECK(has_mask(data.test[0]));
  CHECK(data.test[1].path == "bad/b.PNG");
  CHECK(!has_mask(data.test[1]));
  CHECK(data.test[2].path == "bad/good/c.png");
  CHECK(data.test[2].defective);
  CHECK(data.test[2].defect == "bad-good");  // "good" is the name of good samples alone
  REQUIRE(data.notes.size() == 1);
  CHECK(contains(data.notes[0], "1 images in"));
  CHECK(has_mask(data.test[2]));
  std::set<std::string> good;
  for (const Sample& s : pooled(data)) {
    if (!s.defective) good.insert(s.path);
  }
  CHECK(good.size() == 11);
  CHECK(paths(open_folder(options).train_good) == paths(data.train_good));
  std::set<std::vector<std::string>> draws;
  for (options.seed = 0; options.seed < 8; ++options.seed) {
    draws.insert(paths(open_folder(options).train_good));
  }
  CHECK(draws.size() > 4);

  put(root / "masks/zzz.png", Image(12, 10, 1));
  CHECK(contains(message_of<DataError>([&] { open_folder(options); }), "zzz.png: a mask without"));
  options.masks = root / "no";
  CHECK(contains(message_of<DataError>([&] { open_folder(options); }),
                 "no: there is no such folder"));
  options.masks = root / "fine";  // the good images by mistake
  CHECK(contains(message_of<DataError>([&] { open_folder(options); }), "a mask without its image"));
  put(root / "astray/scratch/a.png", Image(12, 10, 1));
  options.masks = root / "astray";
  CHECK(contains(message_of<DataError>([&] { open_folder(options); }), "a mask without its image"));
  fs::remove_all(root / "astray/scratch");
  CHECK(contains(message_of<DataError>([&] { open_folder(options); }), "astray: no mask of any"));
  options.masks.reset();
  for (const char* name : {"fine", "broken"}) {
    fs::remove_all(root / name);
    CHECK(
        contains(message_of<DataError>([&] { open_folder(options); }), "there is no such folder"));
    fs::create_directories(root / name);
    CHECK(contains(message_of<DataError>([&] { open_folder(options); }),
                   "PNG, JPEG, BMP or GIF image"));
    put(root / name / "a.png", small_image(1));
    put(root / name / "b.png", small_image(1));
  }
}

TEST_CASE("the check tells everything that is wrong at once") {
  const TemporaryFolder root;
  make_nut(root.path());
  CpuContext ctx(2);
  {
    const std::vector<ClassReport> reports = check_data(ctx, root.path());
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].problems.empty());
    CHECK(reports[0].counts == ClassCounts{3, 2, 3});
    CHECK(reports[0].masks == 2);
    CHECK(reports[0].sizes == "10x12");
    REQUIRE(reports[0].notes.size() == 3);
    CHECK(contains(reports[0].notes[0], "3 good training images; training needs 10"));
    CHECK(contains(reports[0].notes[1], "1 of 3 defective images have no mask"));
    CHECK(contains(reports[0].notes[2], "1 of 8 images are grey"));
  }
  put(root / "nut/test/crack/000.webp", std::string("RIFF....WEBPVP8 "));
  put(root / "nut/train/good/.hidden", std::string("left by a file manager"));
  CHECK(check_data(ctx, root.path())[0].files.sentence() ==
        "8 images and 2 masks read, 6 files ignored: WebP 1 (test/crack/000.webp); hidden 3 "
        "(train/good/.hidden, test/crack/.DS_Store, test/crack/._000.png); no image 2 "
        "(license.txt, readme.txt)");
  put(root / "nut/train/good/001.png", std::string("no image"));
  put(root / "nut/test/good/000.png", testing::Bytes{});
  put(root / "nut/ground_truth/crack/000_mask.png", Image(5, 6, 1));
  put(root / "nut/ground_truth/crack/077_mask.png", Image(12, 10, 1));
  fs::create_directories(root / "nut/test/empty");
  put(root / "nut/test/good/001.png", small_image(1, 20, 20));
  put(root / "other/test/good/000.png", small_image(1));
  const std::vector<ClassReport> reports = check_data(ctx, root.path());
  REQUIRE(reports.size() == 2);
  const std::vector<std::string>& problems = reports[0].problems;
  REQUIRE(problems.size() == 5);
  CHECK(contains(problems[0], "077_mask.png: a mask without its image"));
  CHECK(contains(problems[1], "test/empty: no PNG"));
  CHECK(contains(problems[2], "001.png: not a PNG, JPEG, BMP or GIF"));
  CHECK(contains(problems[3], "000_mask.png: the mask has 6 x 5"));
  CHECK(contains(problems[4], "good/000.png: the file is empty"));
  CHECK(reports[0].sizes == "10x12 to 20x20");
  REQUIRE(reports[1].problems.size() == 1);
  CHECK(contains(reports[1].problems[0], "other/train/good: there is no such folder"));
  CHECK_THROWS_AS(check_data(ctx, root / "no"), DataError);
}

TEST_CASE("the official counts are those of MVTec AD's 15 classes") {
  ClassCounts sum;
  for (const char* name :
       {"bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill",
        "screw", "tile", "toothbrush", "transistor", "wood", "zipper"}) {
    const ClassCounts* counts = official_counts(name);
    REQUIRE(counts != nullptr);
    sum.train_good += counts->train_good;
    sum.test_good += counts->test_good;
    sum.test_defective += counts->test_defective;
  }
  // Bergmann et al. 2019, table 1: 3629 training images and 1725 test images, 467 of them good.
  CHECK(sum == ClassCounts{3629, 467, 1258});
  CHECK(official_counts("ring") == nullptr);
}

}  // namespace assay
