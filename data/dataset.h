// Which images there are, which of them are good, and where they come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/listing.h"
#include "data/mask.h"

namespace assay {

/// What is known of an image once it was read, before it is resized.
struct ImageFacts {
  ImageSize size;  ///< upright
  int channels = 0;
  int bits = 8;                           ///< a value of the file: 8 or 16
  int max_value = 0;                      ///< the largest colour value of a file of 16 bits
  uint64_t hash = 0;                      ///< of size and pixels: equal images have equal hashes
  bool two_valued = false;                ///< nothing but black and white, as a mask
  std::optional<MaskCoverage> mask = {};  ///< where a mask was read
  bool mask_vanishes = false;             ///< it marks no pixel at the size of the model
};

/// An image and, where there is one, the mask of its defect: 1 channel, same size, 255 = defect.
struct LoadedImage {
  Image image;
  std::optional<Image> mask;
  ImageFacts facts = {};  ///< filled by load()
};

/// One image of a data set, not yet read.
struct Sample {
  std::string path;             ///< its name within the class: "test/broken_large/000.png"
  std::filesystem::path file;   ///< empty where the image is drawn
  bool defective = false;       ///< the label, decided where the sample is made and nowhere else
  std::string defect = "good";  ///< of a good sample and of no other; else the defect's folder
  std::vector<std::filesystem::path> masks;  ///< files of the mask, which is their union
  std::function<LoadedImage()> draw;         ///< makes the image where there is no file
};

struct LoadOptions {
  bool masks = true;   ///< read the mask too
  int bit_depth = 16;  ///< DecodeOptions::bit_depth
};
/// Reads or draws a sample. The mask is 0 or 255, of the image's size. DataError for a broken
/// file, a mask that cannot be understood (mask.h) or has another size than its image, one of a
/// defect that marks nothing, and one of a good image that marks something.
LoadedImage load(const Sample& sample, const LoadOptions& options = {});
/// The image alone.
Image load_image(const Sample& sample);
/// True when load() gives a mask.
bool has_mask(const Sample& sample);

/// One object class. Samples are sorted by path.
struct Dataset {
  std::string name;                ///< of the class
  std::string origin;              ///< builtin | mvtec | folder
  std::vector<Sample> train_good;  ///< never empty
  std::vector<Sample> test;        ///< empty only where a class in MVTec's layout has no test/
  /// The test's good images are drawn from those of the training, so a run's split.json says which
  /// they are: those that it does not name.
  bool draws_test = false;
  FileAccount files = {};  ///< what was found on disk; empty for drawn images
  std::vector<std::string> notes =
      {};                  ///< what is worth knowing of how it was read, a sentence each
  bool has_masks() const;  ///< every defective test image has one
};

/// Train and test images together, for the supervised model: train/good, then test.
std::vector<Sample> pooled(const Dataset& data);

/// What follows --data: the word "builtin", or a folder in MVTec's layout. `size` and `seed` are
/// those of the builtin images.
Dataset open_dataset(const std::string& data, const std::string& object_class, int size = 256,
                     uint64_t seed = 0);
/// The classes that open_dataset knows there, sorted.
std::vector<std::string> list_classes(const std::string& data);

}  // namespace assay
