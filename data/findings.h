// Problems and notes on a set of images that was read.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace assay {

/// An image that was read, with the sample it belongs to.
struct ReadImage {
  const Sample* sample;
  const ImageFacts* facts;
};

struct ImageFindings {
  std::vector<std::string> problems;  ///< one sentence each; training must not go on
  std::vector<std::string> notes;     ///< one sentence each; these stop nothing
};

/// Problems: masks among the images of defects; an image that is both good and defective.
/// Notes: 16-bit images whose used bits differ from `bit_depth`; images of another shape than the
/// training images, which a model of square input sees squashed; images in both training and test;
/// masks that mark everything, all but a part, or nothing at the model's size.
/// For cross-validation pass all images as `training`: duplicates within it are reported, because
/// they can fall into training and test of a fold.
ImageFindings check_images(std::span<const ReadImage> training, std::span<const ReadImage> test,
                           int bit_depth = 16);

/// Bits used by 16-bit images with this largest value: 8 to 16. 16 for a largest value of 0, which
/// 8-bit images have.
int bits_used(int max_value);

/// Whether an image's shape differs so much from another that squashing it to the same square
/// changes what is seen: by more than a quarter.
bool differs_in_shape(ImageSize a, ImageSize b);

}  // namespace assay
