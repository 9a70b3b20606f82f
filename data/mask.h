// What a mask file marks.
#pragma once

#include <string>

#include "data/image_io.h"

namespace assay {

/// What a mask marks as a share of all pixels, and of those on the border of the image.
struct MaskCoverage {
  double share = 0, border = 0;
};

/// 1 channel, 255 where the file marks a defect, else 0. One right reading is needed:
/// - two colours, of which one is black: the other marks, be it 255, 1 or a palette's red;
/// - one colour under an alpha of two values: what is opaque is marked; alpha that contradicts the
///   colours is refused;
/// - values from 0 to near 255 whose middle ones lie on edges alone, as after JPEG or scaling: from
///   128 on;
/// - several small values, or several colours in areas: they number the defects, any but black
///   marks.
/// DataError that starts with `name` where these do not decide, as areas of grey 64 beside 255 do
/// not.
Image mask_of(const DecodedImage& file, const std::string& name);

MaskCoverage coverage_of(const Image& mask);

}  // namespace assay
