// Networks and their presets: made by the name of their preset.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "layers/init.h"
#include "layers/module.h"

namespace assay {

/// A named reading of a model of arXiv:2107.09204.
struct Preset {
  const char* name;   ///< "kd-cae-strided"
  const char* model;  ///< the verb of the command line: "cnn", "kd-cae", "ni-cae", "dcgan"
  int image_size;     ///< side of the square input, pixels
  int channels;       ///< 1 or 3
  Init init;
};
std::span<const Preset> presets();
/// Throws UsageError for an unknown name; the message lists the presets there are.
const Preset& find_preset(std::string_view name);

/// A whole network; its weights are zero until init_parameters or load_state.
class Network : public Module {
 public:
  Network(int image_size, int channels) : image_size_(image_size), channels_(channels) {}
  int image_size() const { return image_size_; }
  int channels() const { return channels_; }
  /// What forward() wants for a batch of n: pictures, or z for the DCGAN.
  virtual Shape input_shape(int64_t n) const { return {n, image_size_, image_size_, channels_}; }
  /// The table of `assay describe` for a batch of n.
  std::vector<LayerRow> table(int64_t n) const;

 private:
  int image_size_, channels_;
};

/// Throws UsageError that starts with `model` unless the size is such a multiple.
void check_image_size(std::string_view model, int image_size, int multiple, int least);

/// A preset with another image size or number of channels (0: the preset's own). Throws UsageError
/// for a size that the network cannot have; the message says which it can.
std::unique_ptr<Network> make_network(std::string_view preset, int image_size = 0,
                                      int channels = 0);

}  // namespace assay
