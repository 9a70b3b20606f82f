// What noise on the test images does to a trained detector: its metrics over a grid of variances
// and shares of noisy images (equation 7 of arXiv:2107.09204 has one point, 0.001 and a tenth).
#pragma once

#include <cstdint>
#include <vector>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/run/folder.h"

namespace assay {

struct NoiseSweepOptions {
  std::vector<double> variances = {0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02};
  std::vector<double> shares = {0, 0.1, 0.25, 0.5, 0.75, 1};
  int draws = 20;  ///< choices of the noisy images, for shares that leave a choice
};

/// Mean, lowest and highest value of a metric over the draws.
struct DrawnMetric {
  double mean = 0, low = 0, high = 0;
};
struct NoisePoint {
  double variance = 0, share = 0;
  DrawnMetric image_auroc, f1;
};

/// Predicts every test image once for each variance; the noisy ones of a share are then chosen by
/// score. The first draw is that of --test-noise noisy; an image has the same noise in all draws.
/// By variance, then share. Empty where the images are all good or all defective.
std::vector<NoisePoint> sweep_noise(Detector& detector, const ImageStore& test,
                                    const NoiseSweepOptions& options = {});

/// sweep_noise() of the folder's model on the test images of `config`, written to noise_sweep.csv.
/// UsageError for a model that is not trained on good images alone, whose folds have no common test
/// images.
std::vector<NoisePoint> sweep_noise(const RunConfig& config, const RunFolder& folder);

/// noise_sweep.csv; empty where there is none. CheckpointError when it is damaged.
std::vector<NoisePoint> read_noise_sweep(const RunFolder& folder);

}  // namespace assay
