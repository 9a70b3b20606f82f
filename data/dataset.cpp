#include "data/dataset.h"

#include <algorithm>

#include "data/builtin.h"
#include "data/image_io.h"
#include "data/mvtec.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

void check_mask_size(const Sample& sample, const Picture& picture) {
  if (!picture.mask) return;
  ASSAY_CHECK_AS(
      DataError,
      picture.mask->height == picture.image.height && picture.mask->width == picture.image.width,
      "{}: the mask has {} x {} pixels but its picture has {} x {}; remove the mask or give it the "
      "picture's size",
      sample.mask ? sample.mask->string() : sample.path, picture.mask->width, picture.mask->height,
      picture.image.width, picture.image.height);
}

}  // namespace

Picture load(const Sample& sample) {
  if (sample.draw) return sample.draw();
  Picture picture{read_image(sample.file), std::nullopt};
  if (sample.mask) {
    picture.mask = to_grey(read_image(*sample.mask));
    // MVTec's masks hold 0 and 255; a mask saved with loss still reads as the nearer of the two.
    for (uint8_t& value : picture.mask->pixels) value = value >= 128 ? 255 : 0;
  }
  check_mask_size(sample, picture);
  return picture;
}

Image load_image(const Sample& sample) {
  return sample.draw ? sample.draw().image : read_image(sample.file);
}

bool has_mask(const Sample& sample) {
  return sample.draw ? sample.defective : sample.mask.has_value();
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
