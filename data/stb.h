// The calls that stb_image and stb_image_write serve. Callers use image_io.h, which checks
// what stb does not.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace assay {

/// 1 channel where the file is grey, else 3. DataError with stb's reason.
Image stb_decode(std::span<const uint8_t> bytes, const std::string& name);
std::vector<uint8_t> stb_encode_png(const Image& image);
std::vector<uint8_t> stb_encode_jpeg(const Image& image, int quality);

}  // namespace assay
