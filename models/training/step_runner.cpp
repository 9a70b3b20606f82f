#include "models/training/step_runner.h"

#include <fmt/core.h>

#include <cmath>
#include <deque>

#include "models/training/readback.h"
#include "models/training/recorded_step.h"
#include "tensor/tape.h"

namespace assay {

/// A recorded step with fixed tensors: the inputs are copied to them, the loss terms from them.
struct StepRunner::Recorded {
  Recorded(TrainingStep& step, const std::vector<Tensor>& like, int64_t batch)
      : terms(step.loss_terms()), recorder(step) {
    for (const Tensor& input : like) inputs.push_back(Tensor::empty(input.shape()));
    int64_t size = 0;
    for (const LossTermInfo& term : terms) {
      offsets.push_back(size);
      size += 1 + (term.returns_logits ? batch : 0);
    }
    values = Tensor::empty({size, 1});
    readback.emplace(size);
  }

  void keep(const LossTerm& term) const {
    values.rows(offsets[term.index], 1).copy_from(term.loss.reshape({1, 1}));
    if (terms[term.index].returns_logits)
      values.rows(offsets[term.index] + 1, term.logits.dim(0)).copy_from(term.logits);
  }

  struct InFlight {
    int64_t step, images;
  };
  std::vector<LossTermInfo> terms;
  std::vector<Tensor> inputs;
  Tensor values;                 ///< (size,1): for each term its loss, then its logits
  std::vector<int64_t> offsets;  ///< position of each term in `values`
  std::optional<Readback> readback;
  std::deque<InFlight> in_flight;  ///< the steps whose values `readback` holds
  RecordedStep recorder;
};

StepRunner::StepRunner(TrainingStep& step, int batch) : step_(step), batch_(batch) {}

StepRunner::~StepRunner() = default;

void StepRunner::check(double loss, size_t term, int64_t step, const std::string& culprit) const {
  ASSAY_CHECK(std::isfinite(loss), "training: {} became {} in step {}{}; try a smaller --lr",
              step_.loss_terms()[term].name, loss, step, culprit);
}

std::vector<StepResult> StepRunner::run(std::span<const Batch> batches) {
  const std::vector<Tensor> inputs = step_.inputs(batches);
  const auto images = static_cast<int64_t>(batches.front().images.size());
  if (images == batch_ && RecordedStep::wanted()) return run_recorded(inputs, images);
  std::vector<StepResult> done = finish();
  const int64_t number = step_.steps() + 1;
  std::vector<LossValue> terms(step_.loss_terms().size());
  step_.run(inputs, {.on_loss = [&](const LossTerm& term) {
              LossValue& value = terms[term.index];
              value.loss = term.loss.item();
              if (term.logits.defined()) value.logits = term.logits.to_floats();
              if (!std::isfinite(value.loss))
                check(value.loss, term.index, number, first_nonfinite_op(term.run_forward));
            }});
  done.push_back({number, images, step_.metrics(terms)});
  return done;
}

std::vector<StepResult> StepRunner::run_recorded(const std::vector<Tensor>& inputs,
                                                 int64_t images) {
  if (!recorded_) recorded_ = std::make_unique<Recorded>(step_, inputs, batch_);
  for (size_t i = 0; i < inputs.size(); ++i) recorded_->inputs[i].copy_from(inputs[i]);
  recorded_->recorder.run(recorded_->inputs, [&](const LossTerm& term) { recorded_->keep(term); });
  recorded_->readback->push(recorded_->values);
  recorded_->in_flight.push_back({step_.steps(), images});
  std::vector<StepResult> done;
  if (recorded_->readback->full()) done.push_back(finish_one());
  return done;
}

StepResult StepRunner::finish_one() {
  const std::vector<float> values = recorded_->readback->pop();
  const auto [step, images] = recorded_->in_flight.front();
  recorded_->in_flight.pop_front();
  std::vector<LossValue> terms(recorded_->terms.size());
  for (size_t i = 0; i < terms.size(); ++i) {
    const auto at = values.begin() + recorded_->offsets[i];
    terms[i].loss = *at;
    if (recorded_->terms[i].returns_logits) terms[i].logits = {at + 1, at + 1 + batch_};
    check(terms[i].loss, i, step, " (ASSAY_CHECK_FINITE=1 in the environment names the operation)");
  }
  return {step, images, step_.metrics(terms)};
}

std::vector<StepResult> StepRunner::finish() {
  std::vector<StepResult> done;
  while (recorded_ && !recorded_->readback->empty()) done.push_back(finish_one());
  return done;
}

}  // namespace assay
