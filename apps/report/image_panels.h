// Images and panels of figures inside the page, scaled to the size at which it shows them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/suite/results.h"
#include "data/image.h"

namespace assay {

/// As a JPEG, no wider than `widest` pixels.
std::string embedded_image(const Image& image, const std::string& description, int widest);

/// A PNG of a run with a line of text below it; "" when it is not there.
std::string captioned_image(const std::filesystem::path& png, const std::string& caption);

/// Original, reconstruction, residual, overlay and ground truth of at most `most` test images of a
/// run, with its colour scale. "" when the run has none.
std::string panels_of(const RunResult& run, size_t most);

/// The images that the run predicts wrongly, those whose scores are furthest on the wrong side
/// first: misses, then false alarms. "" when there are none.
std::string strips_of(const RunResult& run);

/// An image of a class with its heat map and what the run says of it.
struct Showpiece {
  std::string tiles;    ///< original and overlay
  std::string verdict;  ///< "scratch: score 5.21, called defective"
};
/// A defective test image of the run, the one with the highest score of those that have a figure,
/// then a good one. Empty for a run without figures.
std::vector<Showpiece> showpieces_of(const RunResult& run);

/// Images without and with noise, their reconstructions and residuals, at most `most`.
std::string noise_panels_of(const RunResult& run, size_t most);

}  // namespace assay
