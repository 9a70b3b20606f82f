// Images that are added to a fold's training images.
#include "models/experiments/augmentation.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "kernels/runtime/philox.h"
#include "layers/init.h"
#include "models/experiments/configure.h"
#include "models/experiments/gan_run.h"
#include "tests/support/files.h"

namespace assay {
namespace {

constexpr int kSide = 32;

RunConfig config_of(const std::string& kind, int factor = 1) {
  RunConfig config = default_config("cnn");
  config.image_size = kSide;
  config.batch = 4;
  config.own_values["augment"] = kind;
  config.own_values["augment_factor"] = factor;
  config.own_values["generator_steps"] = 4;  // of batches of 4: each of 16 images once
  check(config);
  return config;
}

/// Images 0, 1, 2, ...; the first `good` are good. The content of image i is a function of
/// salt(i).
ImageStore images(
    int good, int defective, const std::function<int(int)>& salt = [](int i) { return i; }) {
  ImageStore store(current_context(), {}, {.height = kSide, .width = kSide, .channels = 3});
  for (int i = 0; i < good + defective; ++i) {
    Sample sample;
    sample.path = fmt::format("{}.png", i);
    sample.defective = i >= good;
    if (sample.defective) sample.defect = "dent";
    store.add(sample, testing::small_image(salt(i), kSide, kSide));
  }
  return store;
}

std::vector<size_t> numbers(size_t begin, size_t end) {
  std::vector<size_t> all;
  for (size_t i = begin; i < end; ++i) all.push_back(i);
  return all;
}

/// A fold's folder and what is said.
struct Fold {
  explicit Fold(const RunFolder& run) : folder(run.fold(0)) {
    folder.create();
    hooks.progress = [this](const TrainingProgress& at) { step = at.step; };
    hooks.say = [this](const std::string& line) { said += line + "\n"; };
  }
  AugmentedImages augment(const RunConfig& config, const ImageStore& store,
                          const std::vector<size_t>& train, uint64_t seed = 5) {
    return assay::augment(config, store, train, seed, folder, hooks);
  }

