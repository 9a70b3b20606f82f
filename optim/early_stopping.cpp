#include "optim/early_stopping.h"

#include "layers/state.h"

namespace assay {

namespace {

constexpr char kPrefix[] = "early_stopping.";
constexpr char kBest[] = "early_stopping.best.";

const StoredTensor& entry(const StateDict& state, const std::string& name,
                          const std::string& source) {
  const auto found = state.find(kPrefix + name);
  ASSAY_CHECK_AS(CheckpointError, found != state.end(), "{}: {}{} is missing", source, kPrefix,
                 name);
  return found->second;
}

}  // namespace

bool EarlyStopping::update(double validation_loss, int64_t steps, const Module& module) {
  const int epoch = epochs_++;
  if (validation_loss < best_loss_) {
    best_loss_ = validation_loss;
    best_epoch_ = epoch;
    best_ = save_state(module);
  }
  return epoch - best_epoch_ >= options_.patience && steps >= options_.min_steps;
}

void EarlyStopping::restore_best(const Module& module) const {
  if (has_best()) load_state(module, best_, "the best weights so far");
}

StateDict EarlyStopping::save() const {
  StateDict state;
  const int64_t epochs[] = {epochs_, best_epoch_};
  state[std::string(kPrefix) + "epochs"] = StoredTensor::of({2}, epochs);
  const double loss[] = {best_loss_};
  state[std::string(kPrefix) + "best_loss"] = StoredTensor::of({1}, loss);
  for (const auto& [name, t] : best_) state[kBest + name] = t;
  return state;
}

void EarlyStopping::load(const StateDict& state, const std::string& source) {
  const std::vector<int64_t> epochs = entry(state, "epochs", source).int64s();
  const std::vector<double> loss = entry(state, "best_loss", source).doubles();
  ASSAY_CHECK_AS(CheckpointError, epochs.size() == 2 && loss.size() == 1,
                 "{}: the entries {}* have wrong shapes", source, kPrefix);
  epochs_ = static_cast<int>(epochs[0]);
  best_epoch_ = static_cast<int>(epochs[1]);
  best_loss_ = loss[0];
  best_.clear();
  for (const auto& [name, t] : state)
    if (name.starts_with(kBest)) best_[name.substr(sizeof(kBest) - 1)] = t;
}

}  // namespace assay
