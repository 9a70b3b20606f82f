// The Gaussian kernel density of the training images' latents, and the rules that choose its
// bandwidth.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace assay {

/// How the bandwidth h is found from n latents of D coordinates.
enum class BandwidthRule {
  fixed,      ///< a given number
  scott,      ///< n^(-1/(D+4)) times the mean deviation of a coordinate
  silverman,  ///< (n (D+2) / 4)^(-1/(D+4)) times the mean deviation of a coordinate
  median,     ///< the median distance of two latents / sqrt(2)
  loo,        ///< maximises the likelihood of each latent, given all others
};
struct Bandwidth {
  BandwidthRule rule = BandwidthRule::loo;
  double value = 0;  ///< used by BandwidthRule::fixed
};
/// Reads "scott", "silverman", "median", "loo" or a number from 1e-100 to 1e100. UsageError
/// otherwise.
Bandwidth parse_bandwidth(const std::string& text);

/// log p(z) under equal Gaussians of width h around the training latents (kernels/kde/kde.h).
class KdeDetector {
 public:
  /// latents (n,D). Error when n < 2 and the rule is not `fixed`. `median` and `loo` look at 2,000
  /// evenly spaced latents where there are more (`loo` asks how likely these are given all others),
  /// and keep 32 MiB of distances at a time; `between_blocks` is called after each with the share
  /// of the search that is done, 0 to 1, and may throw.
  static KdeDetector fit(
      Tensor latents, const Bandwidth& bandwidth,
      const std::function<void(double)>& between_blocks = [](double) {});
  KdeDetector(Tensor latents, double bandwidth);

  /// log p of each row of z (m,D), in nats. Training latents contribute to their own density, which
  /// makes it too high; calibrate on others.
  std::vector<double> log_density(const Tensor& z) const;
  double bandwidth() const { return h_; }
  const Tensor& latents() const { return latents_; }

 private:
  Tensor latents_;
  double h_;
};

/// Mean over i of log p(z_i | all others), for squared distances (n,n) in row-major order.
double leave_one_out_log_likelihood(const std::vector<double>& squared, int n, int64_t D, double h);

}  // namespace assay
