// Training on a CUDA device gives the losses of the CPU step by step, and the same bits every time,
// also when the step is replayed from a graph, whose losses the host reads one step late. Small
// images, few of them.
#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <memory>

#include "data/file.h"
#if ASSAY_EMULATED
#include "kernels/emulator/api.h"
#include "kernels/emulator/config.h"
#endif
#include "layers/init.h"
#include "layers/state.h"
#include "models/experiments/configure.h"
#include "models/experiments/gan_run.h"
#include "models/networks/cnn.h"
#include "models/networks/kd_cae.h"
#include "models/networks/ni_cae.h"
#include "models/training/recorded_step.h"
#include "models/training/step_runner.h"
#include "models/training/trainer.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tests/support/files.h"
#include "tests/support/kernel_test.h"

namespace assay {
namespace {

constexpr int kSide = 32, kBatch = 2;

// With a graph, two steps warm up and one is recorded; the others replay it.
int steps_to_train() {
#if ASSAY_EMULATED_CHECK
  return 4;
#elif ASSAY_EMULATED
  return 6;
#else
  return 10;
#endif
}

ImageStore images(int side, int count = 5) {  // a last batch that is smaller than the others
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i) {
    Sample& sample = samples.emplace_back();
    sample.path = fmt::format("train/good/{}.png", i);
    sample.defective = i % 2 == 1;
    sample.draw = [i, side] { return LoadedImage{testing::small_image(i, side, side), {}}; };
  }
  return {current_context(), samples, {.height = side, .width = side, .channels = 3}};
}

/// The results of a training: the loss of each step, and all weights.
struct Outcome {
  std::vector<double> losses;
  std::string weights;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::string bytes_of(const StateDict& state) {
  std::string bytes;
  for (const auto& [name, tensor] : state) bytes.append(tensor.bytes.begin(), tensor.bytes.end());
  return bytes;
}

/// Lowers any loss of any network, so that a test can choose them.
class TestStep : public NetworkStep {
 public:
  using Loss = std::function<Tensor(const Batch&)>;
  TestStep(Module& network, std::unique_ptr<Optimizer> optimizer, Loss loss)
      : NetworkStep(network, std::move(optimizer)), loss_(std::move(loss)) {}
  std::vector<Tensor> inputs(std::span<const Batch> batches) override {
    return {batches[0].x, batches[0].clean, batches[0].labels};
  }
  Tensor loss(const std::vector<Tensor>& inputs) override {
    return loss_({.images = {}, .x = inputs[0], .clean = inputs[1], .labels = inputs[2]});
  }

