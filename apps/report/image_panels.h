// Images and panels of figures embedded into the page, at the size at which they are shown.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/suite/results.h"
#include "data/image.h"

namespace assay {

/// An <img> with the image as a JPEG of at most `max_width` pixels.
std::string embedded_image(const Image& image, const std::string& description, int max_width);

/// A PNG of a run with a caption; "" if there is no such file.
std::string captioned_image(const std::filesystem::path& png, const std::string& caption);

/// Original, reconstruction, residual, overlay and ground truth of at most `max` test images of a
/// run, with its colour scale. "" if the run has no figures.
std::string panels_of(const RunResult& run, size_t max);

/// At most `max` images without and with noise, with their reconstructions and residuals.
std::string noise_panels_of(const RunResult& run, size_t max);

}  // namespace assay
