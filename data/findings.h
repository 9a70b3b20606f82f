// What is worth saying of images once all of them were read.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace assay {

/// An image that was read, and what it is an image of.
struct SeenImage {
  const Sample* sample;
  const ImageFacts* facts;
};

struct Findings {
  std::vector<std::string> problems;  ///< one sentence each; nothing should be learnt from this
  std::vector<std::string> notes;     ///< worth knowing, not wrong
};

/// Problems: masks among the images of defects, an image that is good and defective.
/// Notes: 16-bit images that use fewer bits than `bit_depth` or more; images of another shape than
/// the training images, which a model of square input sees squashed; images that stand in training
/// and test; masks that mark everything, all but a part, or nothing at the model's size. What is
/// cross-validated is `training` alone: images that stand there twice may be in both, too.
Findings find_out(std::span<const SeenImage> training, std::span<const SeenImage> test,
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
  /// One sentence each; see find_out().
  std::vector<std::string> notes() const;

 private:
  ImageSize expected_, squashed_size_;
  int bit_depth_, max_value_ = 0;
  size_t images_ = 0;
  ImageGroup deep_, above_, squashed_;
};

/// The size whose shape is the median of the images' shapes. Error for no images.
ImageSize typical_size(std::span<const ImageSize> sizes);

/// The bits a value of 16-bit images whose largest value is known: 8 to 16; 16 for a largest value
/// of 0, as images of 8 bits have.
int bits_used(int max_value);

/// Whether an image's shape differs so much from another that squashing it to the same square
/// changes what is seen: by more than a quarter.
bool differs_in_shape(ImageSize a, ImageSize b);

}  // namespace assay
