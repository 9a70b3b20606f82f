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

#include "kernels/local_density/local_density.h"
#include "models/detectors/lpd/features.h"
#include "models/detectors/lpd/pose.h"

namespace assay {

struct LpdOptions {
  uint64_t seed = 0;
  FeatureOptions features;
  std::string pose = "auto";          ///< auto (are_posed) | always | never
  std::string bank = "auto";          ///< local | global | auto (is_aligned)
  int bank_size = 2000;               ///< features of a global bank
  int window = 3;                     ///< side of the window of a local bank, cells; odd
  double ridge = 1;                   ///< added to the covariance of standardised features
  std::string bandwidth = "nearest";  ///< nearest | loo | a number: s of the density
  double smoothing = 0.8;             ///< deviation of the blur of the scores, cells; 0 = none
  double quantile = 0.95;             ///< of the leave-one-out scores: the threshold
};

/// Square images with three channels in [0,1], of one side: get(i, out) writes image i.
struct LpdImages {
  size_t count;
  int side;
  std::function<void(size_t, std::span<float>)> get;
};

/// Scores of some images on the grid of cells, smoothed.
struct LpdMaps {
  std::vector<float> cells;   ///< (n, height, width)
  std::vector<Pose> poses;    ///< (n)
  std::vector<double> score;  ///< (n): the largest of each
};

/// A model that has been fitted, as files hold it.
struct LpdState {
  std::vector<Pose> poses;  ///< of the training images

  bool posed = false;  ///< images are cropped in their pose; else halved as they are
  bool local = true;   ///< one bank per cell; else one for all
  int side = 0;        ///< of the images
  CropSize crop{};     ///< multiples of 4
  Filters filters;
  std::vector<int> channel;            ///< (C): those features that vary, of all
  std::vector<float> mean, deviation;  ///< (C)
  LocalDensityShape shape{};           ///< m = 0
  std::vector<float> bank;             ///< (cells, C, n), standardised
  std::vector<int> image;              ///< (n): training image of a bank feature
  std::vector<int> place;              ///< (n): its cell, of a global bank; empty for a local one
  std::vector<float> centre, metric;   ///< (cells, C), (cells, C, C)
  std::vector<float> norms;            ///< (cells, window, n)
  double s = 0;                        ///< bandwidth; 0 = nearest
  double threshold = 0, heat_scale = 1;
  double aligned_share = 0;  ///< of is_aligned's test, for the report
};

class Lpd {
 public:
  explicit Lpd(LpdOptions options) : options_(std::move(options)) {}

  /// Learns filters, bank and metric from good images, and the threshold from their leave-one-out
  /// scores, which are returned. DataError for fewer than two images.
  LpdMaps fit(Context& ctx, const LpdImages& good);
  LpdMaps score(Context& ctx, const LpdImages& images) const;

  /// A map of cells in the frame of the image: (side,side), bilinear; 0 outside the crop.
  std::vector<float> heat(std::span<const float> cells, const Pose& pose) const;

  /// The cell of the largest score, and where in the training images what it is nearest to lies.
  struct Explanation {
    int image;               ///< of the training images, as fit() took them
    double distance;         ///< to it
    int cell, nearest_cell;  ///< of the image that is explained, and of the training image
    Pose pose;               ///< of the image that is explained
  };
  /// Of an image (side,side,3).
  Explanation explain(Context& ctx, std::span<const float> image) const;
  /// The middle of a cell in pixels of an image with this pose, and the side of a cell there.
  CropPoint cell_in_image(int cell, const Pose& pose) const;
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

/// The share of the variance of features (images, cells, C) that their place explains: the variance
/// over places of the mean over images, over the whole variance, averaged over the `counted`
/// channels. Near 1 for objects that lie alike, near 1 / images for a texture.
double aligned_share(const std::vector<float>& x, int64_t images, int64_t cells, int64_t C,
                     const std::vector<int>& counted);
/// Below, a bank without position is chosen. Filter responses count, colours do not: light falls on
/// the same side of every image.
inline constexpr double kMinAlignedShare = 0.25;

}  // namespace assay
