#include "models/training/recorded_step.h"

#include <cstdlib>
#include <string_view>

#include "tensor/tape.h"

namespace assay {

RecordedStep::RecordedStep(TrainingStep& step)
    : step_(step), recorder_(new_step_recorder(current_context())) {
  ASSAY_CHECK(recorder_ != nullptr, "recorded step: the current context does not record steps");
}

RecordedStep::~RecordedStep() = default;

bool RecordedStep::wanted() {
  const char* graph = std::getenv("ASSAY_GRAPH");
  if (graph != nullptr && std::string_view(graph) == "0") return false;
  return current_context().device.is_cuda() && current_context().owner != nullptr &&
         !check_finite();
}

std::vector<int64_t*> RecordedStep::counts() const {
  std::vector<int64_t*> counts;
  for (const Buffer& buffer : step_.module().buffers())
    if (buffer.count != nullptr) counts.push_back(buffer.count);
  return counts;
}

void RecordedStep::renew_versions() const {
  for (const Parameter& p : step_.module().parameters()) p.tensor.mutable_data<float>();
  for (const Buffer& b : step_.module().buffers())
    if (b.count == nullptr) b.tensor.mutable_data<float>();
}

void RecordedStep::run(const std::vector<Tensor>& inputs,
                       const std::function<void(const LossTerm&)>& on_loss) {
  for (const StepOptimizer& use : step_.optimizers()) use.optimizer->advance(use.updates);
  const std::vector<int64_t*> counts = this->counts();
  std::vector<int64_t> before;
  for (const int64_t* count : counts) before.push_back(*count);
  const bool executed = recorder_->run([&] {
    step_.run(inputs,
              {.on_loss = on_loss, .update = [](Optimizer& optimizer) { optimizer.apply(); }});
  });
  if (executed) {
    counted_.clear();
    for (size_t i = 0; i < counts.size(); ++i) counted_.push_back(*counts[i] - before[i]);
  } else {
    for (size_t i = 0; i < counts.size(); ++i) *counts[i] += counted_[i];
    renew_versions();
  }
}

}  // namespace assay
