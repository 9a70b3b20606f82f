// LPD against SciPy (tests/golden/make_lpd.py), and what a fitted model promises.
#include "models/detectors/lpd/lpd.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "data/dataset.h"
#include "data/loader.h"
#include "models/detectors/eigen.h"
#include "models/detectors/kd_cae_detector.h"
#include "models/detectors/lpd_detector.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/training/checkpoint.h"
#include "tests/models/golden.h"
#include "tests/support/files.h"
#include "tests/support/formula.h"

namespace assay {
namespace {

using testing::formula;

double largest_difference(const std::vector<float>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i)
    largest = std::max(largest, std::abs(double{got[i]} - want[i]));
  return largest;
}

TEST_CASE("symmetric_eigen: vectors are orthonormal and give the matrix back") {
  constexpr int n = 75;
  std::vector<double> a(n * n);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = formula(7, i * n + j);
  const SymmetricEigen e = symmetric_eigen(a, n);
  double worst = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      double back = 0, dot = 0;
      for (int k = 0; k < n; ++k) {
        back += e.values[k] * e.vectors[k * n + i] * e.vectors[k * n + j];
        dot += e.vectors[i * n + k] * e.vectors[j * n + k];
      }
      worst = std::max({worst, std::abs(back - a[i * n + j]), std::abs(dot - (i == j))});
    }
  CHECK(worst < 1e-12);
  for (int k = 1; k < n; ++k) CHECK(e.values[k] <= e.values[k - 1]);
}

TEST_CASE("features are SciPy's") {
  Planes crop{{}, 32, 40, 3};
  for (int i = 0; i < 32 * 40 * 3; ++i)
    crop.values.push_back(static_cast<float>(0.5 + 0.5 * formula(3000, i)));
  Filters filters{.count = 4, .weights = {}};
  for (int scale = 0; scale < kScales; ++scale) {
    std::vector<float>& w = filters.weights.emplace_back();
    for (int i = 0; i < 4 * kPatchValues; ++i)
      w.push_back(static_cast<float>(formula(3001 + scale, i)));
  }
  const auto want = testing::golden("lpd.json")["features"].get<std::vector<double>>();
  for (const int threads : {1, 3}) {
    CpuContext ctx(threads);
    const std::vector<Planes> two = {crop, crop};
    const std::vector<float> got = features(ctx, two, filters, {});
    const auto half = static_cast<int64_t>(got.size() / 2);
    CHECK(std::equal(got.begin(), got.begin() + half, got.begin() + half));
    // 75 products of numbers below 1 in float, then a power whose slope at .002 is 17.
    CHECK(largest_difference({got.begin(), got.begin() + half}, want) < 75 * 6e-8 * 17 * 2);
  }
}

TEST_CASE("a pose is SciPy's") {
  const nlohmann::json golden = testing::golden("lpd.json");
  constexpr int kSide = 64;
  for (size_t i = 0; i < golden["drops"].size(); ++i) {
    const auto drop = golden["drops"][i].get<std::vector<double>>();
    const nlohmann::json& want = golden["poses"][i];
    std::vector<float> pixels;
    for (int p = 0; p < kSide * kSide; ++p) {
      const double dx = p % kSide - drop[1], dy = p / kSide - drop[2];
      const double along = dx * std::cos(drop[0]) + dy * std::sin(drop[0]);
      const double across = dy * std::cos(drop[0]) - dx * std::sin(drop[0]);
      const bool inside = std::abs(along) < 20 && std::abs(across) < 6 - 0.2 * along;
      for (const float v : inside ? std::array{0.9f, 0.6f, 0.3f} : std::array{0.1f, 0.1f, 0.12f})
        pixels.push_back(v);
    }
    const std::vector<uint8_t> mask = foreground({pixels, kSide});
    CHECK(std::count(mask.begin(), mask.end(), 1) == want["pixels"].get<int>());
    const Pose pose = find_pose({pixels, kSide});
    CHECK(std::abs(std::remainder(pose.angle - want["angle"].get<double>(), 2 * std::numbers::pi)) <
          1e-9);
    CHECK(std::abs(pose.x - want["x"].get<double>()) < 1e-4);
    CHECK(std::abs(pose.y - want["y"].get<double>()) < 1e-4);
    CHECK(std::abs(pose.length - want["length"].get<double>()) < 1e-4);
    CHECK(std::abs(pose.spread - want["spread"].get<double>()) < 1e-4);
    const CropSize size{20, 44};
    const CropPoint middle = to_crop(pose, size, pose.x, pose.y);
    CHECK(middle.column == doctest::Approx(21.5));
    CHECK(middle.row == doctest::Approx(9.5));
  }
}

