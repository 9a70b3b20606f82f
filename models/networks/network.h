// The base class of networks.
#pragma once

#include <string>
#include <string_view>

#include "layers/module.h"

namespace assay {

/// A whole network. Its weights are zero until init_parameters() or load_state().
class Network : public Module {
 public:
  Network(int image_size, int channels) : image_size_(image_size), channels_(channels) {}
  int image_size() const { return image_size_; }
  int channels() const { return channels_; }
  /// The shape of forward()'s input for a batch of n: images, or latents for a generator.
  virtual Shape input_shape(int64_t n) const { return {n, image_size_, image_size_, channels_}; }
  /// The rows of `assay describe` for a batch of n.
  std::vector<LayerRow> table(int64_t n) const;

 private:
  int image_size_, channels_;
};

/// Throws UsageError that starts with `model` unless image_size is a multiple of `multiple` and at
/// least `min_size`.
void check_image_size(std::string_view model, int image_size, int multiple, int min_size);

}  // namespace assay
