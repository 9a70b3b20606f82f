// Layers one after another.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace assay {

/// Named as PyTorch's Sequential of the same modules: a layer that stands for several takes several
/// numbers, and its parameters carry the number of the module that owns them there.
class Sequential : public Module {
 public:
  template <class Layer, class Config>
  Sequential& add(const Config& config) {
    return add(std::make_unique<Layer>(config));
  }
  Sequential& add(std::unique_ptr<Module> layer);

  Tensor forward(const Tensor& x) override;
  /// Through the layers from `first` to before `last`.
  Tensor forward_between(const Tensor& x, size_t first, size_t last);
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  struct Item {
    std::string name;
    std::unique_ptr<Module> layer;
  };
  std::vector<Item> items_;
  int torch_modules_ = 0;
};

}  // namespace assay