TEST_CASE("an image without an object has a pose too: none") {
  const std::vector<float> flat(32 * 32 * 3, 0.5f);
  const Pose pose = find_pose({flat, 32});
  CHECK(pose.angle == 0);
  CHECK(pose.x == 15.5);
}

TEST_CASE("leave-one-out distances are NumPy's") {
  const LocalDensityShape s{.height = 2, .width = 3, .radius = 1, .n = 6, .m = 6, .C = 5};
  std::vector<float> bank(6 * 5 * 6), centre(6 * 5), metric(6 * 25), norms(6 * 9 * 6), got(36);
  for (int i = 0; i < 6; ++i)
    for (int cell = 0; cell < 6; ++cell)
      for (int c = 0; c < 5; ++c)
        bank[(cell * 5 + c) * 6 + i] = static_cast<float>(formula(3010, (i * 6 + cell) * 5 + c));
  CpuContext ctx(2);
  local_metric<float>(ctx, s, 1, bank.data(), centre.data(), metric.data());
  local_bank_norms<float>(ctx, s, bank.data(), metric.data(), centre.data(), norms.data());
  const std::vector<int> own = {0, 1, 2, 3, 4, 5};
  local_density<float>(ctx, s, {}, {bank.data(), metric.data(), centre.data(), norms.data()},
                       bank.data(), own.data(), got.data());
  const auto want = testing::golden("lpd.json")["distances"].get<std::vector<double>>();
  double largest = 0;
  for (int i = 0; i < 6; ++i)
    for (int cell = 0; cell < 6; ++cell)
      largest = std::max(largest, std::abs(std::sqrt(got[cell * 6 + i]) - want[i * 6 + cell]));
  CHECK(largest < 1e-5);
}

/// The good and the test images of a built-in class.
struct Images {
  explicit Images(const std::string& object_class, int side = 64)
      : data(open_dataset("builtin", object_class)),
        good(context, data.train_good, {.height = side, .width = side, .channels = 3}),
        test(context, data.test, {.height = side, .width = side, .channels = 3}) {}
  CpuContext context{1};
  Dataset data;
  ImageStore good, test;
};

LpdImages source(const ImageStore& store) {
  return {store.size(), store.options().height, [&store](size_t i, std::span<float> out) {
            const auto pixels = store.pixels(i);
            for (size_t k = 0; k < out.size(); ++k) out[k] = static_cast<float>(pixels[k]) / 255.0f;
          }};
}

TEST_CASE("one seed, one model: at any number of threads, to the bit") {
  const Images images("chip");
  for (const char* filters : {"pca", "ica", "random"})
    for (const char* bank : {"local", "global"}) {
      LpdOptions options;
      options.seed = 3;
      options.places.bank = bank;
      options.places.bank_size = 200;
      options.features.filters = filters;
      CAPTURE(filters);
      CAPTURE(bank);
      Lpd one(options), three(options);
      CpuContext ctx_one(1), ctx_three(3);
      CHECK(one.fit(ctx_one, source(images.good)).cells ==
            three.fit(ctx_three, source(images.good)).cells);
      CHECK(one.places().state().bank == three.places().state().bank);
      CHECK(one.state().threshold == three.state().threshold);
      CHECK(one.score(ctx_one, source(images.test)).cells ==
            three.score(ctx_three, source(images.test)).cells);
    }
}

