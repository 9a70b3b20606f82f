#include "data/listing.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/mvtec.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using testing::contains;
using testing::message_of;
using testing::put;
using testing::small_image;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

const std::string kTiff("II*\0....", 8);

/// "name kind reason" of every file that a walk finds.
std::vector<std::string> walked(const fs::path& folder, std::vector<fs::path> excluded = {}) {
  constexpr const char* kKinds[] = {"image", "mask", "unsupported", "other", "failed"};
  std::vector<std::string> lines;
  walk_files(
      folder,
      [&](const ListedFile& found) {
        lines.push_back(fmt::format("{} {}{}{}", found.name, kKinds[static_cast<int>(found.kind)],
                                    found.reason.empty() ? "" : ": ", found.reason));
      },
      excluded);
  return lines;
}

}  // namespace

TEST_CASE("every file is an image or has a reason why not, in the order of the names") {
  const TemporaryFolder root;
  put(root / "b.png", small_image(1));
  put(root / "a/2.JPG", std::string("broken, which reading will tell"));
  put(root / "a/1.jfif", std::string("x"));
  put(root / "a.tif", kTiff);
  put(root / "c.tiff", small_image(1));  // a PNG by its content
  put(root / "d.webp", std::string("half"));
  put(root / "e.bak", small_image(1));
  put(root / "f", std::string("text"));
  put(root / "g_mask.png", small_image(1));
  put(root / "h.png", small_image(1));
  put(root / "h_mask.png", small_image(1));
  put(root / ".h.png", small_image(1));
  put(root / "z/.hidden/1.png", small_image(1));
  REQUIRE(mkfifo((root / "i.png").c_str(), 0600) == 0);
  fs::create_symlink("nowhere.png", root / "j.png");
  fs::create_symlink("nowhere", root / "k");
  CHECK(walked(root.path()) ==
        std::vector<std::string>{
            ".h.png other: hidden", "a/1.jfif image", "a/2.JPG image", "a.tif unsupported: TIFF",
            "b.png image", "c.tiff image", "d.webp unsupported: WebP",
            "e.bak unsupported: PNG whose name does not end as an image's", "f other: no image",
            "g_mask.png image", "h.png image", "h_mask.png mask: mask of the image beside it",
            "i.png other: no regular file", "j.png image", "k other: link that leads nowhere",
            "z/.hidden other: hidden"});
  CHECK(list_file(root / "a.tif").reason == "TIFF");
  CHECK_THROWS_AS(walked(root / "no"), DataError);
}

TEST_CASE("links to folders are followed once, and never in a circle") {
  const TemporaryFolder root, outside;
  put(outside / "1.png", small_image(1));
  put(root / "in/2.png", small_image(2));
  fs::create_symlink(outside.path(), root / "a");
  fs::create_symlink(outside.path(), root / "b");
  fs::create_symlink("in", root / "c");
  fs::create_symlink("..", root / "in/up");
  fs::create_symlink("/", root / "top");
  CHECK(walked(root.path()) ==
        std::vector<std::string>{"a/1.png image", "b other: link to a folder that is read anyway",
                                 "c other: link to a folder that is read anyway", "in/2.png image",
                                 "in/up other: link to a folder that is read anyway",
                                 "top other: link to a folder that is read anyway"});
  // Given by a link itself, a folder is read as any other.
  fs::create_symlink(root / "in", root / "way");
  CHECK(walked(root / "way").front() == "2.png image");
  CHECK(walked(root.path(), {fs::canonical(root / "in"), fs::canonical(outside.path())}) ==
        std::vector<std::string>{"top other: link to a folder that is read anyway"});
}

TEST_CASE("an account says how many files were read and which were not") {
  FileCounts account;
  CHECK(account.sentence() == "0 images read, no file ignored");
  account.add_image();
  account.add_mask();
  for (const char* name : {"a", "b", "c", "d"}) account.add_ignored(name, "no image");
  account.add_ignored("e.tif", "TIFF");
  CHECK(account.ignored() == 5);
  CHECK(account.sentence() ==
        "1 image and 1 mask read, 5 files ignored: TIFF 1 (e.tif); no image 4 (a, b, c, ...)");
}

