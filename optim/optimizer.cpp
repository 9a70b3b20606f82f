#include "optim/optimizer.h"

#include "kernels/runtime/profile_range.h"

namespace assay {

Optimizer::Optimizer(std::vector<Parameter> parameters) : parameters_(std::move(parameters)) {
  ASSAY_CHECK(!parameters_.empty(), "optimizer: there are no parameters");
  for (const Parameter& p : parameters_)
    ASSAY_CHECK(p.tensor.dtype() == parameters_[0].tensor.dtype(),
                "optimizer: the parameters {} and {} differ in type", parameters_[0].name, p.name);
}

void Optimizer::add_moment(std::string name) {
  Moment moment{std::move(name), {}};
  for (const Parameter& p : parameters_)
    moment.tensors.push_back(Tensor::zeros(p.tensor.shape(), p.tensor.dtype()));
  moments_.push_back(std::move(moment));
}

void Optimizer::check_gradients() const {
  for (const Parameter& p : parameters_)
    ASSAY_CHECK(p.tensor.grad().defined(),
                "optimizer: {} has no gradient; call backward() before step()", p.name);
}

void Optimizer::step() {
  const ProfileRange range("optimizer");
  check_gradients();
  ++steps_;
  update(nullptr);
}

void Optimizer::advance(int updates) {
  // A recorded step reads the constants at this address, so it must not change.
  if (!constants_.defined() || constants_.dim(0) != updates)
    constants_ = Tensor::empty({updates, kOptimConstants});
  applied_ = 0;
  for (int i = 0; i < updates; ++i) {
    ++steps_;
    write_constants(constants_.mutable_data<float>() + i * kOptimConstants);
  }
}

void Optimizer::apply() {
  const ProfileRange range("optimizer");
  check_gradients();
  ASSAY_CHECK(constants_.defined() && applied_ < constants_.dim(0),
              "optimizer: advance() comes before apply()");
  update(constants_.data<float>() + applied_++ * kOptimConstants);
}

void Optimizer::zero_grad() {
  for (const Parameter& p : parameters_) p.tensor.set_grad({});
}

template <class T>
std::vector<OptimSlot<T>> Optimizer::slots(const Moment* m, const Moment& v) const {
  std::vector<OptimSlot<T>> slots;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& w = parameters_[i].tensor;
    const PartialSum* sum = w.grad().partial_sum();
    slots.push_back({.n = w.size(),
                     .w = w.mutable_data<T>(),
                     .dw = sum == nullptr ? w.grad().data<T>() : nullptr,
                     .m = m != nullptr ? m->tensors[i].mutable_data<T>() : nullptr,
                     .v = v.tensors[i].mutable_data<T>(),
                     .sum = sum});
  }
  return slots;
}

template std::vector<OptimSlot<float>> Optimizer::slots(const Moment*, const Moment&) const;
template std::vector<OptimSlot<double>> Optimizer::slots(const Moment*, const Moment&) const;

StateDict Optimizer::save() const {
  const std::string prefix = std::string(kind()) + ".";
  StateDict state;
  state[prefix + "steps"] = StoredTensor::of(steps_);
  for (const Moment& moment : moments_)
    for (size_t i = 0; i < parameters_.size(); ++i)
      state[prefix + moment.name + "." + parameters_[i].name] = StoredTensor::of(moment.tensors[i]);
  return state;
}

void Optimizer::load(const StateDict& state, const std::string& source) {
  const std::string prefix = std::string(kind()) + ".";
  const auto entry = [&](const std::string& name, const StoredTensor& like) {
    const auto found = state.find(prefix + name);
    ASSAY_CHECK_AS(CheckpointError, found != state.end(), "{}: {} is missing", source,
                   prefix + name);
    const StoredTensor& t = found->second;
    ASSAY_CHECK_AS(CheckpointError, t.shape == like.shape && t.type == like.type,
                   "{}: {} is {} {} but the optimizer has {} {}", source, prefix + name,
                   name_of(t.type), to_string(t.shape), name_of(like.type), to_string(like.shape));
    return t;
  };
  // Checks everything before anything changes.
  const int64_t steps = entry("steps", StoredTensor::of(int64_t{0})).int64s().at(0);
  std::vector<std::vector<Tensor>> moments;
  for (const Moment& moment : moments_) {
    moments.emplace_back();
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const StoredTensor like{
          moment.tensors[i].dtype() == DType::f64 ? StoredType::f64 : StoredType::f32,
          moment.tensors[i].shape(),
          {}};
      moments.back().push_back(entry(moment.name + "." + parameters_[i].name, like).tensor());
    }
  }
  steps_ = steps;
  for (size_t m = 0; m < moments_.size(); ++m)
    for (size_t i = 0; i < parameters_.size(); ++i) moments_[m].tensors[i].copy_from(moments[m][i]);
}

}  // namespace assay
