// LPD, local patch density: how usual each place of an image is among the same place of good ones.
//
//   pose -> crop -> features on a grid (features.h) -> standardised -> distance to the bank of good
//   images around the cell, in the metric of their own covariance (kernels/local_density) -> blur
//   -> the largest is the image's score
//
// Fitted to good images only. models/LPD.md derives it.
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
  double quantile = 0.95;     ///< of the leave-one-out scores: the threshold
};

/// Square images with three channels in [0,1], of one side: get(i, out) writes image i.
struct LpdImages {
  size_t count;
  int side;
  std::function<void(size_t, std::span<float>)> get;
};

/// Scores of some images on the grid of cells, and how the images were posed.
struct LpdMaps : CellScores {
  std::vector<Pose> poses;  ///< (n)
};

/// What has been fitted besides the density of places.
struct LpdState {
  std::vector<Pose> poses;  ///< of the training images
  bool posed = false;       ///< images are cropped in their pose; else halved as they are
  int side = 0;             ///< of the images
  CropSize crop{};          ///< multiples of 4
  Filters filters;
  double threshold = 0, heat_scale = 1;
};

class Lpd {
 public:
  explicit Lpd(LpdOptions options) : options_(std::move(options)), places_(options_.places) {}

  /// Learns filters, bank and metric from good images, and the threshold from their leave-one-out
  /// scores, which are returned. DataError for fewer than two images.
  LpdMaps fit(Context& ctx, const LpdImages& good);
  LpdMaps score(Context& ctx, const LpdImages& images) const;

  /// A map of cells in the frame of the image: (side,side), bilinear; 0 outside the crop.
  std::vector<float> heat(std::span<const float> cells, const Pose& pose) const;

  /// The cell of the largest score, and where in the training images what it is nearest to lies.
  struct Explanation {
    int cell;  ///< of the image that is explained
    PlaceDensity::Nearest nearest;
    Pose pose;  ///< of the image that is explained
  };
  /// Of an image (side,side,3).
  Explanation explain(Context& ctx, std::span<const float> image) const;
  /// The middle of a cell in pixels of an image with this pose, and the side of a cell there.
  CropPoint cell_in_image(int cell, const Pose& pose) const;
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
