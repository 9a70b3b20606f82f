// Interface to stb_image and stb_image_write. Callers use image_io.h, which checks what stb does
// not.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace assay {

struct StbRequest {
  int bit_depth = 16;         ///< bits used in 16-bit files; the upper 8 of them are kept
  bool alpha = false;         ///< return the alpha channel too
  size_t max_allocation = 0;  ///< bytes; a file that asks for more at once is refused
};
struct StbImage {
  Image image;        ///< 1 channel where the file is grey, else 3
  Image alpha;        ///< 1 channel; empty where the file has none or none was asked for
  int bits = 8;       ///< bits per value in the file: 8 or 16
  int max_value = 0;  ///< the largest colour value of a 16-bit file
};
/// DataError with stb's reason; std::bad_alloc if the machine has no memory left.
StbImage stb_decode(std::span<const uint8_t> bytes, const std::string& name,
                    const StbRequest& request);
std::vector<uint8_t> stb_encode_png(const Image& image);
std::vector<uint8_t> stb_encode_jpeg(const Image& image, int quality);

}  // namespace assay
