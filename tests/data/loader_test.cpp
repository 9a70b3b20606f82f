#include "data/loader.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "data/builtin.h"
#include "data/mvtec.h"
#include "data/noise.h"
#include "data/resize.h"
#include "tensor/ops.h"
#include "tests/support/every_device.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using testing::contains;
using testing::message_of;
using testing::small_image;

/// n drawn images of 12 x 10 with a mask on every third.
std::vector<Sample> some_samples(int n) {
  std::vector<Sample> samples;
  for (int i = 0; i < n; ++i) {
    Sample sample;
    sample.path = fmt::format("train/good/{}", i);
    sample.defective = i % 3 == 0;
    sample.draw = [i] {
      LoadedImage image{small_image(i), std::nullopt};
      if (i % 3 == 0) {
        image.mask = Image(12, 10, 1);
        std::fill_n(image.mask->pixels.begin(), 60, uint8_t{255});
      }
      return image;
    };
    samples.push_back(sample);
  }
  return samples;
}

std::vector<size_t> range(size_t n) {
  std::vector<size_t> all(n);
  for (size_t i = 0; i < n; ++i) all[i] = i;
  return all;
}

struct Epoch {
  std::vector<size_t> images;
  std::vector<float> x, clean;
  std::vector<size_t> sizes;
};

Epoch run_epoch(BatchLoader& loader, int64_t epoch, int64_t first = 0) {
  Epoch all;
  loader.start_epoch(epoch, first);
  Batch batch;
  while (loader.next(batch)) {
    all.images.insert(all.images.end(), batch.images.begin(), batch.images.end());
    all.sizes.push_back(batch.images.size());
    const std::vector<float> x = batch.x.to_floats();
    all.x.insert(all.x.end(), x.begin(), x.end());
    if (batch.clean.defined()) {
      const std::vector<float> clean = batch.clean.to_floats();
      all.clean.insert(all.clean.end(), clean.begin(), clean.end());
    }
  }
  return all;
}

Context& one_thread() {
  static CpuContext ctx(1);
  return ctx;
}

}  // namespace

DEVICE_TEST_CASE("a store holds every image at the model's size, the same at any thread count") {
  CpuContext three(3);
  const ImageStore::Options options = {.height = 8, .width = 6, .channels = 1, .masks = true};
  const ImageStore store(three, some_samples(10), options);
  const ImageStore again(one_thread(), some_samples(10), options);
  REQUIRE(store.size() == 10);
  for (size_t i = 0; i < 10; ++i) {
    CHECK(store.image(i) == resize(to_grey(small_image(static_cast<int>(i))), 8, 6));
    CHECK(store.image(i) == again.image(i));
    CHECK(store.pixels(i).size() == 48);
    CHECK(store.mask(i).size() == (i % 3 == 0 ? 48 : 0));
  }
  CHECK(*store.mask(3).at(1, 2) == 255);
  CHECK(*store.mask(3).at(6, 2) == 0);
  const ImageStore without(one_thread(), some_samples(4), {.height = 8, .width = 6});
  CHECK(without.mask(0).size() == 0);

  const std::vector<size_t> chosen = {7, 2};
  const Tensor batch = store.batch(chosen);
  CHECK(batch.shape() == Shape{2, 8, 6, 1});
  const std::vector<float> values = batch.to_floats();
  CHECK(values[0] == static_cast<float>(store.pixels(7)[0]) / 255.0f);
  CHECK(values[48 + 5] == static_cast<float>(store.pixels(2)[5]) / 255.0f);
  CHECK_THROWS_AS(store.batch(std::vector<size_t>{10}), Error);
}

TEST_CASE("a store reads everything first and names the first file that is broken") {
  const testing::TemporaryFolder root;
  for (int i = 0; i < 9; ++i) {
    testing::put(root / "nut/train/good" / fmt::format("{}.png", i), small_image(i));
    testing::put(root / "nut/test/good" / fmt::format("{}.png", i), small_image(i));
  }
  testing::put(root / "nut/train/good/4.png", std::string("broken"));
  testing::put(root / "nut/train/good/7.png", std::string("broken too"));
  const Dataset data = open_mvtec(root.path(), "nut");
  CpuContext two(2);
  CHECK(contains(message_of<DataError>([&] { ImageStore(two, data.train_good, {}); }),
                 "train/good/4.png: not a PNG"));
}

