#include "models/training/recorded_step.h"

#include <cstdlib>
#include <string_view>

#include "tensor/tape.h"

namespace assay {

RecordedStep::RecordedStep(std::vector<Module*> modules, std::vector<Updates> optimizers)
    : modules_(std::move(modules)),
      optimizers_(std::move(optimizers)),
      recorder_(new_step_recorder(current_context())) {
  ASSAY_CHECK(recorder_ != nullptr, "recorded step: the current context records nothing");
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
  for (const Module* module : modules_)
    for (const Buffer& buffer : module->buffers())
      if (buffer.count != nullptr) counts.push_back(buffer.count);
  return counts;
}

void RecordedStep::renew_versions() const {
  for (const Module* module : modules_) {
    for (const Parameter& p : module->parameters()) p.tensor.mutable_data<float>();
    for (const Buffer& b : module->buffers())
      if (b.count == nullptr) b.tensor.mutable_data<float>();
  }
}

void RecordedStep::run(const std::function<void()>& step) {
  for (const Updates& updates : optimizers_) updates.optimizer->advance(updates.count);
  const std::vector<int64_t*> counts = this->counts();
  std::vector<int64_t> before;
  for (const int64_t* count : counts) before.push_back(*count);
  if (recorder_->run(step)) {
    counted_.clear();
    for (size_t i = 0; i < counts.size(); ++i) counted_.push_back(*counts[i] - before[i]);
  } else {
    for (size_t i = 0; i < counts.size(); ++i) *counts[i] += counted_[i];
    renew_versions();
  }
}

}  // namespace assay
