#include "data/dataset.h"

#include <algorithm>

#include "data/builtin.h"
#include "data/image_io.h"
#include "data/mvtec.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

/// Reads a mask file. A 16-bit mask of small values (0 and 1) would lose them when only the upper 8
/// bits are kept, so its lower 8 are.
Image read_mask(const std::filesystem::path& file) {
  DecodedImage decoded = read_decoded(file, {.alpha = true});
  if (decoded.bits == 16 && decoded.max_value < 256)
    decoded = read_decoded(file, {.bit_depth = 8, .alpha = true});
  return mask_of(decoded, file.string());
}

/// The union of the masks of a sample.
Image read_masks(const Sample& sample, const Image& image, int orientation) {
  Image all;
  for (const std::filesystem::path& file : sample.masks) {
    Image mask = read_mask(file);
    const char* turned =
        orientation >= 5 ? " (after its Exif orientation turned it; turn the mask, too)" : "";
    ASSAY_CHECK_AS(DataError, mask.height == image.height && mask.width == image.width,
                   "{}: the mask has {} x {} pixels but its image has {} x {}{}; remove the mask "
                   "or give it the image's size",
                   file.string(), mask.width, mask.height, image.width, image.height, turned);
    if (all.size() == 0) {
      all = std::move(mask);
    } else {
      for (size_t i = 0; i < all.size(); ++i) all.pixels[i] |= mask.pixels[i];
    }
  }
  const bool marks = std::any_of(all.pixels.begin(), all.pixels.end(), [](uint8_t v) { return v; });
  const std::string name = sample.masks.front().string();
  ASSAY_CHECK_AS(DataError, marks || !sample.defective,
                 "{}: the mask marks nothing, but its image is one of a defect; mark the defect or "
                 "remove the mask",
                 name);
  ASSAY_CHECK_AS(
      DataError, !marks || sample.defective,
      "{}: the mask marks a defect, but its image is a good one; remove the mask or move the image",
      name);
  return all;
}

/// Not cryptographic: detects accidental duplicates. Eight bytes at a time.
uint64_t hash_of(const Image& image) {
  uint64_t hash = 0xCBF29CE484222325u;
  const auto add = [&](uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  };
  add(static_cast<uint64_t>(image.height) << 32 | static_cast<uint64_t>(image.width));
  add(static_cast<uint64_t>(image.channels));
  size_t i = 0;
  for (; i + 8 <= image.size(); i += 8) {
    uint64_t word = 0;
    for (int k = 0; k < 8; ++k) word |= uint64_t{image.pixels[i + k]} << 8 * k;
    add(word);
  }
  for (; i < image.size(); ++i) add(image.pixels[i]);
  return hash;
}

/// Only 0 and 255, or only 0 and 1, and both of them.
bool is_two_valued(const Image& image) {
  bool black = false;
  uint8_t bright = 0;
  for (const uint8_t v : image.pixels) {
    if (v == 0) {
      black = true;
    } else if (v == bright || (bright == 0 && (v == 1 || v == 255))) {
      bright = v;
    } else {
      return false;
    }
  }
  return black && bright != 0;
}

}  // namespace

LoadedImage load(const Sample& sample, const LoadOptions& options) {
  LoadedImage loaded;
  if (sample.draw) {
    loaded = sample.draw();
    if (!options.masks) loaded.mask.reset();
  } else {
    DecodedImage file = read_decoded(sample.file, {.bit_depth = options.bit_depth});
    if (options.masks && !sample.masks.empty())
      loaded.mask = read_masks(sample, file.image, file.orientation);
    loaded.facts.bits = file.bits;
    loaded.facts.max_value = file.max_value;
    loaded.image = std::move(file.image);
  }
  loaded.facts.size = {loaded.image.width, loaded.image.height};
  loaded.facts.channels = loaded.image.channels;
  loaded.facts.hash = hash_of(loaded.image);
  loaded.facts.two_valued = is_two_valued(loaded.image);
  if (loaded.mask) loaded.facts.mask = coverage_of(*loaded.mask);
  return loaded;
}

Image load_image(const Sample& sample) {
  return sample.draw ? sample.draw().image : read_image(sample.file);
}

bool has_mask(const Sample& sample) {
  return sample.draw ? sample.defective : !sample.masks.empty();
}

bool Dataset::has_masks() const {
  return std::all_of(test.begin(), test.end(),
                     [](const Sample& s) { return !s.defective || has_mask(s); });
}

std::vector<Sample> pooled(const Dataset& data) {
  std::vector<Sample> all = data.train_good;
  all.insert(all.end(), data.test.begin(), data.test.end());
  return all;
}

Dataset open_dataset(const std::string& data, const std::string& object_class, int size,
                     uint64_t seed) {
  return data == "builtin" ? open_builtin(object_class, size, seed)
                           : open_mvtec(data, object_class);
}

std::vector<std::string> list_classes(const std::string& data) {
  return data == "builtin" ? builtin_classes() : list_mvtec_classes(data);
}

}  // namespace assay
