// A grid of images as one image.
#pragma once

#include <span>

#include "data/image.h"

namespace assay {

/// Arranges images of one size row by row with a gap. Error for no images or different sizes.
Image image_grid(std::span<const Image> images, int columns);

}  // namespace assay
