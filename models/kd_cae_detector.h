// KD-CAE as a detector: r, the mean squared error of the reconstruction, and q, the negative log
// density of the latent. arXiv:2107.09204, section 3.
#pragma once

#include <memory>
#include <optional>

#include "models/detector.h"
#include "models/kd_cae.h"
#include "models/kde_detector.h"

namespace assay {

class KdCaeDetector : public Detector {
 public:
  /// With the network's weights as they are; judge() needs the density first.
  KdCaeDetector(RunConfig config, std::unique_ptr<KdCae> network);
  static std::unique_ptr<KdCaeDetector> load(const RunConfig& config, const RunFolder& folder);

  /// Fits the density to the latents (n,D) of the training pictures.
  void fit_density(Tensor latents);

  Judgement judge(const Tensor& x) override;
  void save(const RunFolder& folder) const override;
  KdCae& network() { return *network_; }

 private:
  std::unique_ptr<KdCae> network_;
  std::optional<KdeDetector> density_;
};

/// The KD-CAE of a configuration, uninitialised.
std::unique_ptr<KdCae> make_kd_cae(const RunConfig& config);

}  // namespace assay
