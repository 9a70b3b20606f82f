// Runs the steps of a training one after another, recorded as a CUDA graph if possible.
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

/// Reads the losses of each step and throws Error if one is not finite. Losses of recorded steps
/// are read one step late, while the next step is queued.
class StepRunner {
 public:
  /// `step` outlives this. Batches of another size than `batch` (the last of an epoch) are not
  /// recorded.
  StepRunner(TrainingStep& step, int batch);
  ~StepRunner();

  /// Runs the next step on step.batches_per_step() batches. Returns the steps whose losses are
  /// known now: this one or, if steps are recorded, the one before. Error that names the step if a
  /// loss is not finite. A recorded step has changed the weights by then (others have not), so
  /// nothing may be saved after the Error.
  std::vector<StepResult> run(std::span<const Batch> batches);
  /// Waits for the losses of queued steps and returns those steps. Error as for run().
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
