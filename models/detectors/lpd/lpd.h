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

#include "kernels/local_density/local_density.h"
#include "models/detectors/lpd/features.h"
#include "models/detectors/lpd/pose.h"

namespace assay {

struct LpdOptions {
  uint64_t seed = 0;
  FeatureOptions features;
  std::string pose = "auto";          ///< auto (are_posed) | always | never
  std::string bank = "auto";          ///< local | global | auto (aligned_share)
  int bank_size = 2000;               ///< features of a global bank
  int window = 3;                     ///< side of the window of a local bank, cells; odd
  double ridge = 1;                   ///< added to the covariance of standardised features
  std::string bandwidth = "nearest";  ///< nearest | loo | a number: s of the density
  double smoothing = 0.8;             ///< deviation of the blur of the scores, cells; 0 = none
  double quantile = 0.95;             ///< the threshold is this quantile of leave-one-out scores
};

/// Square images (side,side,3) in [0,1]: get(i, out) writes image i.
struct LpdImages {
  size_t count;
  int side;
  std::function<void(size_t, std::span<float>)> get;
};

/// Smoothed scores of n images on the grid of cells.
struct LpdMaps {
  std::vector<float> cells;   ///< (n, height, width)
  std::vector<Pose> poses;    ///< (n)
  std::vector<double> score;  ///< (n): the maximum of each map
};

/// A fitted model, as it is stored.
struct LpdState {
  std::vector<Pose> poses;  ///< of the training images

  bool posed = false;  ///< images are rotated and cropped; else only halved
  bool local = true;   ///< one bank per cell; else one for all
  int side = 0;        ///< of the images
  CropSize crop{};     ///< multiples of 4
  Filters filters;
  std::vector<int> channel;            ///< (C): indices of the feature channels that vary
  std::vector<float> mean, deviation;  ///< (C)
  LocalDensityShape shape{};           ///< m = 0
  std::vector<float> bank;             ///< (cells, C, n), standardised
  std::vector<int> image;              ///< (n): training image of a bank feature
  std::vector<int> place;              ///< (n): cell of a feature of a global bank; else empty
  std::vector<float> centre, metric;   ///< (cells, C), (cells, C, C)
  std::vector<float> norms;            ///< (cells, window, n)
  double s = 0;                        ///< bandwidth; 0 = nearest
  double threshold = 0, heat_scale = 1;
  double aligned_share = 0;  ///< aligned_share() of the training images
};

class Lpd {
 public:
  explicit Lpd(LpdOptions options) : options_(std::move(options)) {}

  /// Learns filters, bank and metric from good images, and threshold and colour scale from their
  /// leave-one-out maps, which it returns. DataError for fewer than two images.
  LpdMaps fit(Context& ctx, const LpdImages& good);
  LpdMaps score(Context& ctx, const LpdImages& images) const;

  /// Interpolates a map of cells to the pixels of the image (side,side); 0 outside the crop.
  std::vector<float> heat(std::span<const float> cells, const Pose& pose) const;

  /// The cell with the highest score and its nearest bank feature.
  struct Explanation {
    int image;         ///< training image of the bank feature, in the order of fit()
    double distance;   ///< from the cell to the bank feature
    int cell;          ///< in the explained image
    int nearest_cell;  ///< in the training image
    Pose pose;         ///< of the explained image
  };
  /// Explains the score of an image (side,side,3).
  Explanation explain(Context& ctx, std::span<const float> image) const;
  /// The middle of a cell in pixels of an image with this pose.
  CropPoint cell_in_image(int cell, const Pose& pose) const;
  /// The side of a cell in pixels of the image.
  double cell_side() const { return state_.posed ? kCell : 2.0 * kCell; }

  const LpdState& state() const { return state_; }
  void set_state(LpdState state) { state_ = std::move(state); }
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
  void standardise(std::vector<float>& all, int64_t rows);
  std::vector<float> standardised(const std::vector<float>& all, int64_t rows) const;
  void fit_local_bank(Context& ctx, const std::vector<float>& x, int images);
  void fit_global_bank(Context& ctx, const std::vector<float>& x, int images);
  double choose_bandwidth(Context& ctx, const std::vector<float>& x, int images) const;
  std::vector<float> distances(Context& ctx, const LocalKernel& kernel, const std::vector<float>& x,
                               int images, bool leave_one_out) const;
  LpdMaps maps(Context& ctx, std::vector<float> distances, std::vector<Pose> poses) const;
  LocalKernel kernel() const;
  LocalBank<float> bank_view() const;

  LpdOptions options_;
  LpdState state_;
};

/// The share of the variance of features (images, cells, C) that their cell explains: the variance
/// over cells of the mean over images, divided by the total variance, averaged over the `counted`
/// channels. Near 1 for objects in the same position, near 1 / images for a texture.
double aligned_share(const std::vector<float>& x, int64_t images, int64_t cells, int64_t C,
                     const std::vector<int>& counted);
/// Below this share a global bank is used. Only filter responses are counted: colours look aligned
/// in any class, because light falls on the same side of every image.
inline constexpr double kMinAlignedShare = 0.25;

}  // namespace assay
