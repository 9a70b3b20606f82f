#include "models/training/checkpoint.h"

#include <cstdlib>
#include <optional>

#include "kernels/runtime/error.h"
#include "kernels/runtime/fnv.h"
#include "layers/state.h"
#include "models/run/csv.h"

namespace assay {
namespace {

constexpr const char* kChecksum = "checksum";
constexpr const char* kModelPrefix = "model.";

/// Of numbers, texts and bytes in their order.
class Checksum {
 public:
  void add(const void* bytes, size_t n) { hash_.add(bytes, n); }
  /// With its length, so that no two lists of texts run together.
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

const std::string& entry(const SafeTensors& content, const char* key, const std::string& source) {
  const auto found = content.metadata.find(key);
  ASSAY_CHECK_AS(CheckpointError, found != content.metadata.end(),
                 "{}: says no '{}', so it is no checkpoint; train again with --force", source, key);
  return found->second;
}

}  // namespace

void check_finite(const StateDict& state) {
  for (const auto& [name, tensor] : state)
    if (const std::optional<double> value = tensor.not_finite())
      throw Error(fmt::format(
          "training: {} holds {}, so no checkpoint is written; try a smaller --lr", name, *value));
}

std::string write_checked(const std::filesystem::path& file, SafeTensors content) {
  const std::string checksum = checksum_of(content);
  content.metadata[kChecksum] = checksum;
  write_safetensors(file, content);
  return checksum;
}

SafeTensors read_checked(const std::filesystem::path& file) {
  SafeTensors content = read_safetensors(file);
  const auto found = content.metadata.find(kChecksum);
  ASSAY_CHECK_AS(CheckpointError,
                 found == content.metadata.end() || found->second == checksum_of(content),
                 "{}: was damaged or edited (its checksum does not fit); train again with --force",
                 file.string());
  return content;
}

void save_checkpoint(const std::filesystem::path& file, const TrainingState& state,
                     const TrainingPosition& position) {
  SafeTensors content;
  for (auto& [name, tensor] : save_state(state.module))
    content.tensors.emplace(kModelPrefix + name, tensor);
  content.tensors.merge(state.optimizer.save());
  check_finite(content.tensors);
  content.tensors.merge(state.early_stopping.save());
  content.metadata = {{"model", state.model},
                      {"epoch", std::to_string(position.epoch)},
                      {"batch", std::to_string(position.batch)},
                      {"images", std::to_string(position.images)},
                      {"loss_sum", csv_number(position.loss_sum)},
                      {"finished", position.finished ? "1" : "0"}};
  write_checked(file, std::move(content));
}

TrainingPosition load_checkpoint(const std::filesystem::path& file, const TrainingState& state) {
  const std::string source = file.string();
  const SafeTensors content = read_checked(file);
  ASSAY_CHECK_AS(CheckpointError, content.metadata.count(kChecksum) == 1,
                 "{}: has no checksum, so it is no checkpoint; train again with --force", source);
  const std::string& model = entry(content, "model", source);
  ASSAY_CHECK_AS(CheckpointError, model == state.model, "{}: is of {}, not of {}", source, model,
                 state.model);
  StateDict weights;
  for (const auto& [name, tensor] : content.tensors)
    if (name.rfind(kModelPrefix, 0) == 0)
      weights.emplace(name.substr(std::string(kModelPrefix).size()), tensor);
  load_state(state.module, weights, source);
  state.optimizer.load(content.tensors, source);
  state.early_stopping.load(content.tensors, source);
  return {std::atoi(entry(content, "epoch", source).c_str()),
          std::atoll(entry(content, "batch", source).c_str()),
          std::atoll(entry(content, "images", source).c_str()),
          std::strtod(entry(content, "loss_sum", source).c_str(), nullptr),
          entry(content, "finished", source) == "1"};
}

}  // namespace assay
