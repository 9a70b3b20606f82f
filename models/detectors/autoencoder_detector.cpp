#include "models/detectors/autoencoder_detector.h"

namespace assay {

void AutoencoderDetector::learn(const ImageStore&, const std::vector<size_t>&,
                                const std::function<void(double)>&) {}

SquaredErrors squared_errors(const Tensor& x, const std::vector<float>& reconstruction) {
  const std::vector<float> original = x.to_floats();
  const int64_t N = x.dim(0), pixels = x.dim(1) * x.dim(2), C = x.dim(3);
  SquaredErrors errors;
  errors.map.resize(N * pixels);
  for (int64_t n = 0; n < N; ++n) {
    double sum = 0;
    for (int64_t i = n * pixels; i < (n + 1) * pixels; ++i) {
      double squares = 0;
      for (int64_t c = i * C; c < (i + 1) * C; ++c) {
        const double error = double{original[c]} - reconstruction[c];
        squares += error * error;
      }
      errors.map[i] = static_cast<float>(squares / static_cast<double>(C));
      sum += squares;
    }
    errors.mean.push_back(sum / static_cast<double>(pixels * C));
  }
  return errors;
}

}  // namespace assay
