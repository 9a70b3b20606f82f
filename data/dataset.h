// Which pictures there are, which of them are good, and where they come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"

namespace assay {

/// A picture and, where there is one, the mask of its defect: 1 channel, same size, 255 = defect.
struct Picture {
  Image image;
  std::optional<Image> mask;
};

/// One picture of a data set, not yet read.
struct Sample {
  std::string path;            ///< its name within the class: "test/broken_large/000.png"
  std::filesystem::path file;  ///< empty where the picture is drawn
  bool defective = false;
  std::string defect = "good";                ///< "good", or the name of the defect's folder
  std::optional<std::filesystem::path> mask;  ///< file of the mask
  std::function<Picture()> draw;              ///< makes the picture where there is no file
};

/// Reads or draws a sample. The mask is 0 or 255, of the picture's size. DataError for a broken
/// file, or a mask of another size than its picture.
Picture load(const Sample& sample);
/// The picture alone.
Image load_image(const Sample& sample);
/// True when load() gives a mask.
bool has_mask(const Sample& sample);

/// One object class. Samples are sorted by path.
struct Dataset {
  std::string name;                ///< of the class
  std::string origin;              ///< builtin | mvtec | folder
  std::vector<Sample> train_good;  ///< never empty
  std::vector<Sample> test;        ///< never empty
  bool has_masks() const;          ///< every defective test picture has one
};

/// Train and test pictures together, for the supervised model: train/good, then test.
std::vector<Sample> pooled(const Dataset& data);

/// What follows --data: the word "builtin", or a folder in MVTec's layout. `size` and `seed` are
/// those of the builtin pictures.
Dataset open_dataset(const std::string& data, const std::string& object_class, int size = 256,
                     uint64_t seed = 0);
/// The classes that open_dataset knows there, sorted.
std::vector<std::string> list_classes(const std::string& data);

}  // namespace assay
