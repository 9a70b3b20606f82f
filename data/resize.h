// Antialiased resizing.
#pragma once

#include "data/image.h"

namespace assay {

/// Bilinear with a triangle filter whose width grows with the reduction, so that every input pixel
/// counts; the same values as Pillow's resize(BILINEAR) on every machine. Error when a side of
/// `image` or of the result is below 1.
Image resize(const Image& image, int height, int width);

/// Resizes a mask of 0 and 255 with the same filter; the result is 255 where at least 128, that is
/// where about half of the covered area is marked.
Image resize_mask(const Image& mask, int height, int width);

}  // namespace assay
