#include "models/training/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "models/run/data.h"
#include "models/training/checkpoint.h"
#include "models/training/step_runner.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Columns of history.csv.
std::vector<std::string> history_columns(const TrainingTask& task) {
  const std::vector<std::string> metrics = task.step.metric_names();
  std::vector<std::string> columns;
  columns.reserve(metrics.size() + 3);
  columns.emplace_back("epoch");
  if (!task.validation_loss) columns.emplace_back("step");
  columns.insert(columns.end(), metrics.begin(), metrics.end());
  if (task.validation_loss) columns.emplace_back("validation_loss");
  columns.emplace_back("seconds");
  return columns;
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
        runner_(task.step, config.batch),
        early_stopping_({.patience = config.patience, .min_steps = config.min_steps}),
        epoch_steps_(task.epoch_steps > 0 ? task.epoch_steps : task.batches.batches_per_epoch()),
        max_steps_(task.batches.batches_per_epoch() * config.epochs),
        history_(history_columns(task)) {
    if (config.steps > 0) max_steps_ = std::min(max_steps_, config.steps);
    clear_sums();
  }

  TrainingResult run() {
    resume();
    while (!at_.finished) {
      const Clock::time_point start = Clock::now();
      run_epoch();
      end_epoch(start);
    }
    if (validates() && !config_.keep_last) early_stopping_.restore_best(task_.step.module());
    return {.epochs = at_.epoch,
            .steps = task_.step.steps(),
            .best_epoch = early_stopping_.best_epoch() + 1,
            .best_validation_loss = validates() ? early_stopping_.best_loss() : 0,
            .history = history_};
  }

 private:
  bool validates() const { return task_.validation_loss != nullptr; }

  TrainingState state() {
    return {.model = task_.model,
            .step = task_.step,
            .early_stopping = validates() ? &early_stopping_ : nullptr,
            .epoch_steps = epoch_steps_};
  }

  void clear_sums() {
    at_.batch = at_.weight = 0;
    at_.sums.assign(task_.step.metric_names().size(), 0.0);
  }

  void resume() {
    if (!std::filesystem::exists(folder_.checkpoint())) return;
    at_ = load_checkpoint(folder_.checkpoint(), state());
    if (!validates()) at_.finished = task_.step.steps() >= max_steps_;
    if (History stored = History::read(folder_.history()); !stored.rows().empty()) {
      ASSAY_CHECK_AS(
          CheckpointError, stored.columns() == history_.columns(),
          "{}: is of another model; remove it to go on without the losses of past epochs",
          folder_.history().string());
      history_ = std::move(stored);
    }
    // A crash may leave history.csv one line ahead of the checkpoint.
    history_.cut_after(at_.epoch);
    if (history_.rows().size() < static_cast<size_t>(at_.epoch))
      hooks_.say("history.csv has lost epochs: their losses and seconds are missing from now on");
    hooks_.say(fmt::format("going on after epoch {}, step {}", at_.epoch, task_.step.steps()));
  }

  void run_epoch() {
    if (task_.batches.endless())
      task_.batches.start_epoch(0, task_.step.steps() * task_.step.batches_per_step());
    else
      task_.batches.start_epoch(at_.epoch, at_.batch);
    const int64_t end = std::min(max_steps_, (at_.epoch + 1) * epoch_steps_);
    std::vector<Batch> batches(static_cast<size_t>(task_.step.batches_per_step()));
    while (task_.step.steps() < end) {
      if (hooks_.stop_requested()) interrupt();
      for (Batch& batch : batches)
        ASSAY_CHECK(task_.batches.next(batch), "training: the loader has no batch left in epoch {}",
                    at_.epoch + 1);
      count(runner_.run(batches));
      sample();
    }
    count(runner_.finish());
    if (hooks_.stop_requested()) interrupt();
  }

  void sample() {
    const int64_t step = task_.step.steps();
    if (!task_.sample || (step != max_steps_ && step % task_.sample_every != 0)) return;
    count(runner_.finish());
    task_.sample(step);
  }

  void count(const std::vector<StepResult>& results) {
    for (const StepResult& result : results) {
      const int64_t weight = task_.batches.endless() ? 1 : result.images;
      for (size_t i = 0; i < at_.sums.size(); ++i)
        at_.sums[i] += result.metrics[i] * static_cast<double>(weight);
      at_.batch += 1;
      at_.weight += weight;
      hooks_.progress({.step = result.step,
                       .max_steps = max_steps_,
                       .epoch = at_.epoch + 1,
                       .loss = result.metrics.front(),
                       .note = task_.step.note(result.metrics)});
    }
  }

  void end_epoch(Clock::time_point start) {
    const int64_t steps = task_.step.steps();
    std::vector<double> row = {static_cast<double>(at_.epoch + 1)};
    if (!validates()) row.push_back(static_cast<double>(steps));
    for (const double sum : at_.sums) row.push_back(sum / static_cast<double>(at_.weight));
    bool stop = false;
    if (validates()) {
      row.push_back(task_.validation_loss());
      ASSAY_CHECK(std::isfinite(row.back()),
                  "training: the validation loss became {} in epoch {}; try a smaller --lr",
                  row.back(), at_.epoch + 1);
      stop = early_stopping_.update(row.back(), steps, task_.step.module());
    }
    ++at_.epoch;
    clear_sums();
    at_.finished = stop || steps >= max_steps_;
    row.push_back(seconds_since(start));
    history_.add(std::move(row));
    history_.write(folder_.history());
    save_checkpoint(folder_.checkpoint(), state(), at_);
    if (stop && at_.epoch < config_.epochs)
      hooks_.say(
          fmt::format("stopped after epoch {}: the validation loss did not improve for {} epochs",
                      at_.epoch, config_.patience));
  }

  [[noreturn]] void interrupt() {
    count(runner_.finish());
    save_checkpoint(folder_.checkpoint(), state(), at_);
    throw Interrupted(
        fmt::format("interrupted in epoch {}, step {}; the checkpoint is written, go on with "
                    "--resume",
                    at_.epoch + 1, task_.step.steps()));
  }

  const TrainingTask& task_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const TrainingHooks& hooks_;
  StepRunner runner_;
  EarlyStopping early_stopping_;
  int64_t epoch_steps_, max_steps_;
  TrainingPosition at_;
  History history_;
};

}  // namespace

TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks) {
  return Training(task, config, folder, hooks).run();
}

TrainingResult read_result(const RunConfig& config, const RunFolder& folder, size_t train_images) {
  if (config.untrained) return TrainingResult();
  TrainingResult result{.history = History::read(folder.history())};
  ASSAY_CHECK_AS(CheckpointError, !result.history.rows().empty(),
                 "{}: is missing or has no epoch, and the metrics need them; put it back, or train "
                 "again with --force",
                 folder.history().string());
  const std::vector<double> epochs = result.history.column("epoch");
  result.epochs = static_cast<int>(epochs.back());
  if (result.history.has("step")) {
    result.steps = static_cast<int64_t>(result.history.column("step").back());
    return result;
  }
  const int64_t epoch_steps =
      (static_cast<int64_t>(train_images) + config.batch - 1) / config.batch;
  result.steps = result.epochs * epoch_steps;
  if (config.steps > 0) result.steps = std::min(result.steps, config.steps);
  const std::vector<double> losses = result.history.column("validation_loss");
  const auto best = std::min_element(losses.begin(), losses.end());
  result.best_epoch = static_cast<int>(epochs[static_cast<size_t>(best - losses.begin())]);
  result.best_validation_loss = *best;
  return result;
}

double mean_loss(NetworkStep& step, const RunConfig& config, const ImageStore& store,
                 const std::vector<size_t>& images, const std::vector<size_t>& noisy) {
  step.module().eval();
  double sum = 0;
  for_each_batch(config, store, images, noisy, [&](const Batch& batch) {
    sum += step.loss(step.inputs({&batch, 1})).item() * static_cast<double>(batch.images.size());
  });
  return sum / static_cast<double>(images.size());
}

}  // namespace assay
