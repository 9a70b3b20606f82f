// Runs the steps of a training one after the other: at once, or recorded where the device can.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/training/step.h"

namespace assay {

/// A finished step.
struct StepResult {
  int64_t step;    ///< from 1
  int64_t images;  ///< in its batch
  std::vector<double> metrics;
};

/// Reads the losses of each step and refuses those that are not finite. Where steps are recorded,
/// it reads them while the next step waits in the stream, one step late.
class StepRunner {
 public:
  /// `step` outlives this. Batches of another size than `batch`, the last of an epoch, are not
  /// recorded.
  StepRunner(TrainingStep& step, int batch);
  ~StepRunner();

  /// Runs the next step on step.batches_per_step() batches. Returns the steps whose losses are
  /// known by now: this one or, where steps are recorded, the one before. Error that names the step
  /// when a loss is not finite. A step that is not recorded has not touched the weights by then; a
  /// recorded one has, so nothing may be saved after the Error.
  std::vector<StepResult> run(std::span<const Batch> batches);
  /// Waits for the steps whose losses are still on their way and returns them. Same Error.
  std::vector<StepResult> finish();

 private:
  struct Recorded;

  std::vector<StepResult> run_recorded(const std::vector<Tensor>& inputs, int64_t images);
  StepResult finish_one();
  void check(double loss, size_t term, int64_t step, const std::string& culprit) const;

  TrainingStep& step_;
  int64_t batch_;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace assay
