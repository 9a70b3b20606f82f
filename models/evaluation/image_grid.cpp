#include "models/evaluation/image_grid.h"

#include <algorithm>

#include "kernels/runtime/error.h"

namespace assay {

Image image_grid(std::span<const Image> images, int columns) {
  constexpr int kGap = 2;
  ASSAY_CHECK(!images.empty() && columns >= 1, "image_grid: {} images in {} columns", images.size(),
              columns);
  const int H = images[0].height, W = images[0].width, C = images[0].channels;
  const int rows = (static_cast<int>(images.size()) + columns - 1) / columns;
  Image grid(rows * (H + kGap) - kGap, columns * (W + kGap) - kGap, C);
  std::fill(grid.pixels.begin(), grid.pixels.end(), uint8_t{255});
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    ASSAY_CHECK(image.height == H && image.width == W && image.channels == C,
                "image_grid: image {} is {}x{}x{}, the first {}x{}x{}", i, image.height,
                image.width, image.channels, H, W, C);
    const int top = static_cast<int>(i) / columns * (H + kGap);
    const int left = static_cast<int>(i) % columns * (W + kGap);
    for (int y = 0; y < H; ++y) std::copy_n(image.at(y, 0), W * C, grid.at(top + y, left));
  }
  return grid;
}

}  // namespace assay
