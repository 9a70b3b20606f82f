// Images and panels of figures embedded into the page, at the size at which they are shown.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/report/html.h"
#include "apps/suite/results.h"
#include "data/image.h"

namespace assay {

/// An <img> with the image as a JPEG of at most `max_width` pixels.
Html embedded_image(const Image& image, const std::string& description, int max_width);

/// A PNG of a run with a caption; empty if there is no such file.
Html captioned_image(const std::filesystem::path& png, const std::string& caption);

/// Original, reconstruction, residual, overlay and ground truth of at most `max` test images of a
/// run, with its colour scale. Empty if the run has no figures.
Html panels_of(const RunResult& run, size_t max);

/// The images that the run predicts wrongly, those whose scores are furthest on the wrong side
/// first: misses, then false alarms. Empty when there are none.
Html strips_of(const RunResult& run);

/// An image of a class with its heat map and what the run says of it.
struct Showpiece {
  Html tiles;    ///< original and overlay
  Html verdict;  ///< "scratch: score 5.21, called defective"
};
/// A defective test image of the run, the one with the highest score of those that have a figure,
/// then a good one. Empty for a run without figures.
std::vector<Showpiece> showpieces_of(const RunResult& run);

/// At most `max` images without and with noise, with their reconstructions and residuals.
Html noise_panels_of(const RunResult& run, size_t max);

}  // namespace assay
