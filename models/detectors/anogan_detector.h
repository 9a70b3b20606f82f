// AnoGAN: a trained DCGAN as a detector. An image is as anomalous as the nearest image that the
// generator can make is unlike it. Schlegl et al., 2017, arXiv:1703.05921, section 2.2.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/detectors/detector.h"
#include "models/networks/dcgan.h"

namespace assay {

/// Options of a search for latents.
struct LatentSearch {
  int steps = 500;
  int restarts = 1;             ///< searches from different latents, of which the best counts
  double weight = 0.1;          ///< of the discrimination loss, lambda; 1 - weight of the residual
  double learning_rate = 0.01;  ///< of Adam
  uint64_t seed = 0;            ///< of the latents that the search starts from
  /// Called before each step; it may throw to stop the search.
  std::function<void()> before_step = [] {};
};

/// Losses at the latent that was found, for each of N images.
struct LatentMatch {
  std::vector<double> residual;        ///< sum of |x - G(z)| over pixels and channels
  std::vector<double> discrimination;  ///< sum of |f(x) - f(G(z))|, f = Dcgan::features()
  std::vector<float> generated;        ///< G(z), in [-1,1] // (N,H,W,C)

  double loss(size_t image, double weight) const {
    return (1 - weight) * residual[image] + weight * discrimination[image];
  }
};

/// The loss of N images at the latents z, summed over the images, so that the gradient of each z is
/// that of its own image. x (N,H,W,C) in [-1,1], features = gan.features(x), z (N,1,1,100); (1).
Tensor latent_loss(Dcgan& gan, const Tensor& x, const Tensor& features, const Tensor& z,
                   double weight);

/// Looks for the z whose image is most like each of the images x (N,H,W,C) in [-1,1]: `steps` steps
/// of Adam on z from latents that depend on the seed and the restart alone, so that the result for
/// an image does not depend on the rest of the batch. The networks are constants in inference mode;
/// leaves `gan` in training mode.
LatentMatch search_latents(Dcgan& gan, const Tensor& x, const LatentSearch& options);

/// Components of an image's score: its loss (LatentMatch::loss) decides; the residual and the
/// discrimination loss are reported beside it. The heat map is |x - G(z)| of values from 0 to 1,
/// mean over the channels; the reconstruction is G(z).
class AnoganDetector : public Detector {
 public:
  explicit AnoganDetector(RunConfig config);

  Prediction predict(const Tensor& x) override;
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;

  Dcgan& gan() { return gan_; }
  /// Sets LatentSearch::before_step.
  void set_before_step(std::function<void()> f) { search_.before_step = std::move(f); }

 private:
  Dcgan gan_;
  LatentSearch search_;
};

/// Options of the search, for ModelSpec::own_options.
std::vector<Option> latent_search_options();

}  // namespace assay