DEVICE_TEST_CASE("an epoch gives every image once; the last batch is what is left") {
  const ImageStore store(one_thread(), some_samples(11), {.height = 4, .width = 5});
  BatchLoader loader(store, range(11), {.batch = 4, .seed = 3});
  CHECK(loader.batches_per_epoch() == 3);
  Batch none;
  CHECK(!loader.next(none));  // no epoch yet
  const Epoch first = run_epoch(loader, 0);
  CHECK(first.sizes == std::vector<size_t>{4, 4, 3});
  CHECK(std::set<size_t>(first.images.begin(), first.images.end()).size() == 11);
  CHECK(first.images == epoch_order(range(11), 3, 0));
  CHECK(first.images != range(11));
  const size_t each = 4 * 5 * 3;
  REQUIRE(first.x.size() == 11 * each);
  for (size_t n = 0; n < 11; ++n) {
    for (size_t k = 0; k < each; ++k) {
      REQUIRE(first.x[n * each + k] ==
              static_cast<float>(store.pixels(first.images[n])[k]) / 255.0f);
    }
  }
  CHECK(!loader.next(none));
  CHECK(run_epoch(loader, 1).images != first.images);
  CHECK(run_epoch(loader, 0).x == first.x);

  BatchLoader in_order(store, {5, 1, 8}, {.batch = 2, .shuffle = false});
  CHECK(run_epoch(in_order, 4).images == std::vector<size_t>{5, 1, 8});
}

DEVICE_TEST_CASE("an epoch can start in its middle, and a new start drops what was made ahead") {
  const ImageStore store(one_thread(), some_samples(20), {.height = 4, .width = 4});
  const BatchOptions options = {
      .batch = 3, .seed = 8, .flips = true, .shifts = 2, .noisy = {1, 4, 7}, .clean_target = true};
  BatchLoader unbroken(store, range(20), options), resumed(store, range(20), options);
  const Epoch whole = run_epoch(unbroken, 6);
  const Epoch tail = run_epoch(resumed, 6, 4);
  const size_t skipped = 4 * 3 * 4 * 4 * 3;
  REQUIRE(tail.x.size() == whole.x.size() - skipped);
  CHECK(std::equal(tail.x.begin(), tail.x.end(), whole.x.begin() + skipped));
  CHECK(std::equal(tail.clean.begin(), tail.clean.end(), whole.clean.begin() + skipped));
  for (int64_t epoch = 0; epoch < 50; ++epoch) {  // never waits for what is in the making
    resumed.start_epoch(epoch);
    Batch batch;
    if (epoch % 3 == 0) REQUIRE(resumed.next(batch));
  }
  CHECK(run_epoch(resumed, 6).x == whole.x);
  CHECK_THROWS_AS(resumed.start_epoch(0, 8), Error);
  CHECK_THROWS_AS(resumed.start_epoch(-1), Error);
}

DEVICE_TEST_CASE("endless batches are full, and each pass gives every image once") {
  const ImageStore store(one_thread(), some_samples(7), {.height = 4, .width = 5});
  const std::vector<size_t> images = {0, 2, 3, 4, 6};
  const BatchOptions options = {.batch = 4, .seed = 9, .flips = true, .shifts = 2, .endless = true};
  BatchLoader loader(store, images, options);
  CHECK(loader.endless());
  CHECK(loader.batches_per_epoch() == 2);
  loader.start_epoch(0);
  constexpr size_t kPasses = 4, kBatches = 5;  // 20 images
  const size_t each = 4 * 5 * 3;
  std::vector<size_t> seen;
  std::vector<float> x;
  Batch batch;
  for (size_t b = 0; b < kBatches; ++b) {
    REQUIRE(loader.next(batch));
    CHECK(batch.images.size() == 4);
    seen.insert(seen.end(), batch.images.begin(), batch.images.end());
    const std::vector<float> values = batch.x.to_floats();
    x.insert(x.end(), values.begin(), values.end());
  }
  // The passes are the epochs of a loader whose batches end, with their order and augmentation.
  BatchOptions ending = options;
  ending.endless = false;
  BatchLoader epochs(store, images, ending);
  for (size_t pass = 0; pass < kPasses; ++pass) {
    const Epoch epoch = run_epoch(epochs, static_cast<int64_t>(pass));
    CHECK(std::equal(epoch.images.begin(), epoch.images.end(), &seen[pass * 5]));
    CHECK(std::equal(epoch.x.begin(), epoch.x.end(), &x[pass * 5 * each]));
  }
  BatchLoader resumed(store, images, options);
  resumed.start_epoch(0, 3);
  REQUIRE(resumed.next(batch));
  CHECK(std::equal(batch.images.begin(), batch.images.end(), &seen[12]));
  const std::vector<float> values = batch.x.to_floats();
  CHECK(std::equal(values.begin(), values.end(), &x[12 * each]));
}