 private:
  Loss loss_;
};

Outcome train_network(Network& network, NetworkStep& step) {
  init_parameters(network, Init::he, 3);
  const ImageStore store = images(kSide);
  BatchLoader batches(store, {0, 1, 2, 3, 4},
                      {.batch = kBatch, .seed = 5, .clean_target = true, .labels = true});
  RunConfig config;
  config.batch = kBatch;
  config.epochs = 100;
  config.steps = steps_to_train();
  config.keep_last = true;
  config.image_size = kSide;
  testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  Outcome outcome;
  TrainingHooks hooks;
  hooks.progress = [&](const TrainingProgress& at) { outcome.losses.push_back(at.loss); };
  train({.model = "test",
         .step = step,
         .batches = batches,
         // Between the steps: it must see the weights that a replay has changed.
         .validation_loss =
             [&] {
               return mean_loss(step, config, store, {0, 1, 2});
             }},
        config, run, hooks);
  outcome.weights = bytes_of(save_state(network));
  return outcome;
}

RunConfig slow_config(const char* model) {
  RunConfig config = default_config(model);
  config.lr = 1e-4;
  config.batch = kBatch;
  return config;
}

Outcome train_cnn() {
  Cnn network(Cnn::Variant::study, kSide, 3);
  ClassifierStep step(network, slow_config("cnn"), 2.0);
  return train_network(network, step);
}
Outcome train_kd_cae() {
  KdCae network(KdCae::Variant::pooled, kSide, 3);
  ReconstructionStep step(network, slow_config("kd-cae"));
  return train_network(network, step);
}
Outcome train_ni_cae() {
  NiCae network(kSide, 3);
  TestStep step(network,
                std::make_unique<Adam>(network.parameters(), AdamOptions{.learning_rate = 1e-4}),
                [&](const Batch& b) { return ssim_loss(network(b.x), b.clean); });
  return train_network(network, step);
}
Outcome train_dcgan_steps(int k_steps, int count) {
  Dcgan gan(64, 3, 4);
  init_parameters(gan, Init::dcgan, 3);
  RunConfig config = default_config("dcgan");
  config.batch = kBatch;
  config.k_steps = k_steps;
  GanStep step(gan, config);
  StepRunner runner(step, kBatch);
  const ImageStore store = images(64);
  BatchLoader batches(store, {0, 1, 2, 3, 4}, {.batch = kBatch, .seed = 5, .endless = true});
  batches.start_epoch(0);
  std::vector<Batch> taken(static_cast<size_t>(k_steps));
  Outcome outcome;
  const auto note = [&](const std::vector<StepResult>& known) {
    for (const StepResult& result : known) {
      CHECK(result.step == static_cast<int64_t>(outcome.losses.size()) / 4 + 1);
      REQUIRE(result.metrics.size() == 4);
      outcome.losses.insert(outcome.losses.end(), result.metrics.begin(), result.metrics.end());
    }
  };
  while (step.steps() < count) {
    for (Batch& batch : taken) REQUIRE(batches.next(batch));
    note(runner.run(taken));
    const int64_t known = static_cast<int64_t>(outcome.losses.size()) / 4;
    CHECK(step.steps() - known == (RecordedStep::wanted() ? 1 : 0));
  }
  note(runner.finish());
  outcome.weights = bytes_of(step.save());  // the count of batches among them
  return outcome;
}
Outcome train_dcgan_1() {
  return train_dcgan_steps(1, steps_to_train());
}
Outcome train_dcgan_3() {
  return train_dcgan_steps(3, 4);
}

/// Sets ASSAY_GRAPH for a scope.
class Graphs {
 public:
  explicit Graphs(bool on) { setenv("ASSAY_GRAPH", on ? "1" : "0", 1); }
  ~Graphs() { unsetenv("ASSAY_GRAPH"); }
};

/// The sums of the two devices differ in order only, so a first loss differs by rounding.
/// Optimizers divide a gradient near 0 by its own size, so later differences are larger and grow by
/// the step.
constexpr double kFirstLoss = 1e-5, kLaterLosses = 1e-3;
/// In bf16 beside fp32, as in bf16_test.cpp.
constexpr double kFirstLossBf16 = 2 * 0x1p-8, kLaterLossesBf16 = 10 * 0x1p-8;

/// Trains in fp32 on the CPU and in `precision` on CUDA.
void check_model(Outcome (*train)(), Precision precision = Precision::fp32) {
  if (!test::cuda_tested()) return;
  Outcome cpu;
  {
    CpuContext ctx;
    const ContextScope scope(ctx);
    cpu = train();
  }
  std::vector<Outcome> cuda;
  for (const bool graphs : {false, true, true}) {
    const auto ctx = make_context(Device::cuda(), 1);
    set_precision(*ctx, precision);
    const ContextScope scope(ctx->get());
    const Graphs recorded(graphs);
    CHECK(RecordedStep::wanted() == graphs);
    cuda.push_back(train());
  }
  REQUIRE(cpu.losses.size() == cuda[0].losses.size());
  const bool narrow = precision == Precision::bf16;
  const double first = narrow ? kFirstLossBf16 : kFirstLoss;
  const double later = narrow ? kLaterLossesBf16 : kLaterLosses;
  CHECK(cuda[0].losses[0] == doctest::Approx(cpu.losses[0]).epsilon(first));
  for (size_t i = 0; i < cpu.losses.size(); ++i) {
    CAPTURE(i);
    CHECK(cuda[0].losses[i] == doctest::Approx(cpu.losses[i]).epsilon(later));
    CHECK(cuda[1].losses[i] == cuda[0].losses[i]);
  }
  CHECK(cuda[1].weights == cuda[0].weights);
  CHECK(cuda[2] == cuda[1]);
}

TEST_CASE("cnn: trains on CUDA as on the CPU, with and without a graph") {
  check_model(train_cnn);
}
TEST_CASE("kd-cae: trains on CUDA as on the CPU, with and without a graph") {
  check_model(train_kd_cae);
}
TEST_CASE("kd-cae: trains in bf16 on CUDA near fp32 on the CPU, with and without a graph") {
  check_model(train_kd_cae, Precision::bf16);
}
TEST_CASE("ni-cae: trains on CUDA as on the CPU, with and without a graph") {
  check_model(train_ni_cae);
}
TEST_CASE("dcgan: trains on CUDA as on the CPU, with and without a graph") {
  check_model(train_dcgan_1);
}
TEST_CASE("dcgan: trains with three discriminator updates a step on CUDA as on the CPU") {
  check_model(train_dcgan_3);
}

/// A training of one dense layer, 4 full batches an epoch. Its loss becomes NaN by a factor on the
/// device as soon as it is told: in the step that is queued next.
struct Poisoned {
  explicit Poisoned(bool graphs) : recorded(graphs) { init_parameters(layer, Init::keras, 3); }

