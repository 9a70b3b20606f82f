// Metrics of heat maps against ground-truth masks: pixel AUROC, pixel average precision and AUPRO.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace assay {

/// The connected regions of a mask.
struct Regions {
  std::vector<int32_t> label;  ///< (H,W): region of each pixel in reading order, -1 = background
  std::vector<int64_t> size;   ///< pixels of each region
};
/// 8-connectivity (pixels that touch at a corner belong together), as in MVTec's evaluation code.
/// Any non-zero byte of the mask is defective.
Regions connected_regions(std::span<const uint8_t> mask, int H, int W);

/// Pixel false positive rate up to which AUPRO integrates.
inline constexpr double kAuproFprLimit = 0.3;

/// Empty unless good and defective pixels exist.
struct PixelMetrics {
  std::optional<double> auroc, average_precision;
  /// Standard error of `auroc` over images, whose pixels are not independent: Obuchowski,
  /// Biometrics 53 (1997), with an image as the cluster. Empty unless two images have defective
  /// pixels and two have good ones.
  std::optional<double> auroc_error;
  /// Degrees of freedom of `auroc_error`, at least 1: the effective number of images, minus 1, as a
  /// few images with large or poorly found defects make most of the error.
  double auroc_degrees = 0;
  /// Area under the curve of per-region overlap against the pixel false positive rate, from rate 0
  /// to `fpr_limit`, divided by `fpr_limit`. The overlap at a threshold is the mean over all
  /// regions of the share of the region's pixels that are found, so a small defect counts as much
  /// as a large one; linear between thresholds. Bergmann, Batzner, Fauser, Sattlegger, Steger, "The
  /// MVTec Anomaly Detection Dataset", IJCV 129 (2021), section 5.2.
  std::optional<double> aupro;
};

/// Collects the heat maps of the test images, good and defective, of any sizes. Needs 4 bytes per
/// good and 8 per defective pixel, metrics() 4 more for each.
class PixelEvaluation {
 public:
  /// `heat` (H,W), higher = more anomalous; `mask` (H,W), non-zero = defective, or empty for an
  /// image without a defect. Error if sizes do not fit or a heat is not finite; nothing of the
  /// image is then added.
  void add(std::span<const float> heat, std::span<const uint8_t> mask, int H, int W);

  /// Metrics of all images added so far; more may follow.
  PixelMetrics metrics(double fpr_limit = kAuproFprLimit) const;

 private:
  struct DefectivePixel {
    float score;
    uint32_t region;
  };
  /// Pixels of one image, and the sums over them of twice the pixels of the other kind, of all
  /// images, that they are ranked rightly against; a tie counts one.
  struct ImagePlaces {
    int64_t good = 0, defective = 0, good_places = 0, defective_places = 0;
  };
  void place_good(std::vector<ImagePlaces>& images, std::vector<float> defective) const;
  void add_error(PixelMetrics& metrics, const std::vector<ImagePlaces>& images) const;

  std::vector<float> good_;  // image by image
  std::vector<DefectivePixel> defective_;
  std::vector<int64_t> region_size_;    // over all images
  std::vector<uint32_t> region_image_;  // the image of each region
  std::vector<size_t> good_end_;        // of each image in good_
};

}  // namespace assay
