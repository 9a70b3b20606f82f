#include "models/training/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <optional>

#include "models/training/checkpoint.h"
#include "models/training/readback.h"
#include "models/training/recorded_step.h"
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
    most_steps_ = task.batches.batches_per_epoch() * config.epochs;
    if (config.steps > 0) most_steps_ = std::min(most_steps_, config.steps);
  }

  TrainingResult run() {
    resume();
    while (!at_.finished) {
      const Clock::time_point start = Clock::now();
      const double train_loss = run_epoch();
      const double validation_loss = task_.validation_loss();
      ASSAY_CHECK(std::isfinite(validation_loss),
                  "training: the validation loss became {:g} in epoch {}; try a smaller --lr",
                  validation_loss, at_.epoch + 1);
      at_ = {.epoch = at_.epoch + 1};
      const bool stop =
          early_stopping_.update(validation_loss, task_.optimizer.steps(), task_.module);
      at_.finished = stop || at_.epoch >= config_.epochs || task_.optimizer.steps() >= most_steps_;
      history_.push_back({at_.epoch, train_loss, validation_loss, seconds_since(start)});
      folder_.write_history(history_);
      save_checkpoint(folder_.checkpoint(), state(), at_);
      if (stop && at_.epoch < config_.epochs)
        hooks_.say(
            fmt::format("stopped after epoch {}: the validation loss did not improve for {} epochs",
                        at_.epoch, config_.patience));
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
    if (history_.size() < static_cast<size_t>(at_.epoch))
      hooks_.say("history.csv has lost epochs: their losses and seconds are missing from now on");
    hooks_.say(fmt::format("going on after epoch {}, step {}", at_.epoch, task_.optimizer.steps()));
  }

  /// Mean loss over the images of the epoch.
  double run_epoch() {
    task_.batches.start_epoch(at_.epoch, at_.batch);
    Batch batch;
    while (task_.optimizer.steps() < most_steps_ && task_.batches.next(batch)) {
      if (hooks_.stop_requested()) interrupt();
      task_.module.train();
      if (static_cast<int>(batch.images.size()) == config_.batch && RecordedStep::wanted())
        recorded_step(batch);
      else
        step(batch);
    }
    finish_steps();
    if (hooks_.stop_requested()) interrupt();
    return at_.loss_sum / static_cast<double>(at_.images);
  }

  void step(const Batch& batch) {
    finish_steps();
    Tape tape;
    const Tensor loss = task_.loss(batch);
    const double value = loss.item();
    if (std::isfinite(value)) {  // else the weights stay as they were
      task_.optimizer.zero_grad();
      tape.backward(loss);
      task_.optimizer.step();
    }
    count(batch, task_.optimizer.steps(), value);
  }

  /// The step on tensors of its own, which the batch is copied to. Its loss is looked at when the
  /// next step is queued, so a loss that is not finite has spoilt the weights by then; the training
  /// ends there, before anything is written.
  void recorded_step(const Batch& batch) {
    if (!recorded_) recorded_.emplace(task_, batch);
    recorded_->inputs.images = batch.images;
    for (const auto part : {&Batch::x, &Batch::clean, &Batch::labels})
      if ((batch.*part).defined()) (recorded_->inputs.*part).copy_from(batch.*part);
    recorded_->step.run([&] {
      Tape tape;
      const Tensor loss = task_.loss(recorded_->inputs);
      recorded_->loss.copy_from(loss);
      task_.optimizer.zero_grad();
      tape.backward(loss);
      task_.optimizer.apply();
    });
    recorded_->losses.push(recorded_->loss);
    recorded_->under_way.push_back({batch, task_.optimizer.steps()});
    if (recorded_->losses.full()) finish_step();
  }

  /// Looks at the loss of the oldest recorded step.
  void finish_step() {
    const double loss = recorded_->losses.pop()[0];
    const UnderWay done = recorded_->under_way.front();
    recorded_->under_way.pop_front();
    count(done.batch, done.step, loss);
  }
  void finish_steps() {
    while (recorded_ && !recorded_->losses.empty()) finish_step();
  }

  void count(const Batch& batch, int64_t step, double loss) {
    ASSAY_CHECK(std::isfinite(loss),
                "training: the loss became {:g} in epoch {}, batch {}{}; try a smaller --lr", loss,
                at_.epoch + 1, at_.batch + 1, op_to_blame([&] { task_.loss(batch); }));
    const auto images = static_cast<int64_t>(batch.images.size());
    at_.loss_sum += loss * static_cast<double>(images);
    at_.batch += 1;
    at_.images += images;
    hooks_.progress({step, most_steps_, at_.epoch + 1, loss});
  }

  [[noreturn]] void interrupt() {
    finish_steps();
    save_checkpoint(folder_.checkpoint(), state(), at_);
    throw Interrupted(fmt::format(
        "interrupted in epoch {}, batch {}; the checkpoint is written, go on with --resume",
        at_.epoch + 1, at_.batch));
  }

  TrainingResult result() const {
    TrainingResult r{.epochs = at_.epoch,
                     .steps = task_.optimizer.steps(),
                     .best_epoch = early_stopping_.best_epoch() + 1,
                     .best_validation_loss = early_stopping_.best_loss()};
    for (const EpochRecord& e : history_) r.seconds += e.seconds;
    return r;
  }

  /// A recorded step whose loss nobody has looked at.
  struct UnderWay {
    Batch batch;
    int64_t step;
  };
  struct Recorded {
    Recorded(const TrainingTask& task, const Batch& like)
        : step({&task.module}, {{&task.optimizer}}) {
      for (const auto part : {&Batch::x, &Batch::clean, &Batch::labels})
        if ((like.*part).defined()) inputs.*part = Tensor::empty((like.*part).shape());
    }
    Batch inputs;
    Tensor loss = Tensor::empty({1});
    Readback losses{1};
    std::deque<UnderWay> under_way;  // as in losses
    RecordedStep step;
  };

  const TrainingTask& task_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const TrainingHooks& hooks_;
  EarlyStopping early_stopping_;
  int64_t most_steps_ = 0;
  TrainingPosition at_;
  std::vector<EpochRecord> history_;
  std::optional<Recorded> recorded_;
};

}  // namespace

TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks) {
  return Training(task, config, folder, hooks).run();
}

}  // namespace assay
