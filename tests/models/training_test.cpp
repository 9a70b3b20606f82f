// The loop over epochs, its checkpoints and its stops, on a network of one layer.
#include "models/training/trainer.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <limits>

#include "layers/init.h"
#include "layers/linear.h"
#include "layers/state.h"
#include "models/experiments/one_class_run.h"
#include "models/training/checkpoint.h"
#include "optim/adam.h"
#include "tensor/ops.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

class TemporaryRun {
 public:
  TemporaryRun() {
    std::string name = (fs::temp_directory_path() / "assay-training-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~TemporaryRun() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  RunFolder folder() const { return RunFolder(root_); }

 private:
  fs::path root_;
};

ImageStore small_images() {
  std::vector<Sample> samples;
  for (int i = 0; i < 7; ++i) {
    Sample& sample = samples.emplace_back();
    sample.path = fmt::format("train/good/{}.png", i);
    sample.draw = [i] {
      LoadedImage loaded{Image(4, 4, 1), {}};
      for (size_t p = 0; p < loaded.image.size(); ++p)
        loaded.image.pixels[p] = static_cast<uint8_t>(10 * i + 13 * p);
      return loaded;
    };
  }
  return {current_context(), samples, {.height = 4, .width = 4, .channels = 1}};
}

/// One dense layer as an autoencoder.
class OneLayerStep : public NetworkStep {
 public:
  explicit OneLayerStep(Linear& layer)
      : NetworkStep(
            layer, std::make_unique<Adam>(layer.parameters(), AdamOptions{.learning_rate = 0.01})) {
  }
  std::vector<Tensor> inputs(std::span<const Batch> batches) override { return {batches[0].x}; }
  Tensor loss(const std::vector<Tensor>& inputs) override {
    const Tensor flat = inputs[0].reshape({inputs[0].dim(0), 16});
    return mse_loss(network_(flat), flat);
  }
};

/// The step and all that its training needs.
struct Fixture {
  explicit Fixture(const std::string& name = "one-layer") : model(name) {
    init_parameters(layer, Init::keras, 3);
  }

  TrainingResult train(const RunConfig& config, const RunFolder& folder,
                       const TrainingHooks& hooks = {}) {
    return assay::train({.model = model,
                         .step = step,
                         .batches = batches,
                         .validation_loss =
                             [&] {
                               std::vector<size_t> all = {0, 1, 2, 3, 4, 5, 6};
                               return step.loss({images.batch(all)}).item() + extra_loss();
                             }},
                        config, folder, hooks);
  }
  std::string weights() const {
    std::string bytes;
    for (const auto& [name, tensor] : save_state(layer))
      bytes.append(tensor.bytes.begin(), tensor.bytes.end());
    return bytes;
  }

  std::string model;
  ImageStore images = small_images();
  BatchLoader batches{images, {0, 1, 2, 3, 4, 5, 6}, {.batch = 3, .seed = 5}};
  Linear layer{LinearConfig{16, 16}};
  OneLayerStep step{layer};
  std::function<double()> extra_loss = [] { return 0.0; };
};

std::vector<double> validation_losses(const TemporaryRun& run) {
  return History::read(run.folder().history()).column("validation_loss");
}

RunConfig config_of(int epochs) {
  RunConfig config;
  config.epochs = epochs;
  config.batch = 3;
  config.min_steps = 0;
  config.patience = 100;
  return config;
}

}  // namespace

TEST_CASE("epochs, steps and history") {
  const TemporaryRun run;
  Fixture f;
  const TrainingResult result = f.train(config_of(4), run.folder());
  CHECK(result.epochs == 4);
  CHECK(result.steps == 12);  // 7 images are batches of 3, 3 and 1
  const std::vector<double> losses = validation_losses(run);
  REQUIRE(losses.size() == 4);
  CHECK(losses.back() < losses.front());
  CHECK(result.best_validation_loss == losses[result.best_epoch - 1]);
  CHECK(result.history.rows() == History::read(run.folder().history()).rows());
  const TrainingResult stored = read_result(config_of(4), run.folder(), 7);
  CHECK(stored.epochs == result.epochs);
  CHECK(stored.steps == result.steps);
  CHECK(stored.best_epoch == result.best_epoch);
  CHECK(stored.best_validation_loss == result.best_validation_loss);
  CHECK(stored.history.seconds() == result.history.seconds());
}

TEST_CASE("a limit of steps ends within an epoch") {
  const TemporaryRun run;
  Fixture f;
  RunConfig config = config_of(100);
  config.steps = 5;
  const TrainingResult result = f.train(config, run.folder());
  CHECK(result.steps == 5);
  CHECK(result.epochs == 2);
}

TEST_CASE("a stop at any step resumes to the same bits") {
  const TemporaryRun whole_run;
  Fixture whole;
  whole.train(config_of(3), whole_run.folder());
  for (int64_t stop_after = 1; stop_after < 9; ++stop_after) {
    CAPTURE(stop_after);
    const TemporaryRun run;
    Fixture broken;
    CHECK_THROWS_AS(
        broken.train(config_of(3), run.folder(),
                     {.stop_requested = [&] { return broken.step.steps() >= stop_after; }}),
        Interrupted);
    Fixture resumed;
    const TrainingResult result = resumed.train(config_of(3), run.folder());
    CHECK(result.epochs == 3);
    CHECK(resumed.weights() == whole.weights());
    const History a = History::read(whole_run.folder().history());
    const History b = History::read(run.folder().history());
    for (const char* column : {"epoch", "train_loss", "validation_loss"})
      CHECK(a.column(column) == b.column(column));
  }
}

TEST_CASE("early stopping gives the best weights back, keep_last the last") {
  for (const bool keep_last : {false, true}) {
    CAPTURE(keep_last);
    const TemporaryRun run;
    Fixture f;
    int epoch = 0;
    std::string after_second;
    f.extra_loss = [&] {
      if (++epoch == 2) after_second = f.weights();
      return epoch == 2 ? -100.0 : 0.0;
    };
    RunConfig config = config_of(50);
    config.patience = 3;
    config.keep_last = keep_last;
    const TrainingResult result = f.train(config, run.folder());
    CHECK(result.best_epoch == 2);
    CHECK(result.epochs == 5);
    CHECK((f.weights() == after_second) == !keep_last);
  }
}

TEST_CASE("a loss that is not finite stops the training and names the place") {
  const TemporaryRun run;
  Fixture f;
  f.extra_loss = [] { return std::numeric_limits<double>::quiet_NaN(); };
  try {
    f.train(config_of(3), run.folder());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("epoch 1") != std::string::npos);
  }
  CHECK(!fs::exists(run.folder().checkpoint()));

