// A module that applies layers one after another.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace assay {

/// Its names are those of PyTorch's Sequential of the same modules: a layer that replaces several
/// modules takes several numbers, and its parameters have the number of the one that owns them.
class Sequential : public Module {
 public:
  template <class Layer, class Config>
  Sequential& add(const Config& config) {
    return add(std::make_unique<Layer>(config));
  }
  Sequential& add(std::unique_ptr<Module> layer);

  size_t size() const { return items_.size(); }
  Tensor forward(const Tensor& x) override;
  /// Through the layers from `first` to before `last`, in the context's type of activations.
  Tensor forward_between(const Tensor& x, size_t first, size_t last);
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  Tensor through(const Tensor& x, size_t first, size_t last);

  struct Item {
    std::string name;
    std::unique_ptr<Module> layer;
  };
  std::vector<Item> items_;
  int torch_modules_ = 0;
};

}  // namespace assay
