#include "models/training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "kernels/runtime/philox.h"
#include "models/checkpoint.h"
#include "tensor/tape.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One training from its start or its checkpoint to its end.
class Training {
 public:
  Training(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
           const TrainingHooks& hooks)
      : task_(task),
        config_(config),
        folder_(folder),
        hooks_(hooks),
        early_stopping_({.patience = config.patience, .min_steps = config.min_steps}) {
    batches_ = (task.images + config.batch - 1) / config.batch;
    most_steps_ = batches_ * config.epochs;
    if (config.steps > 0) most_steps_ = std::min(most_steps_, config.steps);
  }

  TrainingResult run() {
    resume();
    while (!at_.finished) {
      const Clock::time_point start = Clock::now();
      const double train_loss = run_epoch();
      const double validation_loss = task_.validation_loss();
      ASSAY_CHECK(std::isfinite(validation_loss), "training: the validation loss became ",
                  validation_loss, " in epoch ", at_.epoch + 1, "; try a smaller --lr");
      at_ = {.epoch = at_.epoch + 1};
      const bool stop =
          early_stopping_.update(validation_loss, task_.optimizer.steps(), task_.module);
      at_.finished = stop || at_.epoch >= config_.epochs || task_.optimizer.steps() >= most_steps_;
      history_.push_back({at_.epoch, train_loss, validation_loss, seconds_since(start)});
      folder_.write_history(history_);
      save_checkpoint(folder_.checkpoint(), state(), at_);
      if (stop)
        hooks_.say(str("stopped after epoch ", at_.epoch,
                       ": the validation loss did not improve for ", config_.patience, " epochs"));
    }
    if (!config_.keep_last) early_stopping_.restore_best(task_.module);
    return result();
  }

 private:
  TrainingState state() { return {task_.model, task_.module, task_.optimizer, early_stopping_}; }

  void resume() {
    if (!std::filesystem::exists(folder_.checkpoint())) return;
    at_ = load_checkpoint(folder_.checkpoint(), state());
    history_ = folder_.read_history();
    // A crash may have fallen between the line of history and its checkpoint.
    std::erase_if(history_, [&](const EpochRecord& e) { return e.epoch > at_.epoch; });
    hooks_.say(str("going on after epoch ", at_.epoch, ", step ", task_.optimizer.steps()));
  }

  /// Mean loss over the images of the epoch.
  double run_epoch() {
    const std::vector<int64_t> order = shuffled_order(task_.images, config_.seed, at_.epoch);
    int64_t seen = std::min(at_.batch * config_.batch, task_.images);
    while (at_.batch < batches_ && task_.optimizer.steps() < most_steps_) {
      if (hooks_.stop_requested()) interrupt();
      const int64_t begin = at_.batch * config_.batch;
      const int64_t count = std::min<int64_t>(config_.batch, task_.images - begin);
      const double loss = step(std::span(order).subspan(begin, count));
      ASSAY_CHECK(std::isfinite(loss), "training: the loss became ", loss, " in epoch ",
                  at_.epoch + 1, ", batch ", at_.batch + 1, "; try a smaller --lr");
      at_.loss_sum += loss * static_cast<double>(count);
      at_.batch += 1;
      seen += count;
      hooks_.progress({task_.optimizer.steps(), most_steps_, at_.epoch + 1, loss});
    }
    if (hooks_.stop_requested()) interrupt();
    return at_.loss_sum / static_cast<double>(seen);
  }

  double step(std::span<const int64_t> batch) {
    task_.module.train();
    Tape tape;
    const Tensor loss = task_.loss(batch);
    const double value = loss.item();
    if (!std::isfinite(value)) return value;  // the weights stay as they were
    task_.optimizer.zero_grad();
    tape.backward(loss);
    task_.optimizer.step();
    return value;
  }

  [[noreturn]] void interrupt() {
    save_checkpoint(folder_.checkpoint(), state(), at_);
    throw Interrupted(str("interrupted in epoch ", at_.epoch + 1, ", batch ", at_.batch,
                          "; the checkpoint is written, go on with --resume"));
  }

  TrainingResult result() const {
    TrainingResult r{.epochs = at_.epoch,
                     .steps = task_.optimizer.steps(),
                     .best_epoch = early_stopping_.best_epoch() + 1,
                     .best_validation_loss = early_stopping_.best_loss()};
    for (const EpochRecord& e : history_) r.seconds += e.seconds;
    return r;
  }

  const TrainingTask& task_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const TrainingHooks& hooks_;
  EarlyStopping early_stopping_;
  int64_t batches_ = 0, most_steps_ = 0;
  TrainingPosition at_;
  std::vector<EpochRecord> history_;
};

}  // namespace

std::vector<int64_t> shuffled_order(int64_t images, uint64_t seed, int epoch) {
  std::vector<int64_t> order(images);
  std::iota(order.begin(), order.end(), 0);
  RandomSequence(seed, RandomStream::shuffle, static_cast<uint64_t>(epoch)).shuffle(order);
  return order;
}

TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks) {
  return Training(task, config, folder, hooks).run();
}

}  // namespace assay
