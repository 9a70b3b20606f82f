#include "models/evaluation/pixel_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

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
    return;
  }
  const Regions regions = connected_regions(mask, H, W);
  const size_t first_region = region_size_.size();
  region_size_.insert(region_size_.end(), regions.size.begin(), regions.size.end());
  for (size_t i = 0; i < heat.size(); ++i) {
    if (regions.label[i] < 0) {
      good_.push_back(heat[i]);
    } else {
      const size_t region = first_region + static_cast<size_t>(regions.label[i]);
      defective_.push_back({heat[i], static_cast<uint32_t>(region)});
    }
  }
}

void PixelEvaluation::sort_descending() {
  std::sort(good_.begin(), good_.end(), std::greater<>());
  // Ties are ordered by region, so the sum does not depend on the implementation of std::sort.
  std::sort(defective_.begin(), defective_.end(),
            [](const DefectivePixel& a, const DefectivePixel& b) {
              return a.score > b.score || (a.score == b.score && a.region < b.region);
            });
}

PixelMetrics PixelEvaluation::metrics(double fpr_limit) {
  ASSAY_CHECK(fpr_limit > 0 && fpr_limit <= 1, "pixel metrics: the FPR limit {:g} is not in (0, 1]",
              fpr_limit);
  if (good_.empty() || defective_.empty()) return {};
  sort_descending();

  const double regions = static_cast<double>(region_size_.size());
  AurocSum auroc;
  AveragePrecisionSum average_precision;
  ClippedArea overlap_area(fpr_limit);
  double overlap = 0;  // sum over regions of the share found so far
  for (size_t g = 0, d = 0; g < good_.size() || d < defective_.size();) {
    float score = -std::numeric_limits<float>::infinity();
    if (g < good_.size()) score = good_[g];
    if (d < defective_.size()) score = std::max(score, defective_[d].score);
    const size_t g_begin = g, d_begin = d;
    while (g < good_.size() && good_[g] == score) ++g;
    for (; d < defective_.size() && defective_[d].score == score; ++d) {
      overlap += 1.0 / static_cast<double>(region_size_[defective_[d].region]);
    }
    const int64_t good = static_cast<int64_t>(g - g_begin);
    const int64_t defective = static_cast<int64_t>(d - d_begin);
    auroc.add(good, defective);
    average_precision.add(good, defective);
    // Rounding may take the sum past 1 by an ulp.
    overlap_area.add(static_cast<double>(g) / static_cast<double>(good_.size()),
                     std::min(overlap / regions, 1.0));
  }
  return {.auroc = auroc.value(),
          .average_precision = average_precision.value(),
          .aupro = overlap_area.value() / fpr_limit};
}

}  // namespace assay
