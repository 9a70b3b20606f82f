// AnoGAN: the gradient of the search, what it finds, and what its scores do not depend on.
#include "models/detectors/anogan_detector.h"

#include <doctest/doctest.h>

#include <cmath>

#include "layers/init.h"
#include "models/experiments/configure.h"
#include "models/training/step.h"
#include "tensor/tape.h"
#include "tests/support/files.h"

namespace assay {
namespace {

constexpr int kSide = 32;

/// A small GAN of random weights. He's initialisation gives images of full contrast.
struct SmallGan {
  explicit SmallGan(uint64_t seed, int filters = 8) : net(kSide, 3, filters) {
    init_parameters(net, Init::he, seed);
    net.eval();
  }
  Dcgan net;
};

std::vector<double> row_sums(const std::vector<double>& values, size_t rows) {
  std::vector<double> sums(rows);
  for (size_t i = 0; i < values.size(); ++i) sums[i / (values.size() / rows)] += values[i];
  return sums;
}

double sum_of(const std::vector<double>& values) {
  return row_sums(values, 1).front();
}

/// The loss of each image, from its definition.
std::vector<double> naive_losses(Dcgan& gan, const Tensor& x, const Tensor& z, double weight) {
  const auto distances = [](const Tensor& a, const Tensor& b) {
    std::vector<double> u = a.to_doubles(), v = b.to_doubles();
    for (size_t i = 0; i < u.size(); ++i) u[i] = std::abs(u[i] - v[i]);
    return row_sums(u, static_cast<size_t>(a.dim(0)));
  };
  const Tensor y = gan.generate(z);
  std::vector<double> losses = distances(x, y);
  const std::vector<double> features = distances(gan.features(x), gan.features(y));
  for (size_t n = 0; n < losses.size(); ++n)
    losses[n] = (1 - weight) * losses[n] + weight * features[n];
  return losses;
}

Tensor moved(const Tensor& z, double step, const std::vector<double>& direction) {
  std::vector<double> values = z.to_doubles();
  for (size_t i = 0; i < values.size(); ++i) values[i] += step * direction[i];
  return Tensor::from(z.shape(), std::vector<float>(values.begin(), values.end()));
}

/// Upside down.
Tensor flipped(const Tensor& x) {
  const std::vector<float> values = x.to_floats();
  std::vector<float> result;
  const size_t row = values.size() / x.dim(0) / x.dim(1);
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t y = x.dim(1) - 1; y >= 0; --y) {
      const auto from = values.begin() + static_cast<std::ptrdiff_t>((n * x.dim(1) + y) * row);
      result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(row));
    }
  return Tensor::from(x.shape(), result);
}

RunConfig small_config() {
  RunConfig config = default_config("anogan");
  config.image_size = kSide;
  config.seed = 3;
  config.own_values["search_steps"] = 3;
  return config;
}

}  // namespace

TEST_CASE("the gradient of a latent is the slope of its image's loss") {
  SmallGan gan(5);
  gan.net.set_requires_grad(false);
  const Tensor x = gan.net.generate(draw_latents(1, 0, 2));
  const Tensor features = gan.net.features(x);
  for (const double weight : {0.0, 0.1, 1.0}) {
    CAPTURE(weight);
    Tensor z = draw_latents(2, 0, 2);
    z.set_requires_grad(true);
    Tape tape;
    const Tensor loss = latent_loss(gan.net, x, features, z, weight);
    CHECK(loss.item() ==
          doctest::Approx(sum_of(naive_losses(gan.net, x, z, weight))).epsilon(1e-5));
    tape.backward(loss);
    std::vector<double> gradient = z.grad().to_doubles();
    for (size_t image = 0; image < 2; ++image) {
      CAPTURE(image);
      // Along the gradient of one image, whose length is then the slope.
      std::vector<double> direction(gradient.size());
      double squares = 0;
      for (size_t i = image * Dcgan::kLatent; i < (image + 1) * Dcgan::kLatent; ++i)
        squares += gradient[i] * gradient[i];
      for (size_t i = image * Dcgan::kLatent; i < (image + 1) * Dcgan::kLatent; ++i)
        direction[i] = gradient[i] / std::sqrt(squares);
      constexpr double kStep = 1e-3;
      const auto loss_at = [&](double step) {
        return naive_losses(gan.net, x, moved(z, step, direction), weight);
      };
      const std::vector<double> above = loss_at(kStep), below = loss_at(-kStep);
      CHECK((above[image] - below[image]) / (2 * kStep) ==
            doctest::Approx(std::sqrt(squares)).epsilon(0.01));
      CHECK(above[1 - image] == below[1 - image]);
    }
  }
}

