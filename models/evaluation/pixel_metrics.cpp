#include "models/evaluation/pixel_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "kernels/runtime/error.h"
#include "models/evaluation/metrics.h"

namespace assay {
namespace {

void check_size(const char* what, size_t size, int H, int W) {
  ASSAY_CHECK(H > 0 && W > 0 && size == static_cast<size_t>(H) * static_cast<size_t>(W),
              "pixel metrics: the {} has {} pixels but H={} W={}", what, size, H, W);
}

/// Area under a polyline up to x = limit, added up point by point from x = 0.
class ClippedArea {
 public:
  explicit ClippedArea(double limit) : limit_(limit) {}

  void add(double x, double y) {
    if (x_ < limit_) {
      const double end = std::min(x, limit_);
      const double y_end = x > limit_ ? std::lerp(y_, y, (limit_ - x_) / (x - x_)) : y;
      area_ += (end - x_) * (y_ + y_end) / 2;
    }
    x_ = x;
    y_ = y;
  }
  double value() const { return area_; }

 private:
  double limit_, area_ = 0, x_ = 0, y_ = 0;
};

}  // namespace

Regions connected_regions(std::span<const uint8_t> mask, int H, int W) {
  check_size("mask", mask.size(), H, W);
  Regions regions{.label = std::vector<int32_t>(mask.size(), -1), .size = {}};
  std::vector<int> stack;  // pixels of the region whose neighbours are not visited yet
  for (int start = 0; start < H * W; ++start) {
    if (mask[start] == 0 || regions.label[start] >= 0) continue;
    const int32_t region = static_cast<int32_t>(regions.size.size());
    regions.size.push_back(0);
    regions.label[start] = region;
    stack.push_back(start);
    while (!stack.empty()) {
      const int h = stack.back() / W, w = stack.back() % W;
      stack.pop_back();
      ++regions.size.back();
      for (int y = std::max(h - 1, 0); y <= std::min(h + 1, H - 1); ++y) {
        for (int x = std::max(w - 1, 0); x <= std::min(w + 1, W - 1); ++x) {
          const int pixel = y * W + x;
          if (mask[pixel] == 0 || regions.label[pixel] >= 0) continue;
          regions.label[pixel] = region;
          stack.push_back(pixel);
        }
      }
    }
  }
  return regions;
}

void PixelEvaluation::add(std::span<const float> heat, std::span<const uint8_t> mask, int H,
                          int W) {
  check_size("heat map", heat.size(), H, W);
  for (size_t i = 0; i < heat.size(); ++i) {
    ASSAY_CHECK(std::isfinite(heat[i]), "pixel metrics: pixel {} of the heat map is {:g}", i,
                heat[i]);
  }
  if (mask.empty()) {
    good_.insert(good_.end(), heat.begin(), heat.end());
    good_end_.push_back(good_.size());
    return;
  }
  const Regions regions = connected_regions(mask, H, W);
  const size_t first_region = region_size_.size();
  region_size_.insert(region_size_.end(), regions.size.begin(), regions.size.end());
  region_image_.resize(region_size_.size(), static_cast<uint32_t>(good_end_.size()));
  for (size_t i = 0; i < heat.size(); ++i) {
    if (regions.label[i] < 0) {
      good_.push_back(heat[i]);
    } else {
      const size_t region = first_region + static_cast<size_t>(regions.label[i]);
      defective_.push_back({heat[i], static_cast<uint32_t>(region)});
    }
  }
  good_end_.push_back(good_.size());
}

void PixelEvaluation::place_good(std::vector<ImagePlaces>& images,
                                 std::vector<float> defective) const {
  std::sort(defective.begin(), defective.end());
  size_t pixel = 0;
  for (size_t image = 0; image < images.size(); ++image) {
    images[image].good = static_cast<int64_t>(good_end_[image] - pixel);
    for (; pixel < good_end_[image]; ++pixel) {
      const auto [first, last] = std::equal_range(defective.begin(), defective.end(), good_[pixel]);
      images[image].good_places += (defective.end() - first) + (defective.end() - last);
    }
  }
}

void PixelEvaluation::add_error(PixelMetrics& metrics,
                                const std::vector<ImagePlaces>& images) const {
  const double auroc = *metrics.auroc;
  const double all_good = static_cast<double>(good_.size());
  const double all_defective = static_cast<double>(defective_.size());
  double with_good = 0, with_defective = 0, of_good = 0, of_defective = 0, of_both = 0;
  double squares = 0, fourth_powers = 0;
  for (const ImagePlaces& image : images) {
    // How far the image's good and defective pixels move the AUROC.
    const double good = (static_cast<double>(image.good_places) / (2 * all_defective) -
                         auroc * static_cast<double>(image.good)) /
                        all_good;
    const double defective = (static_cast<double>(image.defective_places) / (2 * all_good) -
                              auroc * static_cast<double>(image.defective)) /
                             all_defective;
    with_good += image.good > 0;
    with_defective += image.defective > 0;
    of_good += good * good;
    of_defective += defective * defective;
    of_both += good * defective;
    const double square = (good + defective) * (good + defective);
    squares += square;
    fourth_powers += square * square;
  }
  if (with_good < 2 || with_defective < 2) return;
  const double all = static_cast<double>(images.size());
  const double variance = with_good / (with_good - 1) * of_good +
                          with_defective / (with_defective - 1) * of_defective +
                          2 * all / (all - 1) * of_both;
  metrics.auroc_error = std::sqrt(std::max(variance, 0.0));
  metrics.auroc_degrees =
      fourth_powers > 0 ? std::max(squares * squares / fourth_powers - 1, 1.0) : 1;
}

PixelMetrics PixelEvaluation::metrics(double fpr_limit) const {
  ASSAY_CHECK(fpr_limit > 0 && fpr_limit <= 1, "pixel metrics: the FPR limit {:g} is not in (0, 1]",
              fpr_limit);
  if (good_.empty() || defective_.empty()) return {};
  std::vector<float> good = good_;
  std::sort(good.begin(), good.end(), std::greater<>());
  std::vector<DefectivePixel> defective = defective_;
  // Ties are ordered by region, so the sum does not depend on the implementation of std::sort.
  std::sort(defective.begin(), defective.end(),
            [](const DefectivePixel& a, const DefectivePixel& b) {
              return a.score > b.score || (a.score == b.score && a.region < b.region);
            });

  const double regions = static_cast<double>(region_size_.size());
  AurocSum auroc;
  AveragePrecisionSum average_precision;
  ClippedArea overlap_area(fpr_limit);
  std::vector<ImagePlaces> images(good_end_.size());
  double overlap = 0;  // sum over regions of the share found so far
  for (size_t g = 0, d = 0; g < good.size() || d < defective.size();) {
    float score = -std::numeric_limits<float>::infinity();
    if (g < good.size()) score = good[g];
    if (d < defective.size()) score = std::max(score, defective[d].score);
    const size_t g_begin = g, d_begin = d;
    while (g < good.size() && good[g] == score) ++g;
    const auto places = static_cast<int64_t>((good.size() - g) + (good.size() - g_begin));
    for (; d < defective.size() && defective[d].score == score; ++d) {
      overlap += 1.0 / static_cast<double>(region_size_[defective[d].region]);
      ImagePlaces& image = images[region_image_[defective[d].region]];
      ++image.defective;
      image.defective_places += places;
    }
    const int64_t good_there = static_cast<int64_t>(g - g_begin);
    const int64_t defective_there = static_cast<int64_t>(d - d_begin);
    auroc.add(good_there, defective_there);
    average_precision.add(good_there, defective_there);
    // Rounding may take the sum past 1 by an ulp.
    overlap_area.add(static_cast<double>(g) / static_cast<double>(good.size()),
                     std::min(overlap / regions, 1.0));
  }
  std::vector<float> scores;
  for (const DefectivePixel& pixel : defective) scores.push_back(pixel.score);
  place_good(images, std::move(scores));
  PixelMetrics metrics{.auroc = auroc.value(),
                       .average_precision = average_precision.value(),
                       .auroc_error = {},
                       .aupro = overlap_area.value() / fpr_limit};
  if (metrics.auroc) add_error(metrics, images);
  return metrics;
}

}  // namespace assay
