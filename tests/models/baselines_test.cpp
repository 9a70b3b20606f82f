// The baselines against plain loops over the same images, and what a stored one promises.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "data/dataset.h"
#include "data/loader.h"
#include "models/detectors/baseline_detectors.h"
#include "models/experiments/configure.h"
#include "models/training/checkpoint.h"
#include "tests/support/files.h"

namespace assay {
namespace {

constexpr int kSide = 32;
constexpr int64_t kValues = int64_t{kSide} * kSide * 3;

/// Some good and all test images of the built-in ring.
struct Images {
  explicit Images(int threads = 1)
      : context(threads),
        scope(context),
        data(open_dataset("builtin", "ring")),
        good(context, data.train_good, {.height = kSide, .width = kSide, .channels = 3}),
        test(context, data.test, {.height = kSide, .width = kSide, .channels = 3}) {
    for (size_t i = 0; i < 12; ++i) train.push_back(i);
    for (size_t i = 12; i < 20; ++i) held_out.push_back(i);
  }

  CpuContext context;
  ContextScope scope;
  Dataset data;
  ImageStore good, test;
  std::vector<size_t> train, held_out;
};

RunConfig config_of(const std::string& model) {
  RunConfig config = default_config(model);
  config.data = "builtin";
  config.object_class = "ring";
  config.image_size = kSide;
  return config;
}

double value(const ImageStore& store, size_t image, int64_t i) {
  return store.pixels(image)[i] / 255.0;
}

/// Naive mean over the part of the 9 x 9 box that lies in the image.
double boxed(const std::vector<double>& map, int y, int x) {
  double sum = 0;
  int count = 0;
  for (int v = std::max(0, y - 4); v <= std::min(kSide - 1, y + 4); ++v)
    for (int u = std::max(0, x - 4); u <= std::min(kSide - 1, x + 4); ++u) {
      sum += map[v * kSide + u];
      ++count;
    }
  return sum / count;
}

template <class D>
D fitted(const Images& images, const std::string& model, int components = 0) {
  RunConfig config = config_of(model);
  if (components > 0) config.own_values["components"] = components;
  D detector(config);
  detector.fit(images.good, images.train);
  detector.calibrate_on({detector.predict(images.good.batch(images.held_out))});
  return detector;
}

std::vector<size_t> all_test(const Images& images) {
  std::vector<size_t> all(images.test.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

}  // namespace

TEST_CASE("mean: score and heat are those of plain loops") {
  const Images images;
  MeanDetector detector = fitted<MeanDetector>(images, "mean");
  const std::vector<size_t> two = {0, 30};
  const Prediction prediction = detector.predict(images.test.batch(two));
  for (size_t n = 0; n < two.size(); ++n) {
    std::vector<double> z(kSide * kSide);
    for (int64_t i = 0; i < kValues; ++i) {
      double mean = 0, squares = 0;
      for (const size_t t : images.train) mean += value(images.good, t, i) / 12;
      for (const size_t t : images.train) squares += std::pow(value(images.good, t, i) - mean, 2);
      const double deviation = std::sqrt(squares / 11);
      z[i / 3] += std::pow((value(images.test, two[n], i) - mean) / (deviation + 0.01), 2) / 3;
    }
    for (double& v : z) v = std::sqrt(v);
    double largest = 0;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const double want = boxed(z, y, x);
        largest = std::max(largest, want);
        // float32 values of about 1, divided by no less than 0.01, then averaged.
        CHECK(prediction.heat[(n * kSide + y) * kSide + x] == doctest::Approx(want).epsilon(2e-5));
      }
    CHECK(prediction.components[n] == std::vector<double>{prediction.components[n].front()});
    CHECK(prediction.components[n].front() == doctest::Approx(largest).epsilon(2e-5));
  }
}

TEST_CASE("nearest: the image is that of a plain search, and its difference the heat") {
  const Images images;
  NearestDetector detector = fitted<NearestDetector>(images, "nearest");
  const std::vector<size_t> all = all_test(images);
  const Prediction prediction = detector.predict(images.test.batch(all));
  const auto small = [&](const ImageStore& store, size_t image, int k) {
    const int c = k % 3, x = k / 3 % 16, y = k / 48;
    double sum = 0;
    for (int v = 0; v < 2; ++v)
      for (int u = 0; u < 2; ++u)
        sum += value(store, image, ((2 * y + v) * kSide + 2 * x + u) * 3 + c);
    return sum / 4;
  };
  for (const size_t n : {size_t{0}, size_t{20}, size_t{39}}) {
    size_t best = 0;
    double least = std::numeric_limits<double>::max();
    for (const size_t t : images.train) {
      double squares = 0;
      for (int k = 0; k < 768; ++k)
        squares += std::pow(small(images.test, n, k) - small(images.good, t, k), 2);
      if (squares < least) {
        least = squares;
        best = t;
      }
    }
    CHECK(prediction.components[n].front() ==
          doctest::Approx(std::sqrt(least / 768)).epsilon(1e-5));
    std::vector<double> map(kSide * kSide);
    for (int64_t i = 0; i < kValues; ++i)
      map[i / 3] += std::pow(value(images.test, n, i) - value(images.good, best, i), 2) / 3;
    CHECK(prediction.heat[n * kSide * kSide + 5 * kSide + 7] ==
          doctest::Approx(boxed(map, 5, 7)).epsilon(1e-4));
    const std::vector<size_t> one = {n};
    const auto why = detector.explain(images.test.batch(one).to_floats());
    REQUIRE(why);
    CHECK(why->nearest_image == images.good.sample(best).path);
  }
  // A training image is nearest to itself.
  const std::vector<size_t> own = {3};
  const Prediction itself = detector.predict(images.good.batch(own));
  CHECK(itself.components[0].front() < 1e-6);
}

TEST_CASE("pca: what lies in the span of the training images leaves no residual") {
  const Images images;
  PcaDetector all = fitted<PcaDetector>(images, "pca", 40);
  CHECK(all.components() == 11);  // twelve images around their mean
  // A mixture whose weights sum to 1.
  std::vector<float> mixture(kValues);
  for (int64_t i = 0; i < kValues; ++i)
    mixture[i] =
        static_cast<float>(0.5 * value(images.good, 0, i) + 0.3 * value(images.good, 5, i) +
                           0.2 * value(images.good, 11, i));
  const Prediction inside = all.predict(Tensor::from({1, kSide, kSide, 3}, mixture));
  CHECK(inside.components[0].front() < 1e-10);
  const std::vector<size_t> defective = {30};
  const Prediction outside = all.predict(images.test.batch(defective));
  CHECK(outside.components[0].front() > 1e-5);
  // The residual is the squared distance from the span: it falls with every component, and what is
  // left is orthogonal to it, so moving along the span changes nothing.
  double before = std::numeric_limits<double>::max();
  for (const int components : {1, 2, 5, 11}) {
    PcaDetector detector = fitted<PcaDetector>(images, "pca", components);
    CHECK(detector.components() == components);
    const double now = detector.predict(images.test.batch(defective)).components[0].front();
    CHECK(now < before);
    before = now;
  }
  std::vector<float> moved = images.test.batch(defective).to_floats();
  for (int64_t i = 0; i < kValues; ++i)
    moved[i] += static_cast<float>(value(images.good, 2, i) - value(images.good, 7, i));
  CHECK(all.predict(Tensor::from({1, kSide, kSide, 3}, moved)).components[0].front() ==
        doctest::Approx(outside.components[0].front()).epsilon(1e-4));
}

TEST_CASE_TEMPLATE("a stored baseline predicts the same bits, at any number of threads", D,
                   MeanDetector, PcaDetector, NearestDetector) {
  const std::string model = std::is_same_v<D, MeanDetector>  ? "mean"
                            : std::is_same_v<D, PcaDetector> ? "pca"
                                                             : "nearest";
  const testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  Prediction want;
  {
    const Images images(1);
    D detector = fitted<D>(images, model);
    detector.save(run);
    want = detector.predict(images.test.batch(all_test(images)));
  }
  const Images images(3);
  D again = fitted<D>(images, model), loaded(config_of(model));
  loaded.load(run);
  CHECK(loaded.scoring().threshold == again.scoring().threshold);
  CHECK(loaded.heat_scale() == again.heat_scale());
  for (D* detector : {&again, &loaded}) {
    const Prediction got = detector->predict(images.test.batch(all_test(images)));
    CHECK(got.components == want.components);
    CHECK(got.heat == want.heat);
    CHECK(got.reconstruction == want.reconstruction);
  }
  SafeTensors file = read_checked(run.model());
  file.tensors.clear();
  write_checked(run.model(), std::move(file));
  CHECK_THROWS_AS(loaded.load(run), CheckpointError);
}

TEST_CASE("a baseline refuses what it cannot fit") {
  const Images images;
  PcaDetector detector(config_of("pca"));
  CHECK_THROWS_AS(detector.fit(images.good, {0}), DataError);
  RunConfig config = config_of("nearest");
  config.image_size = 40;
  CHECK_THROWS_AS(check(config), UsageError);
  // Where all good images are one, the score cannot vary.
  MeanDetector mean(config_of("mean"));
  mean.fit(images.good, {4, 4, 4});
  const std::vector<size_t> same = {4, 4, 4};
  mean.calibrate_on({mean.predict(images.good.batch(same))});
  CHECK(mean.collapsed());
}

}  // namespace assay
