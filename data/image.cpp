#include "data/image.h"

#include <algorithm>

#include "kernels/runtime/error.h"

namespace assay {

Image with_channels(const Image& image, int channels) {
  ASSAY_CHECK((image.channels == 1 || image.channels == 3) && (channels == 1 || channels == 3),
              "with_channels: an image has 1 channel or 3, but {} to {} was asked for",
              image.channels, channels);
  if (image.channels == channels) return image;
  Image out(image.height, image.width, channels);
  const size_t count = static_cast<size_t>(image.height) * image.width;
  const uint8_t* from = image.pixels.data();
  uint8_t* to = out.pixels.data();
  if (channels == 1) {
    for (size_t i = 0; i < count; ++i)
      to[i] = grey_of(from[3 * i], from[3 * i + 1], from[3 * i + 2]);
  } else {
    for (size_t i = 0; i < count; ++i) to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = from[i];
  }
  return out;
}

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposed = orientation >= 5;
  const int H = image.height, W = image.width, C = image.channels;
  Image out(transposed ? W : H, transposed ? H : W, C);
  // Which end of the stored rows and columns the displayed ones start from.
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  for (int y = 0; y < out.height; ++y) {
    uint8_t* to = out.at(y, 0);
    for (int x = 0; x < out.width; ++x, to += C) {
      const int row = transposed ? x : y, column = transposed ? y : x;
      std::copy_n(image.at(from_bottom ? H - 1 - row : row, from_right ? W - 1 - column : column),
                  C, to);
    }
  }
  return out;
}

std::string describe_sizes(std::span<const ImageSize> sizes) {
  if (sizes.empty()) return "";
  const auto [min, max] = std::minmax_element(sizes.begin(), sizes.end());
  const auto text = [](const ImageSize& s) { return fmt::format("{}x{}", s.width, s.height); };
  return *min == *max ? text(*min) : text(*min) + " to " + text(*max);
}

}  // namespace assay
