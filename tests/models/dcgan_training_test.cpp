// The DCGAN: its step, its training, and the diagnostics at the end of a training.
#include "models/experiments/gan_run.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "layers/init.h"
#include "layers/state.h"
#include "models/evaluation/image_grid.h"
#include "models/evaluation/memorisation.h"
#include "models/experiments/configure.h"
#include "models/run/csv.h"
#include "models/training/step_runner.h"
#include "optim/adam.h"
#include "tensor/ops.h"
#include "tensor/tape.h"
#include "tests/support/files.h"

using namespace assay;
using testing::contains;
using testing::message_of;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMetrics[] = {"loss_d", "loss_g", "d_real", "d_fake"};

RunConfig small_config() {
  RunConfig config = default_config("dcgan");
  config.batch = 2;
  config.seed = 11;
  return config;
}

ImageStore small_images(int n) {
  std::vector<Sample> samples;
  for (int i = 0; i < n; ++i) {
    Sample& sample = samples.emplace_back();
    sample.path = fmt::format("train/good/{}.png", i);
    sample.draw = [i] { return LoadedImage{testing::small_image(i, 64, 64), {}}; };
  }
  return {current_context(), samples, {.height = 64, .width = 64, .channels = 3}};
}

std::vector<size_t> first_numbers(size_t n) {
  std::vector<size_t> numbers;
  for (size_t i = 0; i < n; ++i) numbers.push_back(i);
  return numbers;
}

struct Gan {
  explicit Gan(uint64_t seed) : net(64, 3) { init_parameters(net, Init::dcgan, seed); }
  Dcgan net;
};

std::string bytes_of(const StateDict& state) {
  std::string bytes;
  for (const auto& [name, tensor] : state) bytes.append(tensor.bytes.begin(), tensor.bytes.end());
  return bytes;
}

/// A training that stops after `stop_after` steps, or runs to its end.
struct Run {
  explicit Run(const fs::path& root) : folder(root) { folder.create(); }

  std::string train(const RunConfig& config, int64_t stop_after = 1000) {
    Gan gan(config.seed);
    const ImageStore store = small_images(5);
    int64_t step = 0;
    TrainingHooks hooks;
    hooks.progress = [&](const TrainingProgress& at) { step = at.step; };
    hooks.stop_requested = [&] { return step >= stop_after; };
    train_dcgan(gan.net, store, first_numbers(5), config, folder, hooks);
    return bytes_of(save_state(gan.net));
  }

  RunFolder folder;
};

/// A step and the batches that it takes one after the other.
struct Steps {
  Steps(Dcgan& gan, const ImageStore& store, const RunConfig& config)
      : step(gan, config),
        runner(step, config.batch),
        batches(store, first_numbers(5),
                {.batch = config.batch, .seed = config.seed, .endless = true}),
        taken(static_cast<size_t>(config.k_steps)) {
    batches.start_epoch(0);
  }
  StepResult next() {
    for (Batch& batch : taken) REQUIRE(batches.next(batch));
    const std::vector<StepResult> results = runner.run(taken);
    REQUIRE(results.size() == 1);  // on a CPU no step is known late
    return results[0];
  }

  GanStep step;
  StepRunner runner;
  BatchLoader batches;
  std::vector<Batch> taken;
};

/// A step of PyTorch's DCGAN example (k = 1), with nothing shared between the passes of the two
/// networks.
void plain_step(Dcgan& gan, Adam& adam_d, Adam& adam_g, const Tensor& real, const Tensor& z) {
  const Tensor one = Tensor::full({real.dim(0), 1}, 1), zero = Tensor::zeros({real.dim(0), 1});
  const Tensor fake = gan.generate(z).detach();
  gan.zero_grad();
  for (const auto& [images, label] : {std::pair(real, one), std::pair(fake, zero)}) {
    Tape tape;
    tape.backward(bce_with_logits_loss(gan.discriminate(images), label));
  }
  adam_d.step();
  gan.zero_grad();
  Tape tape;
  tape.backward(bce_with_logits_loss(gan.discriminate(gan.generate(z)), one));
  adam_g.step();
}

double largest_difference(const std::vector<Parameter>& a, const std::vector<Parameter>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const std::vector<float> x = a[i].tensor.to_floats(), y = b[i].tensor.to_floats();
    for (size_t j = 0; j < x.size(); ++j)
      largest = std::max(largest, std::abs(double{x[j]} - double{y[j]}));
  }
  return largest;
}

}  // namespace

