#include "layers/state.h"

#include <fmt/format.h>

#include <optional>

#include "tensor/permute.h"

namespace assay {

namespace {

Shape torch_shape(const Parameter& p) {
  return p.layout.order.empty() ? p.tensor.shape() : p.layout.shape;
}

/// The inverse of to_torch().
Tensor from_torch(const Parameter& p, const Tensor& stored) {
  if (p.layout.order.empty()) return stored;
  const std::vector<int>& order = p.layout.order;
  Shape dims;
  std::vector<int> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    dims.push_back(p.layout.dims[order[i]]);
    inverse[order[i]] = static_cast<int>(i);
  }
  return permute(stored.reshape(dims), inverse).reshape(p.tensor.shape());
}

/// Throws unless `state` has exactly the names of `wanted`, each with its type and shape.
void check_state(const StateDict& wanted, const StateDict& state, const std::string& source) {
  std::vector<std::string> missing, unexpected;
  for (const auto& [name, t] : wanted)
    if (!state.contains(name)) missing.push_back(name);
  for (const auto& [name, t] : state)
    if (!wanted.contains(name)) unexpected.push_back(name);
  ASSAY_CHECK_AS(
      CheckpointError, missing.empty() && unexpected.empty(),
      "{}: these are weights of another model{}{}", source,
      missing.empty() ? "" : fmt::format("; missing: {}", fmt::join(missing, ", ")),
      unexpected.empty() ? "" : fmt::format("; unexpected: {}", fmt::join(unexpected, ", ")));
  for (const auto& [name, t] : wanted) {
    const StoredTensor& found = state.at(name);
    ASSAY_CHECK_AS(CheckpointError, found.shape == t.shape && found.type == t.type,
                   "{}: {} is {} {} but the model has {} {}", source, name, name_of(found.type),
                   to_string(found.shape), name_of(t.type), to_string(t.shape));
  }
}

void check_finite(const std::string& name, const StoredTensor& t, const std::string& source) {
  if (const std::optional<double> value = t.not_finite())
    throw CheckpointError(
        fmt::format("{}: {} holds {:g}; the training that wrote it went wrong, train again", source,
                    name, *value));
}

/// Names, types and shapes of the state, without elements.
StateDict outline(const Module& module) {
  StateDict state;
  for (const Parameter& p : module.parameters())
    state[p.name] = {StoredType::f32, torch_shape(p), {}};
  for (const Buffer& b : module.buffers()) {
    if (b.count != nullptr)
      state[b.name] = {StoredType::i64, {}, {}};
    else
      state[b.name] = {StoredType::f32, b.tensor.shape(), {}};
  }
  return state;
}

}  // namespace

Tensor to_torch(const Parameter& p, const Tensor& values) {
  if (p.layout.order.empty()) return values.detach();
  return permute(values.detach().reshape(p.layout.dims), p.layout.order).reshape(p.layout.shape);
}

StateDict save_state(const Module& module) {
  StateDict state;
  for (const Parameter& p : module.parameters())
    state[p.name] = StoredTensor::of(to_torch(p, p.tensor));
  for (const Buffer& b : module.buffers())
    state[b.name] = b.count != nullptr ? StoredTensor::of(*b.count) : StoredTensor::of(b.tensor);
  return state;
}

void load_state(const Module& module, const StateDict& state, const std::string& source) {
  check_state(outline(module), state, source);
  for (const auto& [name, t] : state) check_finite(name, t, source);
  for (const Parameter& p : module.parameters())
    p.tensor.copy_from(from_torch(p, state.at(p.name).tensor()));
  for (const Buffer& b : module.buffers()) {
    const StoredTensor& stored = state.at(b.name);
    if (b.count != nullptr)
      *b.count = stored.int64s().at(0);
    else
      b.tensor.copy_from(stored.tensor());
  }
}

}  // namespace assay
