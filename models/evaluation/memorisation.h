// Whether a generator copies its training images: the distance of each generated image to the
// nearest training image, beside the distances between training images.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "data/image.h"

namespace assay {

/// Root mean squared difference of the values of two images of one size, in [0,1]. Error for
/// different sizes. A copy shifted by a few pixels is far away in this measure.
double pixel_distance(const Image& a, const Image& b);

struct Nearest {
  size_t index = 0;  ///< the lowest index at this distance
  double distance = 0;
};
/// The nearest of `others` for each image. Error if `others` is empty.
std::vector<Nearest> nearest_of(std::span<const Image> images, std::span<const Image> others);
/// The nearest of the other images for each image. Error for fewer than two.
std::vector<Nearest> nearest_of_the_rest(std::span<const Image> images);

/// Mean distance over all pairs of images. Error for fewer than two.
double mean_pair_distance(std::span<const Image> images);

}  // namespace assay