TEST_CASE("a GAN's step is that of the plain algorithm") {
  const RunConfig config = small_config();
  const ImageStore store = small_images(5);
  Gan ours(3), plain(3);
  Steps steps(ours.net, store, config);
  const AdamOptions options{.learning_rate = config.lr, .beta1 = 0.5};
  Adam adam_d(plain.net.discriminator_parameters(), options);
  Adam adam_g(plain.net.generator_parameters(), options);
  for (int64_t i = 0; i < 2; ++i) {
    steps.next();
    plain_step(plain.net, adam_d, adam_g, affine(steps.taken[0].x, 2, -1),
               draw_latents(config.seed, 1 + i, config.batch));
  }
  // The passes are the same, and a sum of two gradients has one order: the same bits.
  CHECK(largest_difference(ours.net.parameters(), plain.net.parameters()) == 0);
  CHECK(largest_difference(ours.net.parameters(), Gan(3).net.parameters()) > config.lr);
}

TEST_CASE("k discriminator steps see k batches, and the generator takes one step") {
  RunConfig config = small_config();
  config.k_steps = 3;
  const ImageStore store = small_images(5);
  Gan gan(3);
  Steps steps(gan.net, store, config);
  CHECK(steps.step.batches_per_step() == 3);
  std::vector<std::vector<float>> latents;
  for (int i = 0; i < 2; ++i) {
    for (Batch& batch : steps.taken) REQUIRE(steps.batches.next(batch));
    const std::vector<Tensor> inputs = steps.step.inputs(steps.taken);
    REQUIRE(inputs.size() == 6);
    for (int k = 0; k < 3; ++k) {
      CHECK(inputs[k].to_floats() == affine(steps.taken[k].x, 2, -1).to_floats());
      latents.push_back(inputs[3 + k].to_floats());
      CHECK(latents.back() == draw_latents(config.seed, 1 + 3 * i + k, config.batch).to_floats());
    }
    std::vector<size_t> terms;
    steps.step.run(inputs, {.on_loss = [&](const LossTerm& term) { terms.push_back(term.index); }});
    CHECK(terms == std::vector<size_t>{0, 1, 0, 1, 0, 1, 2});
  }
  CHECK(steps.step.steps() == 2);
  const StateDict state = steps.step.save();
  CHECK(state.at("discriminator_optimizer.adam.steps").int64s().at(0) == 6);
  CHECK(state.at("generator_optimizer.adam.steps").int64s().at(0) == 2);
}

TEST_CASE("a GAN's step loaded from what was saved goes on to the same bits") {
  const RunConfig config = small_config();
  const ImageStore store = small_images(5);
  Gan first(3), second(4);
  Steps before(first.net, store, config), after(second.net, store, config);
  before.next();
  after.step.load(before.step.save(), "a test");
  after.batches.start_epoch(0, after.step.steps());
  CHECK(before.next().metrics == after.next().metrics);
  CHECK(bytes_of(before.step.save()) == bytes_of(after.step.save()));
  StateDict broken = before.step.save();
  broken.erase("generator_optimizer.adam.steps");
  CHECK_THROWS_AS(after.step.load(broken, "a test"), CheckpointError);
}

TEST_CASE("a latent is a function of its seed, draw and place") {
  const std::vector<float> three = draw_latents(5, 0, 3).to_floats();
  std::vector<float> five = draw_latents(5, 0, 5).to_floats();
  CHECK(five != draw_latents(5, 1, 5).to_floats());
  CHECK(five != draw_latents(6, 0, 5).to_floats());
  five.resize(three.size());
  CHECK(five == three);
}

TEST_CASE("a generated image depends on its own latent alone") {
  Gan gan(3);
  const Tensor z = draw_latents(5, 0, 3);
  const std::vector<Image> together = generate_images(gan.net, z);
  REQUIRE(together.size() == 3);
  CHECK(together[0] != together[1]);
  for (int i = 0; i < 3; ++i) CHECK(generate_images(gan.net, z.rows(i, 1)).at(0) == together[i]);
}

