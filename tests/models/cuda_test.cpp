// The models train on a CUDA device: step by step with the losses of the CPU, to the same bits
// every time, and to those bits too when the step is replayed from a graph. Small pictures, few of
// them.
#include <cmath>
#include <cstdlib>
#include <memory>

#include "layers/init.h"
#include "layers/state.h"
#include "models/cnn.h"
#include "models/dcgan_players.h"
#include "models/kd_cae.h"
#include "models/ni_cae.h"
#include "models/recorded_step.h"
#include "models/training.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tests/data/files.h"
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

constexpr int kSide = 32, kBatch = 2;

// A checked access costs some ten times as much.
int steps_to_train() {
#if ASSAY_EMULATED_CHECK
  return 4;  // two to warm up, one recorded, one replayed
#else
  return 10;
#endif
}

ImageStore pictures(int side) {
  std::vector<Sample> samples;
  for (int i = 0; i < 5; ++i) {  // a last batch that is smaller than the others
    Sample& sample = samples.emplace_back();
    sample.path = "train/good/" + std::to_string(i) + ".png";
    sample.defective = i % 2 == 1;
    sample.draw = [i, side] { return Picture{testing::small_picture(i, side, side), {}}; };
  }
  return {current_context(), samples, {.height = side, .width = side, .channels = 3}};
}

/// What a training leaves: the loss of each step, and all weights.
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

template <class Opt, class Options>
Outcome train_network(Network& network, const Options& options,
                      const std::function<Tensor(const Batch&)>& loss) {
  init_parameters(network, Init::he, 3);
  const ImageStore store = pictures(kSide);
  BatchLoader batches(store, {0, 1, 2, 3, 4},
                      {.batch = kBatch, .seed = 5, .clean_target = true, .labels = true});
  Opt optimizer(network.parameters(), options);
  RunConfig config;
  config.batch = kBatch;
  config.epochs = 100;
  config.steps = steps_to_train();
  config.keep_last = true;
  testing::TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  Outcome outcome;
  TrainingHooks hooks;
  hooks.progress = [&](const TrainingProgress& at) { outcome.losses.push_back(at.loss); };
  train({.model = "test",
         .module = network,
         .optimizer = optimizer,
         .batches = batches,
         .loss = loss,
         .validation_loss =
             [&] {  // between the steps: it must see the weights that a replay has changed
               network.eval();
               BatchLoader all(store, {0, 1, 2}, {.batch = 3, .shuffle = false, .labels = true});
               all.start_epoch(0);
               Batch batch;
               REQUIRE(all.next(batch));
               batch.clean = batch.x;
               return loss(batch).item();
             }},
        config, run, hooks);
  outcome.weights = bytes_of(save_state(network));
  return outcome;
}

Outcome train_cnn() {
  Cnn network(Cnn::Variant::study, kSide, 3);
  return train_network<Rmsprop>(
      network, RmspropOptions{.learning_rate = 1e-4},
      [&](const Batch& b) { return bce_with_logits_loss(network(b.x), b.labels, 2.0); });
}
Outcome train_kd_cae() {
  KdCae network(KdCae::Variant::pooled, kSide, 3);
  return train_network<Adam>(network, AdamOptions{.learning_rate = 1e-4},
                             [&](const Batch& b) { return mse_loss(network(b.x), b.clean); });
}
Outcome train_ni_cae() {
  NiCae network(kSide, 3);
  return train_network<Adam>(network, AdamOptions{.learning_rate = 1e-4},
                             [&](const Batch& b) { return ssim_loss(network(b.x), b.clean); });
}
Outcome play_dcgan() {
  Dcgan gan(64, 3, 4);
  init_parameters(gan, Init::dcgan, 3);
  RunConfig config = default_config("dcgan");
  config.batch = kBatch;
  GanPlayers players(gan, config);
  const ImageStore store = pictures(64);
  Outcome outcome;
  while (players.steps() < steps_to_train()) {
    const GanFigures now = players.step([&](int64_t i) {
      const std::vector<size_t> chosen = {static_cast<size_t>(i % 5),
                                          static_cast<size_t>((i + 1) % 5)};
      return affine(store.batch(chosen), 2, -1);
    });
    for (const double figure : {now.loss_d, now.loss_g, now.d_real, now.d_fake})
      outcome.losses.push_back(figure);
  }
  outcome.weights = bytes_of(players.save());  // the count of batches among them
  return outcome;
}

/// Sets ASSAY_GRAPH for a scope.
class Graphs {
 public:
  explicit Graphs(bool on) { setenv("ASSAY_GRAPH", on ? "1" : "0", 1); }
  ~Graphs() { unsetenv("ASSAY_GRAPH"); }
};

/// The sums of the two devices differ in order only, so a first loss differs by roundings. What the
/// optimizers make of a gradient near 0, divided by its own size, is larger, and grows by the step.
constexpr double kFirstLoss = 1e-5, kLaterLosses = 1e-3;

void check_model(Outcome (*train)()) {
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
    const ContextScope scope(ctx->get());
    const Graphs recorded(graphs);
    CHECK(RecordedStep::wanted() == graphs);
    cuda.push_back(train());
  }
  REQUIRE(cpu.losses.size() == cuda[0].losses.size());
  CHECK(cuda[0].losses[0] == doctest::Approx(cpu.losses[0]).epsilon(kFirstLoss));
  for (size_t i = 0; i < cpu.losses.size(); ++i) {
    CAPTURE(i);
    CHECK(cuda[0].losses[i] == doctest::Approx(cpu.losses[i]).epsilon(kLaterLosses));
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
TEST_CASE("ni-cae: trains on CUDA as on the CPU, with and without a graph") {
  check_model(train_ni_cae);
}
TEST_CASE("dcgan: plays on CUDA as on the CPU, with and without a graph") {
  check_model(play_dcgan);
}

}  // namespace
}  // namespace assay
