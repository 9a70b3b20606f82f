// Whether a generator copies its training pictures: how far each generated picture is from the
// nearest of them, beside how far these are from one another.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "data/image.h"

namespace assay {

/// Root mean squared difference of the values of two pictures of one size, in [0,1]. It knows
/// nothing of shifts: a copy that is moved by a few pixels looks far away.
double pixel_distance(const Image& a, const Image& b);

struct Nearest {
  size_t index = 0;  ///< the first of those that are nearest
  double distance = 0;
};
/// For each picture the nearest of `others`. Error when `others` is empty.
std::vector<Nearest> nearest_of(std::span<const Image> images, std::span<const Image> others);
/// For each picture the nearest of all the rest. Error for fewer than two.
std::vector<Nearest> nearest_of_the_rest(std::span<const Image> images);

/// Mean distance of two different pictures. Error for fewer than two.
double mean_pair_distance(std::span<const Image> images);

}  // namespace assay
