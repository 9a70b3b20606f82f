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

/// Images that share a property: how many there are, and the first few names.
class ImageGroup {
 public:
  void add(const std::string& name);
  bool any() const { return count_ > 0; }
  /// "3 of 40 images (a, b, c)" and so on; `noun` in the singular.
  std::string text(const std::string& noun, size_t of) const;

 private:
  std::vector<std::string> names_;
  size_t count_ = 0;
};

/// What is worth saying of bit depth and shape, for images one after another of which no list is
/// kept.
class SeriesFindings {
 public:
  /// `expected`: size of the training images; 0 x 0 where it is not known.
  SeriesFindings(ImageSize expected, int bit_depth) : expected_(expected), bit_depth_(bit_depth) {}
  void add(const std::string& name, const ImageFacts& facts);
  /// One sentence each; see check_images().
  std::vector<std::string> notes() const;

 private:
  ImageSize expected_, squashed_size_;
  int bit_depth_, max_value_ = 0;
  size_t images_ = 0;
  ImageGroup deep_, above_, squashed_;
};

/// The size whose shape is the median of the images' shapes. Error for no images.
ImageSize typical_size(std::span<const ImageSize> sizes);

/// Bits used by 16-bit images with this largest value: 8 to 16. 16 for a largest value of 0, which
/// 8-bit images have.
int bits_used(int max_value);

/// Whether an image's shape differs so much from another that squashing it to the same square
/// changes what is seen: by more than a quarter.
bool differs_in_shape(ImageSize a, ImageSize b);

}  // namespace assay
