// Predictor: the predictions of evaluate, from raw pixels, files and several threads.
#include "models/experiments/predictor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <thread>

#include "data/loader.h"
#include "models/experiments/configure.h"
#include "models/experiments/run.h"
#include "models/run/csv.h"
#include "models/run/data.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using testing::contains;
using testing::message_of;

constexpr int kSide = 64;

/// A finished run on built-in images.
RunConfig small_run(const std::string& model, const RunFolder& folder) {
  RunConfig config = default_config(model);
  config.data = "builtin";
  config.object_class = "ring";
  config.image_size = kSide;
  config.folds = model == "cnn" ? 2 : config.folds;
  config.epochs = 1;
  config.batch = 8;
  config.bit_depth = "16";
  train_run(config, folder, Start::fresh, {});
  return config;
}

bool equal(const ImagePrediction& a, const ImagePrediction& b) {
  return a.score == b.score && a.defective == b.defective && a.components == b.components &&
         a.heat == b.heat;
}

/// `image` inside of a larger buffer, with an alpha channel that must not count.
struct PaddedPixels {
  explicit PaddedPixels(const Image& image)
      : stride(static_cast<size_t>(image.width) * 4 + 13), bytes(stride * image.height, 0xAB) {
    const Image rgb = to_rgb(image);
    for (int y = 0; y < rgb.height; ++y)
      for (int x = 0; x < rgb.width; ++x)
        std::copy_n(rgb.at(y, x), 3, &bytes[static_cast<size_t>(y) * stride + 4 * x]);
  }
  size_t stride;
  std::vector<uint8_t> bytes;
};

}  // namespace

TEST_CASE("a predictor says of raw pixels what the evaluation says of their files") {
  for (const char* model : {"kd-cae", "cnn", "lpd"}) {
    CAPTURE(model);
    const testing::TemporaryFolder temporary;
    const RunFolder folder(temporary / "run");
    const RunConfig config = small_run(model, folder);
    const Predictor predictor(folder.root(), {.threads = 2});
    CHECK(predictor.side() == kSide);
    CHECK(predictor.channels() == 3);

    const CsvTable scores = read_csv(folder.scores());
    std::map<std::string, size_t> row_of;
    for (size_t i = 0; i < scores.rows.size(); ++i) row_of[scores.rows[i][0]] = i;
    std::vector<Image> images;
    std::vector<size_t> rows;
    for (const Sample& sample : open_data(config).test) {
      images.push_back(load_image(sample));
      if (row_of.contains(sample.path)) rows.push_back(row_of.at(sample.path));
    }
    // The order of scores.csv is that of the test images, so batches are the evaluation's.
    const bool same_images = rows.size() == images.size();
    std::vector<PixelView> views;
    for (const Image& image : images) views.push_back(view_of(image));
    const std::vector<ImagePrediction> predictions = predictor.predict(views);
    REQUIRE(predictions.size() == images.size());
    REQUIRE(same_images);
    const std::vector<double> expected = scores.numbers("score");
    for (size_t i = 0; i < images.size(); ++i) {
      CAPTURE(i);
      if (std::string(model) != "cnn") CHECK(predictions[i].score == expected[rows[i]]);
      CHECK(predictions[i].defective == (predictions[i].score > predictor.threshold()));
      CHECK(predictions[i].components.size() == predictor.component_names().size());
    }

    // Gaps between rows, alpha, and a file are the same image.
    const ImagePrediction alone = predictor.predict(view_of(images[0]));
    const PaddedPixels padded(images[0]);
    CHECK(equal(predictor.predict(
                    {padded.bytes.data(), images[0].width, images[0].height, 4, padded.stride}),
                predictor.predict(view_of(to_rgb(images[0])))));
    testing::put(temporary / "image.png", images[0]);
    CHECK(equal(predictor.predict(temporary / "image.png"), alone));
    const bool has_heat = std::string(model) != "cnn";
    CHECK(alone.heat.size() == (has_heat ? kSide * kSide : 0));
    if (has_heat)
      CHECK(predictor.heat_map(view_of(images[0]), alone).height == kSide);
    else
      CHECK_THROWS_AS(predictor.heat_map(view_of(images[0]), alone), UsageError);
  }
}

TEST_CASE("a predictor is used by many threads at once") {
  const testing::TemporaryFolder temporary;
  const RunFolder folder(temporary / "run");
  const RunConfig config = small_run("kd-cae", folder);
  const Predictor predictor(folder.root(), {.threads = 2});
  std::vector<Image> images;
  for (const Sample& sample : open_data(config).test) images.push_back(load_image(sample));
  images.resize(std::min<size_t>(images.size(), 6));
  std::vector<ImagePrediction> expected;
  for (const Image& image : images) expected.push_back(predictor.predict(view_of(image)));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 3 * images.size(); ++i) {
        const size_t n = (i * (t + 1)) % images.size();
        wrong[t] += !equal(predictor.predict(view_of(images[n])), expected[n]);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  // Images differ, so a mixed-up answer would be seen.
  CHECK(!equal(expected[0], expected[1]));
}

TEST_CASE("a predictor names what it cannot take") {
  const testing::TemporaryFolder temporary;
  const RunFolder folder(temporary / "run");
  CHECK_THROWS_AS(Predictor(folder.root()), CheckpointError);
  small_run("kd-cae", folder);
  CHECK_THROWS_AS(Predictor(folder.root(), {.threads = -1}), UsageError);
  CHECK_THROWS_AS(Predictor(folder.root(), {.device = "tpu"}), UsageError);
  const Predictor predictor(folder.root());
  const uint8_t pixel[8] = {};
  const auto message = [&](const PixelView& view) {
    return message_of<UsageError>([&] { predictor.predict(view); });
  };
  CHECK(contains(message({nullptr, 1, 1, 1}), "at least 1x1"));
  CHECK(contains(message({pixel, 0, 1, 1}), "at least 1x1"));
  CHECK(contains(message({pixel, 1, 1, 2}), "2 channels"));
  CHECK(contains(message({pixel, 2, 2, 3, 5}), "stride of 5"));
  CHECK(predictor.predict(std::span<const PixelView>()).empty());
  CHECK_NOTHROW(predictor.predict(PixelView{pixel, 1, 1, 3}));
  CHECK_THROWS_AS(predictor.predict(temporary / "none.png"), DataError);
  const Image small = testing::small_image(1);
  const Image* images[] = {&small};
  CHECK_THROWS_AS(predictor.predict_at_size(images), UsageError);
}

}  // namespace assay
