#include "models/networks/network.h"

#include <fmt/format.h>

#include "models/networks/cnn.h"
#include "models/networks/dcgan.h"
#include "models/networks/kd_cae.h"
#include "models/networks/ni_cae.h"

namespace assay {

namespace {

constexpr Preset kPresets[] = {
    {"cnn", "cnn", 200, 3, Init::he},       {"cnn-codelab", "cnn", 200, 3, Init::he},
    {"kd-cae", "kd-cae", 128, 3, Init::he}, {"kd-cae-strided", "kd-cae", 128, 3, Init::he},
    {"ni-cae", "ni-cae", 256, 1, Init::he}, {"ni-cae-128", "ni-cae", 128, 1, Init::he},
    {"dcgan", "dcgan", 64, 3, Init::dcgan}, {"dcgan-128", "dcgan", 128, 3, Init::dcgan},
};

}  // namespace

std::span<const Preset> presets() {
  return kPresets;
}

const Preset& find_preset(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Preset& p : kPresets) {
    if (name == p.name) return p;
    names.push_back(p.name);
  }
  throw UsageError(fmt::format("unknown preset '{}'; there are {}", name, fmt::join(names, ", ")));
}

std::vector<LayerRow> Network::table(int64_t n) const {
  std::vector<LayerRow> rows;
  describe("", input_shape(n), rows);
  return rows;
}

void check_image_size(std::string_view model, int image_size, int multiple, int least) {
  ASSAY_CHECK_AS(UsageError, image_size % multiple == 0 && image_size >= least,
                 "{}: the image size {} must be a multiple of {} and at least {}", model,
                 image_size, multiple, least);
}

std::unique_ptr<Network> make_network(std::string_view preset, int image_size, int channels) {
  const Preset& p = find_preset(preset);
  const int size = image_size == 0 ? p.image_size : image_size;
  const int c = channels == 0 ? p.channels : channels;
  ASSAY_CHECK_AS(UsageError, size > 0 && size <= 4096, "{}: the image size {} must be 1 to 4096",
                 p.name, size);
  ASSAY_CHECK_AS(UsageError, c == 1 || c == 3, "{}: {} channels; pictures have 1 (grey) or 3",
                 p.name, c);
  const std::string_view name = p.name;
  if (name == "cnn") return std::make_unique<Cnn>(Cnn::Variant::study, size, c);
  if (name == "cnn-codelab") return std::make_unique<Cnn>(Cnn::Variant::codelab, size, c);
  if (name == "kd-cae") return std::make_unique<KdCae>(KdCae::Variant::pooled, size, c);
  if (name == "kd-cae-strided") return std::make_unique<KdCae>(KdCae::Variant::strided, size, c);
  if (name == "ni-cae" || name == "ni-cae-128") return std::make_unique<NiCae>(size, c);
  return std::make_unique<Dcgan>(size, c);
}

}  // namespace assay
