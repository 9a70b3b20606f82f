// Data sets: the list of images, their labels and masks, and how to load one.
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

/// Facts about an image as read, before it is resized.
struct ImageFacts {
  ImageSize size;  ///< after the Exif orientation
  int channels = 0;
  int bits = 8;                           ///< bits per value in the file: 8 or 16
  int max_value = 0;                      ///< the largest colour value of a file of 16 bits
  uint64_t hash = 0;                      ///< of size and pixels: equal images have equal hashes
  bool two_valued = false;                ///< only black and white pixels, like a mask
  std::optional<MaskCoverage> mask = {};  ///< set if a mask was read
  bool mask_vanishes = false;             ///< the mask marks no pixel at the size of the model
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
  std::filesystem::path file;   ///< empty for a painted image
  bool defective = false;       ///< the label; set only where the sample is created
  std::string defect = "good";  ///< "good" exactly for good samples, else the defect's folder
  std::vector<std::filesystem::path> masks;  ///< mask files; the mask is their union
  std::function<LoadedImage()> draw;         ///< paints the image if there is no file
};

struct LoadOptions {
  bool masks = true;   ///< read the mask too
  int bit_depth = 16;  ///< DecodeOptions::bit_depth
};
/// Reads or paints a sample. The mask is 0 or 255, of the image's size. DataError for
/// - a broken file,
/// - a mask that mask_of() refuses, or of another size than its image,
/// - a mask of a defective image that marks nothing, or of a good image that marks something.
LoadedImage load(const Sample& sample, const LoadOptions& options = {});
/// The image alone.
Image load_image(const Sample& sample);
/// Whether load() gives a mask.
bool has_mask(const Sample& sample);

/// One object class. Samples are sorted by path.
struct Dataset {
  std::string name;                ///< of the class
  std::string origin;              ///< builtin | mvtec | folder
  std::vector<Sample> train_good;  ///< never empty
  std::vector<Sample> test;        ///< empty only for a class of MVTec's layout without test/
  /// Whether the test's good images are drawn from the training's, so that only a run's split.json
  /// tells them apart: it does not name them.
  bool draws_test = false;
  FileCounts files = {};                ///< counts of files on disk; empty for painted images
  std::vector<std::string> notes = {};  ///< on how the data set was read, one sentence each
  bool has_masks() const;               ///< every defective test image has one
};

/// Train and test images together, for the supervised model: train/good, then test.
std::vector<Sample> pooled(const Dataset& data);

/// `data` is the value of --data: "builtin", or a folder in MVTec's layout. `size` and `seed` are
/// those of the built-in images.
Dataset open_dataset(const std::string& data, const std::string& object_class, int size = 256,
                     uint64_t seed = 0);
/// The classes of `data`, sorted.
std::vector<std::string> list_classes(const std::string& data);

}  // namespace assay
