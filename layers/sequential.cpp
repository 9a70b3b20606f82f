#include "layers/sequential.h"

namespace assay {

Sequential& Sequential::add(std::unique_ptr<Module> layer) {
  const TorchSpan span = layer->torch_span();
  items_.push_back({std::to_string(torch_modules_ + span.owner), std::move(layer)});
  add_child(items_.back().name, *items_.back().layer);
  torch_modules_ += span.modules;
  return *this;
}

Tensor Sequential::forward(const Tensor& x) {
  return through(x, 0, items_.size());
}

Tensor Sequential::forward_between(const Tensor& x, size_t first, size_t last) {
  return in_activation_type(x, [&](const Tensor& in) { return through(in, first, last); });
}

Tensor Sequential::through(const Tensor& x, size_t first, size_t last) {
  Tensor y = x;
  for (size_t i = first; i < last; ++i) y = items_[i].layer->forward(y);
  return y;
}

Shape Sequential::describe(const std::string& name, const Shape& input,
                           std::vector<LayerRow>& rows) const {
  Shape shape = input;
  for (const Item& item : items_)
    shape = item.layer->describe(name.empty() ? item.name : name + "." + item.name, shape, rows);
  return shape;
}

}  // namespace assay