TEST_CASE("a GAN's training interrupted at any step goes on to the same bits") {
  const TemporaryFolder folder;
  RunConfig config = small_config();
  config.steps = 4;
  config.sample_every = 2;
  Run whole(folder / "whole"), broken(folder / "broken");
  const std::string weights = whole.train(config);
  for (const int64_t stop_after : {1, 3})
    CHECK_THROWS_AS(broken.train(config, stop_after), Interrupted);
  // A crash after the line of history and before its checkpoint.
  write_file(broken.folder.history(),
             "epoch,step,loss_d,loss_g,d_real,d_fake,seconds\n1,4,9,9,9,9,9\n");
  CHECK(broken.train(config) == weights);
  const auto text = [](const fs::path& file) {
    const auto bytes = read_bytes(file);
    return std::string(bytes.begin(), bytes.end());
  };
  for (const char* file :
       {"checkpoint.safetensors", "figures/step_000002.png", "figures/step_000004.png"})
    CHECK_MESSAGE(text(folder / "whole" / file) == text(folder / "broken" / file), file);
  CHECK(text(folder / "whole/figures/step_000002.png") !=
        text(folder / "whole/figures/step_000004.png"));

  const History a = History::read(whole.folder.history()),
                b = History::read(broken.folder.history());
  CHECK(a.columns() == std::vector<std::string>{"epoch", "step", "loss_d", "loss_g", "d_real",
                                                "d_fake", "seconds"});
  CHECK(b.column("step") == std::vector<double>{4});
  for (const char* metric : kMetrics) CHECK(a.column(metric) == b.column(metric));
  CHECK(a.column("d_real").at(0) > 0);
  CHECK(a.column("d_real").at(0) < 1);
}

TEST_CASE("means after a lost history are over the steps since the last checkpoint's line") {
  const TemporaryFolder folder;
  RunConfig config = small_config();
  config.steps = kGanEpochSteps + 1;
  Run whole(folder / "whole");
  whole.train(config);
  const History all = History::read(whole.folder.history());
  REQUIRE(all.rows().size() == 2);
  Run lost(folder / "lost");
  config.steps = kGanEpochSteps;
  lost.train(config);
  fs::remove(lost.folder.history());
  config.steps = kGanEpochSteps + 1;
  lost.train(config);
  const History rest = History::read(lost.folder.history());
  CHECK(rest.column("step") == std::vector<double>{kGanEpochSteps + 1});
  for (const char* metric : kMetrics) CHECK(rest.column(metric).at(0) == all.column(metric).at(1));
}

TEST_CASE("a checkpoint that is damaged or of another preset is refused") {
  const TemporaryFolder folder;
  RunConfig config = small_config();
  config.steps = 1;
  Run run(folder / "run");
  run.train(config);
  config.preset = "dcgan-128";
  CHECK(contains(message_of<CheckpointError>([&] { run.train(config); }), "is of dcgan, not of"));
  auto bytes = read_bytes(run.folder.checkpoint());
  bytes[bytes.size() - 5] ^= 1;
  write_bytes(run.folder.checkpoint(), bytes);
  CHECK(contains(message_of<CheckpointError>([&] { run.train(small_config()); }), "damaged"));
}

TEST_CASE("a loss that is not finite ends the training in plain words") {
  const TemporaryFolder folder;
  RunConfig config = small_config();
  config.steps = 5;
  config.lr = 1e30;
  Run run(folder / "run");
  const std::string message = message_of<Error>([&] { run.train(config); });
  CHECK(contains(message, "loss became"));
  CHECK(contains(message, " in step "));
  CHECK(contains(message, "--lr"));
  CHECK(!fs::exists(run.folder.checkpoint()));
}

TEST_CASE("steps end where --steps or --epochs say") {
  const TemporaryFolder folder;
  RunConfig config = small_config();
  config.epochs = 1;  // 5 images in batches of 2
  Run run(folder / "run");
  run.train(config);
  CHECK(History::read(run.folder.history()).column("step").back() == 3);
}

