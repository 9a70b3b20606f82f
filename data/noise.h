// Gaussian noise on a tenth of the images: equation 7 of the study (arXiv:2107.09204).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace assay {

inline constexpr double kNoiseShare = 0.10;
inline constexpr double kNoiseVariance = 0.001;  ///< of values in [0,1]

/// floor(share * n) of the numbers 0 to n-1, sampled without replacement, ascending.
std::vector<size_t> draw_noisy_images(size_t n, uint64_t seed, double share = kNoiseShare);

/// Adds noise to the values of image `image` and clips to [0,1]. The noise of value i is a pure
/// function of (seed, image, i), the same on every machine.
void add_noise(std::span<float> values, uint64_t seed, uint64_t image,
               double variance = kNoiseVariance);

}  // namespace assay
