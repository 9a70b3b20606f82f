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

/// The classes of a folder in MVTec's layout: its subfolders that hold train/, sorted. DataError
/// when the folder is not there or has none.
std::vector<std::string> list_mvtec_classes(const std::filesystem::path& root);

/// Reads root/object_class: train/good, test/good, test/<defect>,
/// ground_truth/<defect>/NNN_mask.png. A missing ground_truth and files that are no pictures are
/// normal. DataError that names the path for: no such root or class (the message lists the classes
/// there are), no train/good, no pictures in train/good or in test, a mask without its picture.
/// Reads no picture.
Dataset open_mvtec(const std::filesystem::path& root, const std::string& object_class);

/// Pictures of one's own.
struct FolderOptions {
  std::filesystem::path good, bad;
  std::optional<std::filesystem::path> masks;  ///< NAME.png or NAME_mask.png for bad/NAME.*
  uint64_t seed = 0;
};
/// One fifth of the good pictures (at least 1), drawn from the seed, is held out for the test; all
/// bad ones are tested. Paths are "good/NAME", "bad/NAME" and "bad/SUBFOLDER/NAME"; a subfolder of
/// `bad` is the name of a defect. DataError as for open_mvtec; `good` needs 2 pictures.
Dataset open_folder(const FolderOptions& options);

/// What follows --data: the word "builtin", or a folder in MVTec's layout. `size` and `seed` are
/// those of the builtin pictures.
Dataset open_dataset(const std::string& data, const std::string& object_class, int size = 256,
                     uint64_t seed = 0);
std::vector<std::string> list_classes(const std::string& data);

}  // namespace assay