TEST_CASE("a generated image is found, an image that the generator cannot make is not") {
  SmallGan gan(5);
  const Tensor made = gan.net.generate(draw_latents(1, 0, 2)), other = flipped(made);
  const LatentSearch search{.steps = 200, .learning_rate = 0.05};
  const LatentMatch found = search_latents(gan.net, made, search);
  const LatentMatch missed = search_latents(gan.net, other, search);
  for (size_t n = 0; n < 2; ++n) {
    CHECK(found.residual[n] < 0.05 * missed.residual[n]);
    CHECK(found.discrimination[n] < 0.05 * missed.discrimination[n]);
  }
  // The networks are as they were.
  CHECK(gan.net.training());
  for (const Parameter& p : gan.net.parameters()) CHECK(p.tensor.requires_grad());
  for (const Parameter& p : gan.net.parameters()) CHECK(!p.tensor.grad().defined());
}

TEST_CASE("what is found for an image depends neither on the batch nor on the threads") {
  SmallGan gan(5, 64);  // of the published width, whose matrix products depend on the batch
  const LatentSearch search{.steps = 4, .restarts = 2, .seed = 9};
  const Tensor x = gan.net.generate(draw_latents(1, 0, 3));
  const LatentMatch together = search_latents(gan.net, x, search);
  CHECK(together.residual[0] != together.residual[1]);
  const auto check_image = [&](const LatentMatch& match, size_t at, size_t n) {
    CHECK(match.residual[at] == together.residual[n]);
    CHECK(match.discrimination[at] == together.discrimination[n]);
  };
  CpuContext threads(3);
  const ContextScope scope(threads);
  const LatentMatch again = search_latents(gan.net, x, search);
  for (size_t n = 0; n < 3; ++n) {
    check_image(again, n, n);
    check_image(search_latents(gan.net, x.rows(static_cast<int64_t>(n), 1), search), 0, n);
  }
  CHECK(again.generated == together.generated);
}

TEST_CASE("of several restarts the one with the smallest loss counts") {
  SmallGan gan(5);
  const Tensor x = gan.net.generate(draw_latents(1, 0, 3));
  LatentSearch search{.steps = 2};
  const LatentMatch once = search_latents(gan.net, x, search);
  search.restarts = 6;
  const LatentMatch best = search_latents(gan.net, x, search);
  bool better = false;
  for (size_t n = 0; n < 3; ++n) {
    CHECK(best.loss(n, search.weight) <= once.loss(n, search.weight));
    better = better || best.loss(n, search.weight) < once.loss(n, search.weight);
  }
  CHECK(better);
  search.seed = 1;  // another seed begins elsewhere
  CHECK(search_latents(gan.net, x, search).residual != best.residual);
}

TEST_CASE("AnoGAN's prediction is the loss, its parts, and the map of the residual") {
  AnoganDetector detector(small_config());
  init_parameters(detector.gan(), Init::dcgan, 3);
  const Tensor x = Tensor::from({2, kSide, kSide, 3}, [] {
    std::vector<float> values;
    for (const int salt : {1, 2})
      for (const uint8_t v : testing::small_image(salt, kSide, kSide).pixels)
        values.push_back(static_cast<float>(v) / 255);
    return values;
  }());
  const Prediction prediction = detector.predict(x);
  const std::vector<float> original = x.to_floats();
  for (size_t n = 0; n < 2; ++n) {
    const std::vector<double>& c = prediction.components[n];
    REQUIRE(c.size() == 3);
    CHECK(c[0] == doctest::Approx(0.9 * c[1] + 0.1 * c[2]));
    double residual = 0, heat = 0;
    for (size_t i = n * kSide * kSide * 3; i < (n + 1) * kSide * kSide * 3; ++i)
      residual += std::abs(double{original[i]} - prediction.reconstruction[i]);
    for (size_t i = n * kSide * kSide; i < (n + 1) * kSide * kSide; ++i) heat += prediction.heat[i];
    CHECK(c[1] == doctest::Approx(2 * residual).epsilon(1e-5));  // values from -1 to 1
    CHECK(3 * heat == doctest::Approx(residual).epsilon(1e-5));
  }
  detector.calibrate_on({prediction});
  const testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  detector.save(run);
  AnoganDetector loaded(small_config());
  loaded.load(run);
  CHECK(loaded.scoring().threshold == detector.scoring().threshold);
  CHECK(loaded.predict(x).components == prediction.components);
}

}  // namespace assay