TEST_CASE("distances of images and their nearest") {
  const auto grey = [](uint8_t a, uint8_t b) {
    Image image(1, 2, 1);
    image.pixels = {a, b};
    return image;
  };
  CHECK(pixel_distance(grey(0, 0), grey(255, 255)) == 1);
  CHECK(pixel_distance(grey(10, 20), grey(13, 24)) == doctest::Approx(std::sqrt(12.5) / 255));
  CHECK_THROWS_AS(pixel_distance(grey(0, 0), Image(2, 1, 1)), Error);
  const std::vector<Image> training = {grey(0, 0), grey(100, 100), grey(110, 100), grey(255, 255)};

  const std::vector<Nearest> found =
      nearest_of(std::vector{grey(101, 99), grey(255, 255)}, training);
  CHECK(found[0].index == 1);
  CHECK(found[0].distance == doctest::Approx(1.0 / 255));
  CHECK(found[1].index == 3);
  CHECK(found[1].distance == 0);
  const std::vector<Nearest> own = nearest_of_the_rest(training);
  CHECK(own[0].index == 1);
  CHECK(own[1].index == 2);
  CHECK(own[2].index == 1);
  CHECK(own[3].index == 2);
  CHECK(own[2].distance == doctest::Approx(std::sqrt(50.0) / 255));
  CHECK(mean_pair_distance(std::vector{grey(0, 0), grey(255, 255), grey(0, 0)}) ==
        doctest::Approx(2.0 / 3));
  CHECK_THROWS_AS(nearest_of(training, {}), Error);
  CHECK_THROWS_AS(nearest_of_the_rest(std::span(training).first(1)), Error);
  // Long enough for several runs of 32-bit sums, and at their bound.
  Image black(300, 300, 3), white(300, 300, 3);
  std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
  CHECK(pixel_distance(black, white) == 1);
}

TEST_CASE("a grid holds its images in rows") {
  std::vector<Image> images;
  for (uint8_t i = 1; i <= 3; ++i) {
    Image& image = images.emplace_back(2, 3, 1);
    std::fill(image.pixels.begin(), image.pixels.end(), i);
  }
  Image grid = image_grid(images, 2);
  CHECK(grid.height == 6);
  CHECK(grid.width == 8);
  CHECK(*grid.at(1, 2) == 1);
  CHECK(*grid.at(1, 3) == 255);
  CHECK(*grid.at(0, 5) == 2);
  CHECK(*grid.at(5, 2) == 3);
  CHECK(*grid.at(5, 7) == 255);
  images.emplace_back(2, 2, 1);
  CHECK_THROWS_AS(image_grid(images, 2), Error);
  CHECK_THROWS_AS(image_grid({}, 2), Error);
}

TEST_CASE("what happened is said in words") {
  const DcganOutcome fair{.last = {.loss_d = 1, .loss_g = 1.2, .d_real = 0.7, .d_fake = 0.3},
                          .spread_generated = 0.1,
                          .spread_training = 0.11,
                          .generated = 64,
                          .copies = 0,
                          .far = 0,
                          .generated_distance = 0.03,
                          .held_out_distance = 0.02};
  const auto said = [](const DcganOutcome& outcome) {
    std::string text;
    for (const std::string& sentence : diagnostics_of(outcome)) text += sentence + "\n";
    return text;
  };
  CHECK(contains(said(fair), "Neither network won"));
  CHECK(contains(said(fair), "nothing is copied"));
  CHECK(!contains(said(fair), "variety"));
  DcganOutcome other = fair;
  other.last.d_real = 0.99;
  other.last.d_fake = 0.02;
  CHECK(contains(said(other), "The discriminator won"));
  CHECK(contains(said(other), "try more --steps, a smaller --batch"));
  CHECK(!contains(said(other), "fewer"));
  other.last.loss_g = 50;
  CHECK(contains(said(other), "blew up"));
  other = fair;
  other.spread_generated = 0.005;
  CHECK(contains(said(other), "collapsed"));
  CHECK(collapsed(other));
  other.spread_generated = 0.04;
  CHECK(contains(said(other), "little variety"));
  CHECK(!collapsed(other));
  other.copies = 3;
  CHECK(contains(said(other), "3 of 64"));
  CHECK(!contains(said(other), "nothing is copied"));

  // Noise is not praised for copying nothing.
  other = fair;
  CHECK(other.near_bound() == doctest::Approx(0.06));
  CHECK(!looks_unlike(other));
  other.far = 33;
  other.generated_distance = 0.28;
  CHECK(looks_unlike(other));
  CHECK(contains(said(other), "do not resemble the training images: 33 of 64"));
  CHECK(contains(said(other), "try more --steps"));
  CHECK(!contains(said(other), "nothing is copied"));
}
