// An image in memory, as files hold it: 8 bits a value, (height,width,channels).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay {

/// 1 channel is grey, 3 are red, green, blue.
struct Image {
  int height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  // (height,width,channels)

  Image() = default;
  /// All values 0.
  Image(int height_, int width_, int channels_)
      : height(height_), width(width_), channels(channels_), pixels(size()) {}

  size_t size() const { return static_cast<size_t>(height) * width * channels; }
  uint8_t* at(int y, int x) { return &pixels[(static_cast<size_t>(y) * width + x) * channels]; }
  const uint8_t* at(int y, int x) const {
    return &pixels[(static_cast<size_t>(y) * width + x) * channels];
  }
  friend bool operator==(const Image&, const Image&) = default;
};

/// (299 R + 587 G + 114 B) / 1000 rounded to the nearest 8-bit value (ITU-R BT.601 luma).
constexpr uint8_t grey_of(int r, int g, int b) {
  return static_cast<uint8_t>((299 * r + 587 * g + 114 * b + 500) / 1000);
}

/// A copy with 1 channel (luma) or with 3 (grey repeated). Error for any other number.
Image with_channels(const Image& image, int channels);
inline Image to_grey(const Image& image) {
  return with_channels(image, 1);
}
inline Image to_rgb(const Image& image) {
  return with_channels(image, 3);
}

/// Turns an image upright. `orientation` is Exif's (CIPA DC-008, tag 0x0112), 1 to 8; any other
/// number leaves the image as it is.
Image oriented(Image image, int orientation);

/// Width and height of an image in pixels.
struct ImageSize {
  int width = 0, height = 0;
  friend auto operator<=>(const ImageSize&, const ImageSize&) = default;
};
/// "900x900", or the smallest and the largest: "700x700 to 1024x1024". Empty for no images.
std::string describe_sizes(std::span<const ImageSize> sizes);

}  // namespace assay
