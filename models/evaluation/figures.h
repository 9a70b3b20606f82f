// Figures of a detector's output for an image: reconstruction, residual, heat map, colour bar.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace assay {

/// An image, its reconstruction and its heat map. `mask` is empty where the image has none.
struct FigureInput {
  int H, W, C;
  std::span<const float> image;           ///< (H,W,C) in [0,1]
  std::span<const float> reconstruction;  ///< (H,W,C); empty where a model makes none
  std::span<const float> heat;            ///< (H,W)
  std::span<const uint8_t> mask;          ///< (H,W), non-zero = defective
};

/// original | reconstruction | residual | overlay | mask | colour bar from 0 to `heat_scale`, which
/// is one number per model, so that colours can be compared between images.
Image panel(const FigureInput& in, double heat_scale);
inline constexpr int kPanelTiles = 5;

/// original | reconstruction | residual of the clean image above those of the noisy image, and the
/// colour bar.
Image noise_panel(const FigureInput& clean, const FigureInput& noisy, double heat_scale);
inline constexpr int kNoisePanelRows = 2, kNoisePanelColumns = 3;

/// original | nearest training image | their squared difference (mean over the channels), in the
/// colours of the residuals.
Image nearest_panel(const FigureInput& in, std::span<const float> nearest, double heat_scale);
inline constexpr int kNearestTiles = 3;

/// Originals above overlays, an image a column.
Image strip(const std::vector<FigureInput>& images, double heat_scale);

/// Splits a figure of one of these kinds into its tiles, row by row, without gaps and colour bar.
/// Error if the tiles are not square, since the image is then no such figure.
std::vector<Image> tiles_of(const Image& figure, int rows, int columns);

/// A square of an image: its middle and side, pixels.
struct Patch {
  double x, y, side;
};
/// The image with `patch` framed | `patch` enlarged | `nearest` enlarged | `nearest_image` with
/// `nearest` framed. Both images have one size; the patches may reach beyond them.
Image explanation_panel(const Image& image, const Patch& patch, const Image& nearest_image,
                        const Patch& nearest);

/// original | overlay | colour bar.
Image heat_map(const FigureInput& in, double heat_scale);

}  // namespace assay
