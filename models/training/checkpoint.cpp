#include "models/training/checkpoint.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "kernels/runtime/error.h"
#include "kernels/runtime/fnv.h"
#include "layers/state.h"
#include "models/run/csv.h"

namespace assay {
namespace {

constexpr const char* kChecksum = "checksum";

/// The key of a metric's sum: its name, but "loss_sum" for train_loss, as in older files.
std::string sum_key(const std::string& metric) {
  return metric == "train_loss" ? "loss_sum" : metric;
}

/// A hash of numbers, texts and bytes in their order.
class Checksum {
 public:
  void add(const void* bytes, size_t n) { hash_.add(bytes, n); }
  /// Adds the length too, so that {"ab", "c"} and {"a", "bc"} differ.
  void add(const std::string& text) {
    add(static_cast<int64_t>(text.size()));
    add(text.data(), text.size());
  }
  void add(int64_t number) { add(&number, sizeof number); }
  std::string hex() const { return fmt::format("{:016x}", hash_.value()); }

 private:
  Fnv hash_;
};

std::string checksum_of(const SafeTensors& content) {
  Checksum hash;
  for (const auto& [name, tensor] : content.tensors) {
    hash.add(name);
    hash.add(static_cast<int64_t>(tensor.type));
    for (const int64_t d : tensor.shape) hash.add(d);
    hash.add(tensor.bytes.data(), tensor.bytes.size());
  }
  for (const auto& [key, text] : content.metadata) {
    if (key == kChecksum) continue;
    hash.add(key);
    hash.add(text);
  }
  return hash.hex();
}

const std::string& entry(const SafeTensors& content, const std::string& key,
                         const std::string& source) {
  const auto found = content.metadata.find(key);
  ASSAY_CHECK_AS(CheckpointError, found != content.metadata.end(),
                 "{}: has no entry '{}', so it is no checkpoint; train again with --force", source,
                 key);
  return found->second;
}

/// Weights that are not finite must not replace a good checkpoint.
void check_finite(const StateDict& state) {
  for (const auto& [name, tensor] : state)
    if (const std::optional<double> value = tensor.not_finite())
      throw Error(fmt::format(
          "training: {} holds {}, so no checkpoint is written; try a smaller --lr", name, *value));
}

}  // namespace

std::string write_checked(const std::filesystem::path& file, SafeTensors content) {
  std::string checksum = checksum_of(content);
  content.metadata[kChecksum] = checksum;
  write_safetensors(file, content);
  return checksum;
}

SafeTensors read_checked(const std::filesystem::path& file) {
  SafeTensors content = read_safetensors(file);
  const auto found = content.metadata.find(kChecksum);
  ASSAY_CHECK_AS(
      CheckpointError, found != content.metadata.end(),
      "{}: has no checksum, so nobody knows whether it is whole; train again with --force",
      file.string());
  ASSAY_CHECK_AS(CheckpointError, found->second == checksum_of(content),
                 "{}: was damaged or edited (its checksum does not fit); train again with --force",
                 file.string());
  return content;
}

void save_checkpoint(const std::filesystem::path& file, const TrainingState& state,
                     const TrainingPosition& position) {
  SafeTensors content{state.step.save(), {{"model", state.model}}};
  check_finite(content.tensors);
  const std::vector<std::string> metrics = state.step.metric_names();
  for (size_t i = 0; i < metrics.size(); ++i)
    content.metadata[sum_key(metrics[i])] = csv_number(position.sums[i]);
  if (state.early_stopping != nullptr) {
    content.tensors.merge(state.early_stopping->save());
    content.metadata.merge(
        std::map<std::string, std::string>{{"epoch", std::to_string(position.epoch)},
                                           {"batch", std::to_string(position.batch)},
                                           {"images", std::to_string(position.weight)},
                                           {"finished", std::to_string(int{position.finished})}});
  } else {
    content.metadata["summed"] = std::to_string(position.weight);
  }
  write_checked(file, std::move(content));
}

TrainingPosition load_checkpoint(const std::filesystem::path& file, const TrainingState& state) {
  const std::string source = file.string();
  const SafeTensors content = read_checked(file);
  const std::string model = entry(content, "model", source);
  ASSAY_CHECK_AS(CheckpointError, model == state.model, "{}: is of {}, not of {}", source, model,
                 state.model);
  const auto number = [&](const std::string& key) {
    const std::optional<double> value = parse_number(entry(content, key, source));
    ASSAY_CHECK_AS(CheckpointError, value, "{}: '{}' is no number; train again with --force",
                   source, key);
    return *value;
  };
  const auto count = [&](const char* key) {
    const double value = number(key);
    ASSAY_CHECK_AS(
        CheckpointError,
        value >= 0 && value <= std::numeric_limits<int>::max() && value == std::floor(value),
        "{}: '{}' is {}, which is no count; train again with --force", source, key, value);
    return static_cast<int64_t>(value);
  };
  TrainingPosition at;
  for (const std::string& metric : state.step.metric_names())
    at.sums.push_back(number(sum_key(metric)));
  state.step.load(content.tensors, source);
  if (state.early_stopping != nullptr) {
    state.early_stopping->load(content.tensors, source);
    at.epoch = static_cast<int>(count("epoch"));
    at.batch = count("batch");
    at.weight = count("images");
    at.finished = entry(content, "finished", source) == "1";
  } else {
    // The last epoch may have been shorter than the others.
    at.batch = at.weight = count("summed");
    const int64_t before = state.step.steps() - at.batch;
    at.epoch = static_cast<int>((before + state.epoch_steps - 1) / state.epoch_steps);
  }
  return at;
}

}  // namespace assay
