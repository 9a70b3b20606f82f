// Antialiased resizing.
#pragma once

#include "data/image.h"

namespace assay {

/// Bilinear with a triangle filter whose width grows with the reduction, so that every input pixel
/// counts; the same values as Pillow's resize(BILINEAR) on every machine. Error when a side of
/// `image` or of the result is below 1.
Image resize(const Image& image, int height, int width);

/// A mask: the same filter on each pixel's 0 or 255, then 255 where the result is at least 128. A
/// pixel is a defect where at least about half of what it covers is one.
Image resize_mask(const Image& mask, int height, int width);

}  // namespace assay