  void train(const TrainingHooks& hooks) {
    RunConfig config;
    config.batch = kBatch;
    config.epochs = 3;
    run.create();
    assay::train(
        {.model = "test", .step = step, .batches = batches, .validation_loss = [] { return 1.0; }},
        config, run, hooks);
  }
  /// What train() ends with, and the checkpoint that is there then.
  std::string message(const TrainingHooks& hooks) {
    try {
      train(hooks);
    } catch (const Interrupted& e) {
      return fmt::format("a checkpoint was written: {}", e.what());
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  void poison() const { factor.copy_from(Tensor::full({1}, NAN)); }

  std::unique_ptr<OwnedContext> context = make_context(Device::cuda(), 1);
  ContextScope scope{context->get()};
  Graphs recorded;
  ImageStore store = images(4, 8);
  BatchLoader batches{store,
                      {0, 1, 2, 3, 4, 5, 6, 7},
                      {.batch = kBatch, .seed = 5, .clean_target = true, .labels = true}};
  Linear layer{LinearConfig{48, 48}};
  Tensor factor = Tensor::full({1}, 1);
  TestStep step{layer, std::make_unique<Adam>(layer.parameters(), AdamOptions{}),
                [this](const Batch& b) {
                  const Tensor flat = b.x.reshape({b.x.dim(0), 48});
                  return multiply(mse_loss(layer(flat), flat), factor);
                }};
  testing::TemporaryFolder folder;
  RunFolder run{folder / "run"};
};

TEST_CASE("a NaN on CUDA is found in its step and ends in no checkpoint") {
  if (!test::cuda_tested()) return;
  for (const bool graphs : {false, true})
    for (const bool interrupted : {false, true}) {
      CAPTURE(graphs);
      CAPTURE(interrupted);
      Poisoned p(graphs);
      std::vector<uint8_t> checkpoint;
      bool stop = false;
      TrainingHooks hooks;
      hooks.progress = [&](const TrainingProgress& at) {
        CHECK(p.step.steps() - at.step == (graphs && at.step % 4 != 0 ? 1 : 0));
        if (at.step == 5) {
          checkpoint = read_bytes(p.run.checkpoint());  // of the first epoch
          p.poison();
        }
        // With a graph, step 7 is queued by now, whose loss nobody has seen.
        if (at.step == 6) stop = interrupted;
      };
      hooks.stop_requested = [&] { return stop; };
      // The next step that is queued behind the poison is 6 or, where one is ahead, 7.
      CHECK(p.message(hooks).find(fmt::format("the loss became nan in step {}", graphs ? 7 : 6)) !=
            std::string::npos);
      CHECK(read_bytes(p.run.checkpoint()) == checkpoint);
      CHECK(History::read(p.run.history()).rows().size() == 1);
    }
}

TEST_CASE("a DCGAN that blows up on CUDA writes no checkpoint") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  const ContextScope scope(*context);
  RunConfig config = default_config("dcgan");
  config.batch = kBatch;
  config.lr = 1e30;
  config.steps = 5;
  Dcgan gan(64, 3, 2);
  init_parameters(gan, Init::dcgan, 3);
  const ImageStore store = images(64);
  testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  CHECK_THROWS_WITH_AS(train_dcgan(gan, store, {0, 1, 2, 3, 4}, config, run, {}),
                       doctest::Contains("loss became"), Error);
  CHECK(!std::filesystem::exists(run.checkpoint()));
}

#if ASSAY_EMULATED
TEST_CASE("the host looks at a loss while the next step waits in the stream") {
  if (!test::cuda_tested()) return;
  const emulator::Config before = emulator::config();
  emulator::config().streams =
      emulator::Streams::late;  // nothing runs before the host waits for it
  {
    Poisoned p(true);
    int ahead = 0;
    TrainingHooks hooks;
    hooks.progress = [&](const TrainingProgress&) {
      ahead +=
          cudaStreamQuery(static_cast<cudaStream_t>(current_context().stream)) == cudaErrorNotReady;
      cudaGetLastError();
    };
    p.train(hooks);
    CHECK(ahead >= 8);  // of 12 steps, the last of an epoch being waited for
  }
  emulator::config() = before;
}
#endif

}  // namespace
}  // namespace assay
