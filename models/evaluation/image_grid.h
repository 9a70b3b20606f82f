// Many pictures as one.
#pragma once

#include <span>

#include "data/image.h"

namespace assay {

/// Pictures of one size, row by row, with a gap between them. Error for no pictures, or when their
/// sizes differ.
Image image_grid(std::span<const Image> images, int columns);

}  // namespace assay
