// Patch features at three scales: responses of filters that are fitted to good images (both signs,
// pooled, raised to a power), and blurred colours.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/runtime/context.h"
#include "models/detectors/lpd/planes.h"

namespace assay {

/// Side of a cell of the feature grid in pixels of the crop.
inline constexpr int kCell = 4;
/// Full, half and quarter size.
inline constexpr int kScales = 3;
inline constexpr int kFilterSide = 5;
inline constexpr int kPatchValues = 3 * kFilterSide * kFilterSide;

struct FeatureOptions {
  std::string filters = "pca";  ///< pca | ica | random
  int count = 12;               ///< filters of each scale
  double power = 0.4;           ///< exponent of a pooled response
  double floor = 0.002;         ///< added before the power
};

/// The filters of each scale: weights[scale] (count,5,5,3) on luminance and two opponent colours.
struct Filters {
  int count = 0;
  std::vector<std::vector<float>> weights;
};

/// 2 count + 3 channels of each scale.
inline int feature_channels(int filter_count) {
  return kScales * (2 * filter_count + 3);
}

/// Whether a channel is a filter's response; else it is a colour.
inline bool is_response(int channel, int filter_count) {
  return channel % (2 * filter_count + 3) < 2 * filter_count;
}

/// Fits filters to crops (H,W,3) in [0,1] of one size. pca: the leading eigenvectors of the
/// covariance of 60,000 patches of each scale, without their mean per channel. ica: these rotated
/// by symmetric FastICA (Hyvarinen 1999) so that responses are sparse. random: unit vectors,
/// independent of the images. Each filter's own mean per channel is removed.
Filters fit_filters(Context& ctx, std::span<const Planes> crops, const FeatureOptions& options,
                    uint64_t seed);

/// Features (n, H/4, W/4, feature_channels) of n crops (H,W,3), H and W multiples of 4.
std::vector<float> features(Context& ctx, std::span<const Planes> crops, const Filters& filters,
                            const FeatureOptions& options);

}  // namespace assay