  RunFolder folder;
  TrainingHooks hooks;
  int64_t step = 0;
  std::string said;
};

/// The added images of a label, in their order.
std::vector<Image> added(const AugmentedImages& images, size_t before, bool defective) {
  std::vector<Image> found;
  for (size_t i = before; i < images.store.size(); ++i)
    if (images.store.sample(i).defective == defective) found.push_back(images.store.image(i));
  return found;
}

}  // namespace

TEST_CASE("none adds nothing, repeat gives the same images again") {
  const testing::TemporaryFolder folder;
  Fold fold(RunFolder(folder / "run"));
  const ImageStore store = images(3, 2);
  const std::vector<size_t> train = {0, 2, 4};
  CHECK(fold.augment(config_of("none"), store, train).train == train);
  const AugmentedImages twice = fold.augment(config_of("repeat", 2), store, train);
  CHECK(twice.train == std::vector<size_t>{0, 2, 4, 0, 2, 4, 0, 2, 4});
  CHECK(twice.store.size() == 5);
}

TEST_CASE("flip adds mirror images with the label of their image") {
  const testing::TemporaryFolder folder;
  Fold fold(RunFolder(folder / "run"));
  const ImageStore store = images(3, 2);
  const std::vector<size_t> train = {1, 4};
  const AugmentedImages flipped = fold.augment(config_of("flip", 3), store, train);
  REQUIRE(flipped.train == std::vector<size_t>{1, 4, 5, 6, 7, 8, 9, 10});
  for (size_t k = 2; k < flipped.train.size(); ++k) {
    const size_t i = flipped.train[k], of = train[k % 2];
    CHECK(flipped.store.sample(i).defective == store.sample(of).defective);
    const bool across = k < 4 || k >= 6, down = k >= 4;
    for (const int y : {0, 5, 31})
      for (const int x : {0, 3, 31}) {
        const uint8_t* want =
            store.image(of).at(down ? kSide - 1 - y : y, across ? kSide - 1 - x : x);
        CHECK(std::equal(want, want + 3, flipped.store.image(i).at(y, x)));
      }
  }
  CHECK_THROWS_AS(config_of("flip", 4), UsageError);
  CHECK_THROWS_AS(config_of("mirror"), UsageError);
  CHECK_THROWS_AS(config_of("flip", 0), UsageError);
}

TEST_CASE("generated images are those of a DCGAN of the label's training images alone") {
  const testing::TemporaryFolder folder;
  const auto generated = [&](const char* name, const ImageStore& store,
                             const std::vector<size_t>& train, uint64_t seed = 5) {
    Fold fold(RunFolder(folder / name));
    return fold.augment(config_of("generated", 2), store, train, seed);
  };
  std::vector<size_t> train = numbers(0, 16);
  const std::vector<size_t> defective = numbers(20, 37);  // image 16 to 19 and 37 to 39 test
  train.insert(train.end(), defective.begin(), defective.end());
  const ImageStore store = images(20, 20);
  const AugmentedImages first = generated("first", store, train);
  const std::vector<Image> good = added(first, 40, false), bad = added(first, 40, true);
  CHECK(good.size() == 2 * 16);
  CHECK(bad.size() == 2 * 17);
  CHECK(first.train.size() == 3 * train.size());
  CHECK(good[0] != good[1]);
  CHECK(good[0] != bad[0]);

  // The same training by hand.
  RunConfig gan = default_config("dcgan");
  gan.image_size = kSide;
  gan.batch = 4;
  gan.steps = gan.sample_every = 4;
  gan.seed = derived_seed(5, RandomStream::fold, 1);
  Dcgan network(kSide, 3);
  init_parameters(network, Init::dcgan, gan.seed);
  const RunFolder run(folder / "by_hand");
  run.create();
  train_dcgan(network, store, defective, gan, run, {});
  // Positions in the store are other ones, but the order of the images is the same.
  CHECK(generate_images(network, draw_latents(gan.seed, 0, 34)) == bad);

  // Other test images change nothing; another training image and another seed do.
  const auto but = [](size_t other) {
    return images(20, 20, [other](int i) { return i == static_cast<int>(other) ? 99 : i; });
  };
  for (const size_t test : {size_t{17}, size_t{38}})
    CHECK(added(generated(fmt::format("test{}", test).c_str(), but(test), train), 40, false) ==
          good);
  const AugmentedImages changed = generated("changed", but(3), train);
  CHECK(added(changed, 40, false) != good);
  CHECK(added(changed, 40, true) == bad);
  CHECK(added(generated("seed", store, train, 6), 40, false) != good);
}

TEST_CASE("too few images of a label get no generator, and that is said") {
  const testing::TemporaryFolder folder;
  Fold fold(RunFolder(folder / "run"));
  const ImageStore store = images(16, 15);
  const RunConfig config = config_of("generated");
  const AugmentedImages augmented = fold.augment(config, store, numbers(0, 31));
  CHECK(added(augmented, 31, false).size() == 16);
  CHECK(added(augmented, 31, true).empty());
  CHECK(testing::contains(fold.said, "15 defective training images are too few for a DCGAN (16"));
  CHECK(testing::contains(fold.said, "two generated images differ by"));
  CHECK(!std::filesystem::exists(fold.folder.generator("defective").root()));
}

TEST_CASE("generators broken off at any step go on to the same images, and are trained once") {
  const testing::TemporaryFolder folder;
  const ImageStore store = images(16, 16);
  const RunConfig config = config_of("generated");
  Fold whole(RunFolder(folder / "whole")), broken(RunFolder(folder / "broken"));
  const AugmentedImages want = whole.augment(config, store, numbers(0, 32));
  int64_t steps = 0;
  broken.hooks.progress = [&](const TrainingProgress& at) {
    broken.step = at.step;
    ++steps;
  };
  // After the first step of the first generator, then after the first one of the second.
  for (const int64_t stop_after : {1, 5}) {
    broken.hooks.stop_requested = [&, stop_after] { return steps >= stop_after; };
    CHECK_THROWS_AS(broken.augment(config, store, numbers(0, 32)), Interrupted);
  }
  broken.hooks.stop_requested = [] { return false; };
  const AugmentedImages got = broken.augment(config, store, numbers(0, 32));
  CHECK(added(got, 32, false) == added(want, 32, false));
  CHECK(added(got, 32, true) == added(want, 32, true));
  // A third call takes the images that are kept.
  broken.step = 0;
  const AugmentedImages kept = broken.augment(config, store, numbers(0, 32));
  CHECK(broken.step == 0);
  CHECK(added(kept, 32, true) == added(want, 32, true));
  CHECK(!std::filesystem::exists(broken.folder.generator("good").checkpoint()));
  CHECK_THROWS_AS(broken.augment(config_of("generated", 2), store, numbers(0, 32)),
                  CheckpointError);
  // --force leaves nothing of them.
  RunFolder(folder / "broken").clear();
  CHECK(!std::filesystem::exists(broken.folder.root()));
}

TEST_CASE("the number of images is known without making them") {
  const testing::TemporaryFolder folder;
  int run = 0;
  for (const int defective : {15, 16}) {
    const ImageStore store = images(17, defective);
    std::vector<uint8_t> labels;
    for (size_t i = 0; i < store.size(); ++i) labels.push_back(store.sample(i).defective);
    for (const char* kind : {"none", "repeat", "flip", "generated"})
      for (const int factor : {1, 3}) {
        CAPTURE(kind);
        Fold fold(RunFolder(folder / std::to_string(run++)));
        const RunConfig config = config_of(kind, factor);
        CHECK(augmented_count(config, labels) ==
              fold.augment(config, store, numbers(0, store.size())).train.size());
      }
  }
}

}  // namespace assay