// A later batch gets the memory of one that is dropped, and may be copied there while operations
// that read the first still wait for the device.
DEVICE_TEST_CASE("a batch can be dropped before the operations that use it have run") {
  const ImageStore store(one_thread(), some_samples(20), {.height = 4, .width = 4});
  const BatchOptions options = {.batch = 3, .seed = 8, .clean_target = true, .labels = true};
  BatchLoader loader(store, range(20), options), again(store, range(20), options);
  std::vector<Tensor> x, clean, labels;
  Tensor other = Tensor::zeros({1000});
  Batch batch;
  loader.start_epoch(2);
  while (loader.next(batch)) {
    for (int i = 0; i < 30; ++i) other = affine(other, 2, 1);  // the device falls behind
    x.push_back(affine(batch.x, 2, 1));
    clean.push_back(affine(batch.clean, 2, 1));
    labels.push_back(affine(batch.labels, 2, 1));
    batch = {};
  }
  REQUIRE(x.size() == 7);
  const auto twice_plus_1 = [](const Tensor& t) {
    std::vector<float> values = t.to_floats();
    for (float& v : values) v = 2 * v + 1;
    return values;
  };
  again.start_epoch(2);
  for (size_t b = 0; b < x.size(); ++b) {
    CAPTURE(b);
    REQUIRE(again.next(batch));
    CHECK(x[b].to_floats() == twice_plus_1(batch.x));
    CHECK(clean[b].to_floats() == twice_plus_1(batch.clean));
    CHECK(labels[b].to_floats() == twice_plus_1(batch.labels));
  }
}

DEVICE_TEST_CASE("only the images named noisy get noise, the same in every epoch and company") {
  const ImageStore store(one_thread(), some_samples(9), {.height = 6, .width = 6});
  const size_t each = 6 * 6 * 3;
  BatchLoader loader(
      store, range(9),
      {.batch = 4, .seed = 2, .shuffle = false, .noisy = {2, 5}, .clean_target = true});
  const Epoch epoch = run_epoch(loader, 0);
  REQUIRE(epoch.clean.size() == epoch.x.size());
  for (size_t i = 0; i < 9; ++i) {
    const bool changed =
        !std::equal(&epoch.x[i * each], &epoch.x[i * each] + each, &epoch.clean[i * each]);
    CHECK(changed == (i == 2 || i == 5));
  }
  CHECK(run_epoch(loader, 1).x == epoch.x);
  const std::vector<Sample> all = some_samples(9);
  const ImageStore other(one_thread(), {all[5]}, {.height = 6, .width = 6});
  BatchLoader alone(other, {0}, {.seed = 2, .noisy = {0}});
  const Epoch single = run_epoch(alone, 3);
  CHECK(std::equal(single.x.begin(), single.x.end(), &epoch.x[5 * each]));
}

DEVICE_TEST_CASE("flips mirror half of the images, shifts move them and repeat the edge") {
  const ImageStore store(one_thread(), some_samples(1), {.height = 12, .width = 10});
  const Image& image = store.image(0);
  BatchLoader loader(store, {0}, {.seed = 1, .flips = true, .shifts = 2});
  int flipped = 0;
  std::set<std::pair<int, int>> motions;
  constexpr int kEpochs = 200;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const std::vector<float> x = run_epoch(loader, epoch).x;
    int matches = 0;
    for (int flip = 0; flip < 2; ++flip) {
      for (int dy = -2; dy <= 2; ++dy) {
        for (int dx = -2; dx <= 2; ++dx) {
          bool same = true;
          for (int y = 0; y < 12 && same; ++y) {
            for (int c = 0; c < 10 && same; ++c) {
              const int from_y = std::clamp(y - dy, 0, 11), moved = std::clamp(c - dx, 0, 9);
              const uint8_t v = image.at(from_y, flip ? 9 - moved : moved)[1];
              same = x[static_cast<size_t>((y * 10 + c) * 3 + 1)] == static_cast<float>(v) / 255.0f;
            }
          }
          if (!same) continue;
          ++matches;
          flipped += flip;
          motions.insert({dy, dx});
        }
      }
    }
    REQUIRE(matches == 1);
  }
  CHECK(std::abs(flipped - kEpochs / 2) < 5 * 7.1);  // deviation sqrt(200) / 2
  CHECK(motions.size() == 25);
}

TEST_CASE("what cannot be loaded is refused") {
  const ImageStore store(one_thread(), some_samples(3), {.height = 4, .width = 4});
  CHECK_THROWS_AS(BatchLoader(store, {0, 3}, {}), Error);
  CHECK_THROWS_AS(BatchLoader(store, {}, {}), Error);
  CHECK_THROWS_AS(BatchLoader(store, {0}, {.batch = 0}), UsageError);
  CHECK_THROWS_AS(BatchLoader(store, {0}, {.shifts = -1}), UsageError);
  CHECK_THROWS_AS(BatchLoader(store, {0}, {.noisy = {9}}), Error);
}

}  // namespace assay