  Fixture g;
  g.layer.parameters()[0].tensor.mutable_data<float>()[0] = std::numeric_limits<float>::infinity();
  try {
    g.train(config_of(3), run.folder());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(" in step 1 (linear: ") != std::string::npos);
  }
}

TEST_CASE("weights that are not finite are not written, though the last loss was") {
  const TemporaryRun run;
  Fixture f;
  f.step.optimizers()[0].optimizer->set_learning_rate(1e300);
  TrainingHooks hooks;
  bool stepped = false;
  hooks.progress = [&](const TrainingProgress& at) { stepped = std::isfinite(at.loss); };
  hooks.stop_requested = [&] { return stepped; };
  try {
    f.train(config_of(3), run.folder(), hooks);
    FAIL("no error");
  } catch (const Interrupted&) {
    FAIL("a checkpoint was written");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(" holds ") != std::string::npos);
    CHECK(std::string(e.what()).find("no checkpoint is written") != std::string::npos);
  }
  CHECK(stepped);
  CHECK(!fs::exists(run.folder().checkpoint()));
}

TEST_CASE("a checkpoint that was cut, edited or is another model's is refused") {
  const TemporaryRun run;
  Fixture f;
  f.train(config_of(1), run.folder());
  const fs::path file = run.folder().checkpoint();
  std::ifstream in(file, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto load = [&](const std::string& model) {
    Fixture g(model);
    g.train(config_of(2), run.folder());
  };
  CHECK_THROWS_AS(load("another"), CheckpointError);
  for (size_t at : {size_t{0}, size_t{3}, whole.size() / 3, whole.size() / 2, whole.size() - 1}) {
    CAPTURE(at);
    std::string edited = whole;
    edited[at] = static_cast<char>(edited[at] ^ 0x20);
    write_file(file, edited);
    CHECK_THROWS_AS(load("one-layer"), CheckpointError);
    write_file(file, whole.substr(0, at));
    CHECK_THROWS_AS(load("one-layer"), CheckpointError);
  }
  write_file(file, whole);
  load("one-layer");
}

TEST_CASE("a part without epochs ends when a stop is requested") {
  bool stop = false;
  TrainingHooks hooks;
  hooks.stop_requested = [&] { return stop; };
  LongPart part(hooks, "scoring the good images");
  part(0.5);
  stop = true;
  CHECK_THROWS_WITH_AS(part(0.6), doctest::Contains("while scoring the good images"), Interrupted);
}

}  // namespace assay
