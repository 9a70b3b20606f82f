#include "layers/module.h"

namespace assay {

void Module::collect(const std::string& prefix, std::vector<Parameter>* parameters,
                     std::vector<Buffer>* buffers) const {
  if (parameters != nullptr)
    for (Parameter p : parameters_) {
      p.name = prefix + p.name;
      parameters->push_back(std::move(p));
    }
  if (buffers != nullptr)
    for (Buffer b : buffers_) {
      b.name = prefix + b.name;
      buffers->push_back(std::move(b));
    }
  for (const auto& [name, child] : children_)
    child->collect(prefix + name + ".", parameters, buffers);
}

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> all;
  collect("", &all, nullptr);
  return all;
}

std::vector<Buffer> Module::buffers() const {
  std::vector<Buffer> all;
  collect("", nullptr, &all);
  return all;
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const Parameter& p : parameters()) count += p.tensor.size();
  return count;
}

void Module::train(bool on) {
  training_ = on;
  for (const auto& [name, child] : children_) child->train(on);
}

void Module::set_requires_grad(bool on) {
  for (Parameter& p : parameters()) p.tensor.set_requires_grad(on);
}

void Module::zero_grad() {
  for (const Parameter& p : parameters()) p.tensor.set_grad({});
}

Tensor Module::add_parameter(std::string name, Shape shape, ParameterRole role,
                             TorchLayout layout) {
  Tensor t = Tensor::zeros(std::move(shape));
  t.set_requires_grad(true);
  parameters_.push_back({std::move(name), t, std::move(layout), role});
  return t;
}

void Module::add_buffer(std::string name, Tensor tensor) {
  buffers_.push_back({std::move(name), std::move(tensor), nullptr});
}

void Module::add_buffer(std::string name, int64_t* count) {
  buffers_.push_back({std::move(name), {}, count});
}

void Module::add_child(std::string name, Module& child) {
  children_.emplace_back(std::move(name), &child);
}

}  // namespace assay