TEST_CASE("aligned_share is the share of the variance that the place explains") {
  constexpr int kImages = 50, kCells = 64, kChannels = 2;
  // Channel 0 depends on the place alone; channel 1 has independent values, whose mean over n
  // images keeps 1/n of the variance.
  std::vector<float> x;
  for (int i = 0; i < kImages; ++i)
    for (int p = 0; p < kCells; ++p)
      x.insert(x.end(),
               {static_cast<float>(formula(5, p)), static_cast<float>(formula(6, i * kCells + p))});
  CHECK(aligned_share(x, kImages, kCells, kChannels, {0}) == doctest::Approx(1));
  CHECK(aligned_share(x, kImages, kCells, kChannels, {1}) < 2.0 / kImages);
  CHECK(aligned_share(x, kImages, kCells, kChannels, {0, 1}) == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("a global bank does not know places: the score moves with the image") {
  constexpr int kSide = 128, kRow = kSide * 3;
  const Images images("leather", kSide);
  CpuContext ctx(2);
  LpdOptions options;
  options.pose = "never";
  options.places.bank = "global";
  options.places.bank_size = 300;
  options.places.smoothing = 0;
  Lpd lpd(options);
  lpd.fit(ctx, source(images.good));
  // Rolled downwards by 8 pixels, which are a cell.
  const LpdImages rolled{1, kSide, [&](size_t, std::span<float> out) {
                           std::vector<float> image(out.size());
                           source(images.test).get(0, image);
                           std::rotate_copy(image.begin(), image.end() - 8 * kRow, image.end(),
                                            out.begin());
                         }};
  const std::vector<float> cells = lpd.score(ctx, source(images.test)).cells;
  const std::vector<float> moved = lpd.score(ctx, rolled).cells;
  const int width = lpd.grid_width();
  REQUIRE(width == 16);
  // The features of these rows see neither the upper nor the lower edge.
  for (int y = 6; y < 10; ++y)
    for (int x = 0; x < width; ++x)
      CHECK(moved[(y + 1) * width + x] == doctest::Approx(cells[y * width + x]).epsilon(1e-4));
}

TEST_CASE("objects are compared place by place, a texture with all places, screws in one pose") {
  CpuContext ctx(2);
  const auto fitted = [&](const char* object_class) {
    const Images images(object_class, 256);
    Lpd lpd({});
    lpd.fit(ctx, source(images.good));
    return lpd;
  };
  const Lpd ring = fitted("ring"), leather = fitted("leather"), screw = fitted("screw");
  CHECK(ring.places().state().local);
  CHECK(!ring.state().posed);
  CHECK(!leather.places().state().local);
  CHECK(!leather.state().posed);
  CHECK(leather.places().state().shape.n == 2000);
  CHECK(screw.state().posed);
  CHECK(screw.places().state().local);
}

TEST_CASE("the score of a batch is that of its images; what explains it is the nearest of all") {
  const Images images("chip");
  CpuContext ctx(2);
  Lpd lpd({});
  lpd.fit(ctx, source(images.good));
  const LpdMaps all = lpd.score(ctx, source(images.test));
  const auto cells = static_cast<int64_t>(lpd.grid_height()) * lpd.grid_width();
  for (const size_t i : {size_t{0}, images.test.size() - 1}) {
    const LpdImages one{1, 64,
                        [&](size_t, std::span<float> out) { source(images.test).get(i, out); }};
    const LpdMaps alone = lpd.score(ctx, one);
    CHECK(alone.score[0] == all.score[i]);
    std::vector<float> pixels(64 * 64 * 3);
    one.get(0, pixels);
    const Lpd::Explanation why = lpd.explain(ctx, pixels);
    const auto first = alone.cells.begin();
    CHECK(why.cell == std::max_element(first, first + cells) - first);
    CHECK(why.nearest.image >= 0);
    CHECK(why.nearest.image < static_cast<int>(images.good.size()));
    CHECK(why.nearest.distance > 0);
  }
}

TEST_CASE("a bandwidth as wide as the bank's nearest neighbours changes little, loo finds one") {
  const Images images("chip");
  CpuContext ctx(2);
  LpdOptions with_bandwidth;
  with_bandwidth.places.bandwidth = "loo";
  Lpd nearest({}), density(with_bandwidth);
  nearest.fit(ctx, source(images.good));
  density.fit(ctx, source(images.good));
  CHECK(density.places().state().s > 0);
  const auto a = nearest.score(ctx, source(images.test)).score;
  const auto b = density.score(ctx, source(images.test)).score;
  // Ranks agree: the images of the largest score are the same half.
  std::vector<double> sorted_a = a, sorted_b = b;
  std::sort(sorted_a.begin(), sorted_a.end());
  std::sort(sorted_b.begin(), sorted_b.end());
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i)
    same += (a[i] > sorted_a[a.size() / 2]) == (b[i] > sorted_b[b.size() / 2]);
  CHECK(same >= a.size() * 9 / 10);
}

TEST_CASE("a saved detector is the same detector; a damaged one is refused") {
  const testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  const Images images("leather");
  RunConfig config = default_config("lpd");
  config.image_size = 64;
  config.own_values["bank"] = std::string("global");
  config.own_values["bank_size"] = 300;
  LpdDetector detector(config), loaded(config);
  std::vector<size_t> all(images.good.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  const std::vector<double> scores = detector.learn(images.good, all);
  CHECK(scores.size() == all.size());
  detector.save(run);
  loaded.load(run);
  const std::vector<size_t> some = {0, 5, 11};
  const Tensor x = images.test.batch(some);
  const Prediction a = detector.predict(x), b = loaded.predict(x);
  CHECK(a.components == b.components);
  CHECK(a.heat == b.heat);
  CHECK(detector.scoring().threshold == loaded.scoring().threshold);
  CHECK(detector.heat_scale() == loaded.heat_scale());

  SafeTensors file = read_checked(run.model());
  file.metadata.erase("checksum");
  const auto refused = [&](const auto& damage) {
    SafeTensors damaged = file;
    damage(damaged);
    write_checked(run.model(), damaged);
    CHECK_THROWS_AS(loaded.load(run), CheckpointError);
  };
  refused([](SafeTensors& f) { f.tensors.erase("metric"); });
  refused([](SafeTensors& f) { f.tensors["mean"].shape = {1, f.tensors["mean"].shape[0]}; });
  refused([](SafeTensors& f) { f.metadata["crop_width"] = "33"; });
  refused([](SafeTensors& f) { f.metadata["bank"] = "299"; });
  refused([](SafeTensors& f) { f.tensors["place"].bytes[1] = 0x7f; });
  refused([](SafeTensors& f) { std::fill_n(f.tensors["norms"].bytes.begin(), 4, uint8_t{0xff}); });
}

TEST_CASE("kd-cae --density local finds the place of a defect, and is the same once it is loaded") {
  const testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  const Images images("chip");
  RunConfig config = default_config("kd-cae");
  config.image_size = 64;
  config.own_values["density"] = std::string("local");
  const auto make = [&] {
    return KdCaeDetector(config, factory_of<KdCae, KdCae::Variant::pooled>());
  };
  KdCaeDetector detector = make(), loaded = make();
  init_parameters(detector.network(), Init::he, 4);
  std::vector<size_t> train, rest;
  for (size_t i = 0; i < images.good.size(); ++i) (i % 5 == 0 ? rest : train).push_back(i);
  detector.learn(images.good, train, [](double) {});
  std::vector<Prediction> held_out;
  held_out.push_back(detector.predict(images.good.batch(rest)));
  detector.calibrate_on(held_out);

  const std::vector<size_t> one = {rest.front()};
  const Tensor good = images.good.batch(one);
  std::vector<float> pixels = good.to_floats();
  for (int y = 40; y < 48; ++y)
    for (int x = 20; x < 28; ++x)
      for (int c = 0; c < 3; ++c) pixels[(y * 64 + x) * 3 + c] = c == (x + y) % 3 ? 1.0f : 0.0f;
  const Tensor defective = Tensor::from(good.shape(), pixels);
  const Prediction p = detector.predict(defective);
  CHECK(p.components[0][1] > 2 * detector.predict(good).components[0][1]);
  const auto hottest = std::max_element(p.heat.begin(), p.heat.end()) - p.heat.begin();
  CHECK(std::abs(hottest / 64 - 43.5) <= 8);
  CHECK(std::abs(hottest % 64 - 23.5) <= 8);

  detector.save(run);
  loaded.load(run);
  const Prediction again = loaded.predict(defective);
  CHECK(again.components == p.components);
  CHECK(again.heat == p.heat);
  config.own_values["density"] = std::string("global");
  CHECK_THROWS_AS(make().load(run), CheckpointError);
}

TEST_CASE("lpd: options that cannot be are refused") {
  RunConfig config = default_config("lpd");
  CHECK_NOTHROW(check(config));
  const auto refused = [&](const char* option, OptionValue value) {
    RunConfig bad = config;
    bad.own_values[option] = value;
    CHECK_THROWS_AS(check(bad), UsageError);
  };
  refused("filters", std::string("gabor"));
  refused("window", 2);
  refused("bandwidth", std::string("-1"));
  refused("quantile", 1.5);
  config.image_size = 100;
  CHECK_THROWS_AS(check(config), UsageError);
}

TEST_CASE("lpd: one good image, or images all of one colour, are not enough") {
  CpuContext ctx(1);
  const auto flat = [](size_t count) {
    return LpdImages{count, 64,
                     [](size_t, std::span<float> out) { std::fill(out.begin(), out.end(), 0.5f); }};
  };
  CHECK_THROWS_AS(Lpd({}).fit(ctx, flat(1)), DataError);
  CHECK_THROWS_AS(Lpd({}).fit(ctx, flat(5)), DataError);
}

}  // namespace
}  // namespace assay