TEST_CASE("MVTec's layout with folders below its folders") {
  const TemporaryFolder root;
  const fs::path nut = root / "nut";
  for (const char* name : {"000.png", "cam2/000.png", "cam2/001.gif"})
    put(nut / "train/good" / name, small_image(1));
  for (const char* name : {"good/000.png", "crack/000.png", "crack/001.png", "crack/cam2/000.png"})
    put(nut / "test" / name, small_image(2));
  put(nut / "ground_truth/crack/000/000.png", small_image(3));  // as MVTec LOCO AD has them
  put(nut / "ground_truth/crack/000/001.png", small_image(3));
  put(nut / "ground_truth/crack/cam2/000_mask.png", small_image(3));
  put(nut / "ground_truth/stray.png", small_image(3));
  put(nut / "test/stray.png", small_image(4));
  put(nut / "train/other/000.png", small_image(4));
  put(nut / "train/good/000.tif", kTiff);
  put(nut / "extra/a.png", small_image(4));
  const Dataset data = open_mvtec(root.path(), "nut");
  REQUIRE(data.train_good.size() == 3);
  CHECK(data.train_good[1].path == "train/good/cam2/000.png");
  REQUIRE(data.test.size() == 4);
  CHECK(data.test[0].masks.size() == 2);
  CHECK(data.test[1].masks.empty());
  CHECK(data.test[2].path == "test/crack/cam2/000.png");
  CHECK(data.test[2].defect == "crack");
  CHECK(data.test[2].masks.size() == 1);
  CHECK(data.files.sentence() ==
        "7 images and 3 masks read, 5 files ignored: TIFF 1 (train/good/000.tif); image at a place "
        "where none is looked for 4 (train/other/000.png, test/stray.png, ground_truth/stray.png, "
        "...)");
  put(nut / "ground_truth/crack/000_mask.png", small_image(3));
  CHECK(contains(message_of<DataError>([&] { open_mvtec(root.path(), "nut"); }),
                 "test/crack/000.png has another mask"));
  fs::remove(nut / "ground_truth/crack/000_mask.png");
  put(nut / "test/crack/000.jpg", small_image(3));
  CHECK(contains(message_of<DataError>([&] { open_mvtec(root.path(), "nut"); }),
                 "its image may be test/crack/000.jpg or test/crack/000.png"));
}

TEST_CASE("an image that is not read is named where it is the only one") {
  const TemporaryFolder root;
  put(root / "nut/train/good/000.tif", kTiff);
  put(root / "nut/test/good/000.png", small_image(1));
  CHECK(contains(message_of<DataError>([&] { open_mvtec(root.path(), "nut"); }),
                 "image in it (000.tif: TIFF, which is not read; convert it to PNG)"));
  CHECK(contains(message_of<DataError>([&] { list_mvtec_classes(root / "nut"); }),
                 "name the folder above it"));
}

TEST_CASE("a folder for one purpose inside another serves its own alone") {
  const TemporaryFolder root;
  for (int i = 0; i < 4; ++i) put(root / fmt::format("own/{}.png", i), small_image(i));
  put(root / "own/broken/5.png", small_image(5));
  put(root / "own/broken/masks/5.png", Image(12, 10, 1));
  const Dataset data = open_folder({root / "own", root / "own/broken", root / "own/broken/masks"});
  CHECK(data.train_good.size() == 3);
  REQUIRE(data.test.size() == 2);
  CHECK(data.test[0].path == "bad/5.png");
  CHECK(data.test[0].masks.size() == 1);
  CHECK(contains(message_of<DataError>([&] {
                   open_folder({root / "own", root / "own/."});
                 }),
                 "as --good and as --bad"));
}

TEST_CASE("masks among the images of defects are theirs, and are named") {
  const TemporaryFolder root;
  for (int i = 0; i < 4; ++i) put(root / fmt::format("fine/{}.png", i), small_image(i));
  put(root / "broken/5.png", small_image(5));
  put(root / "broken/5_mask.png", Image(12, 10, 1));
  put(root / "fine/0_mask.png", Image(12, 10, 1));
  const Dataset data = open_folder({root / "fine", root / "broken", std::nullopt});
  CHECK(pooled(data).size() == 5);
  REQUIRE(has_mask(data.test[0]));
  CHECK(data.test[0].masks.front() == root / "broken/5_mask.png");
  REQUIRE(data.notes.size() == 1);
  CHECK(contains(data.notes[0], "1 mask lies among the images of"));
  CHECK(data.files.sentence() ==
        "5 images and 1 mask read, 1 file ignored: mask of the image "
        "beside it 1 (good/0_mask.png)");
}

TEST_CASE("a system without descriptors is named, and makes no file another one") {
  const TemporaryFolder root;
  put(root / "a", small_image(1));
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  // UBSan needs descriptors to look at an exception, so the limit ends before one is caught.
  struct Restore {
    rlimit limit;
    ~Restore() { setrlimit(RLIMIT_NOFILE, &limit); }
  };
  const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(next >= 0);
  close(next);
  const rlimit none{static_cast<rlim_t>(next), limit.rlim_max};
  const std::string refusal = message_of<Error>([&] {
    const Restore restore{limit};
    setrlimit(RLIMIT_NOFILE, &none);
    list_file(root / "a");
  });
  CHECK(contains(refusal, "a: the system refuses to open it"));
  CHECK(list_file(root / "a").kind == FileKind::unsupported);
}

}  // namespace assay
