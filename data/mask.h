// Interpretation of mask files.
#pragma once

#include <string>

#include "data/image_io.h"

namespace assay {

/// Share of marked pixels among all pixels, and among those on the border of the image.
struct MaskCoverage {
  double share = 0, border = 0;
};

/// Returns 1 channel, 255 where the file marks a defect, else 0. The interpretations are:
/// - alpha that is not constant: alpha >= 128 is marked. The colours must be constant or, read as
///   below, mark the same pixels;
/// - black and one other colour: the other colour marks, be it 255, 1 or a palette's red;
/// - at most 32 small values or colours: they number the defects, so all but black mark;
/// - values up to at least 128 with those below 128 on edges only, as after JPEG or scaling: 128
///   and more mark.
/// DataError that starts with `name` for anything else, such as areas of grey 64 beside 255.
Image mask_of(const DecodedImage& file, const std::string& name);

MaskCoverage coverage_of(const Image& mask);

}  // namespace assay
