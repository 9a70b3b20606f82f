// LPD, local patch density: how typical each patch of an image is, compared with the same position
// in good images.
//
//      image
//   -> pose and crop                       pose.h; only if are_posed()
//   -> features on a grid of cells         features.h; standardised
//   -> distance of each cell to the bank   kernels/local_density: features of good images around
//   the
//                                          cell, in the metric of their own covariance
//   -> blurred map                         its maximum is the score
//
// LPD is fitted to good images only. models/LPD.md derives it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/detectors/lpd/features.h"
#include "models/detectors/lpd/place_density.h"
#include "models/detectors/lpd/pose.h"

namespace assay {

struct LpdOptions {
  uint64_t seed = 0;
  FeatureOptions features;
  PlaceDensityOptions places;
  std::string pose = "auto";  ///< auto (are_posed) | always | never
  double quantile = 0.95;     ///< the threshold is this quantile of leave-one-out scores
};

/// Square images (side,side,3) in [0,1]: get(i, out) writes image i.
struct LpdImages {
  size_t count;
  int side;
  std::function<void(size_t, std::span<float>)> get;
};

/// Smoothed scores of n images on the grid of cells, and their poses.
struct LpdMaps : CellScores {
  std::vector<Pose> poses;  ///< (n)
};

/// What is fitted besides the density of places.
struct LpdState {
  std::vector<Pose> poses;  ///< of the training images
  bool posed = false;       ///< images are rotated and cropped; else only halved
  int side = 0;             ///< of the images
  CropSize crop{};          ///< multiples of 4
  Filters filters;
  double threshold = 0, heat_scale = 1;
};

class Lpd {
 public:
  explicit Lpd(LpdOptions options) : options_(std::move(options)), places_(options_.places) {}

  /// Learns filters, bank and metric from good images, and threshold and colour scale from their
  /// leave-one-out maps, which it returns. DataError for fewer than two images.
  LpdMaps fit(Context& ctx, const LpdImages& good);
  LpdMaps score(Context& ctx, const LpdImages& images) const;

  /// Interpolates a map of cells to the pixels of the image (side,side); 0 outside the crop.
  std::vector<float> heat(std::span<const float> cells, const Pose& pose) const;

  /// The cell with the highest score and its nearest bank feature.
  struct Explanation {
    int cell;                       ///< in the explained image
    PlaceDensity::Nearest nearest;  ///< in the order of fit()
    Pose pose;                      ///< of the explained image
  };
  /// Explains the score of an image (side,side,3).
  Explanation explain(Context& ctx, std::span<const float> image) const;
  /// The middle of a cell in pixels of an image with this pose.
  CropPoint cell_in_image(int cell, const Pose& pose) const;
  /// The side of a cell in pixels of the image.
  double cell_side() const { return state_.posed ? kCell : 2.0 * kCell; }

  const LpdState& state() const { return state_; }
  const PlaceDensity& places() const { return places_; }
  void set_state(LpdState state, PlaceDensity places) {
    state_ = std::move(state);
    places_ = std::move(places);
  }
  const LpdOptions& options() const { return options_; }
  int grid_height() const { return state_.crop.height / kCell; }
  int grid_width() const { return state_.crop.width / kCell; }

 private:
  struct Crops {
    std::vector<Planes> crops;
    std::vector<Pose> poses;
  };
  Crops read_crops(Context& ctx, const LpdImages& images, size_t begin, size_t end,
                   const std::vector<Pose>& known) const;
  void choose_pose(Context& ctx, const LpdImages& good, std::vector<Pose>& poses);

  LpdOptions options_;
  LpdState state_;
  PlaceDensity places_;
};

}  // namespace assay
