// Pictures of what a detector saw: heat maps with one colour scale per model and its colour bar.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace assay {

/// One image and what became of it. `mask` is empty where the image has none.
struct Inspected {
  int H, W, C;
  std::span<const float> image;           ///< (H,W,C) in [0,1]
  std::span<const float> reconstruction;  ///< (H,W,C); empty where a model makes none
  std::span<const float> heat;            ///< (H,W)
  std::span<const uint8_t> mask;          ///< (H,W), non-zero = defective
};

/// original | reconstruction | residual | overlay | mask | colour bar from 0 to `heat_scale`. The
/// scale belongs to the model, never to the image, so that colours can be compared between images.
Image panel(const Inspected& image, double heat_scale);
inline constexpr int kPanelTiles = 5;

/// What noise does to a reconstruction: original | reconstruction | residual of the clean image
/// above those of the noisy one, and the colour bar.
Image noise_panel(const Inspected& clean, const Inspected& noisy, double heat_scale);
inline constexpr int kNoisePanelRows = 2, kNoisePanelColumns = 3;

/// The tiles of a figure of this file, row by row, without gaps and colour bar. Error when they
/// are not square: the figure is of another kind.
std::vector<Image> tiles_of(const Image& figure, int rows, int columns);

/// A square of an image: its middle and side, pixels.
struct Square {
  double x, y, side;
};
/// Why an image has its score: the image with the place that decided in a frame | that place,
/// enlarged | the good patch nearest to it | the training image that holds it, framed. Both images
/// are of one size; the places may reach beyond them.
Image explanation_panel(const Image& image, const Square& place, const Image& nearest_image,
                        const Square& nearest);

/// original | overlay | colour bar.
Image heat_map(const Inspected& image, double heat_scale);

}  // namespace assay
