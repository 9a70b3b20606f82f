// How usual the features at each place of a grid are among those of good images: standardised, then
// compared with a bank of good features in the metric of their own covariance
// (kernels/local_density). The features may come from anywhere. models/LPD.md derives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/local_density/local_density.h"
#include "tensor/safetensors.h"

namespace assay {

struct PlaceDensityOptions {
  uint64_t seed = 0;
  std::string bank = "auto";  ///< local | global | auto (aligned_share against kMinAlignedShare)
  int bank_size = 2000;       ///< features of a global bank
  int window = 3;             ///< side of the window of a local bank, cells; odd
  double ridge = 1;           ///< added to the covariance of standardised features
  std::string bandwidth = "nearest";  ///< nearest | loo | a number: s of the density
  double smoothing = 0.8;             ///< deviation of the blur of the scores, cells; 0 = none
};

/// A density that has been fitted, as files hold it.
struct PlaceDensityState {
  int height = 0, width = 0;           ///< of the grid
  bool local = true;                   ///< one bank per cell; else one for all
  std::vector<int> channel;            ///< (C): indices of the feature channels that vary
  std::vector<float> mean, deviation;  ///< (C)
  LocalDensityShape shape{};           ///< m = 0
  std::vector<float> bank;             ///< (cells, C, n), standardised
  std::vector<int> image;              ///< (n): training image of a bank feature
  std::vector<int> place;              ///< (n): cell of a feature of a global bank; else empty
  std::vector<float> centre, metric;   ///< (cells, C), (cells, C, C)
  std::vector<float> norms;            ///< (cells, window, n)
  double s = 0;                        ///< bandwidth; 0 = nearest
  double aligned_share = 0;            ///< aligned_share() of the training images
};

/// Smoothed scores of n images on the grid of cells.
struct CellScores {
  std::vector<float> cells;   ///< (n, height, width)
  std::vector<double> score;  ///< (n): the maximum of each map
};

class PlaceDensity {
 public:
  explicit PlaceDensity(PlaceDensityOptions options) : options_(std::move(options)) {}

  /// Fits bank and metric to features (images, height, width, channels) of good images; returns
  /// their leave-one-out scores. `counts` says which channels tell whether images lie alike.
  /// DataError where no channel varies.
  CellScores fit(Context& ctx, std::vector<float> features, int images, int height, int width,
                 const std::function<bool(int channel)>& counts);
  /// Of features (images, height, width, channels).
  CellScores score(Context& ctx, const std::vector<float>& features, int images) const;

  /// What a cell is nearest to.
  struct Nearest {
    int image, cell;  ///< of the good images, in the order of fit()
    double distance;
  };
  /// `features` (height, width, channels) of one image.
  Nearest nearest(const std::vector<float>& features, int cell) const;

  /// Adds the state to a file of weights.
  void save(SafeTensors& file) const;
  /// The inverse, for a grid of this size, and features of `channels` channels.
  /// CheckpointError, which names `source`, for whatever does not fit.
  void load(const SafeTensors& file, const std::string& source, int height, int width,
            int channels);

  const PlaceDensityState& state() const { return state_; }

 private:
  void standardise(std::vector<float>& all, int64_t rows);
  std::vector<float> standardised(const std::vector<float>& all, int64_t rows) const;
  void fit_local_bank(Context& ctx, const std::vector<float>& x, int images);
  void fit_global_bank(Context& ctx, const std::vector<float>& x, int images);
  double choose_bandwidth(Context& ctx, const std::vector<float>& x, int images) const;
  std::vector<float> distances(Context& ctx, const LocalKernel& kernel, const std::vector<float>& x,
                               int images, bool leave_one_out) const;
  CellScores smoothed(Context& ctx, std::vector<float> distances, int images) const;
  LocalKernel kernel() const;
  struct ResidentBank;
  std::shared_ptr<const ResidentBank> resident(Context& ctx) const;

  PlaceDensityOptions options_;
  PlaceDensityState state_;
  mutable std::shared_ptr<const ResidentBank> resident_;  // on a CUDA device
};

/// The colour scale of heat maps: twice the 99.9th percentile of good images' cells.
double heat_scale_of(const CellScores& good);

/// Bilinear value of a map of cells (height, width) at a point in cells; beyond the middles of the
/// outermost cells it is constant.
float value_between_cells(std::span<const float> cells, int height, int width, double row,
                          double column);

/// The share of the variance of features (images, cells, C) that their cell explains: the variance
/// over cells of the mean over images, divided by the total variance, averaged over the `counted`
/// channels. Near 1 for objects in the same position, near 1 / images for a texture.
double aligned_share(const std::vector<float>& x, int64_t images, int64_t cells, int64_t C,
                     const std::vector<int>& counted);
/// Below this share a global bank is used.
inline constexpr double kMinAlignedShare = 0.25;

}  // namespace assay
