// Data sets on disk: MVTec's layout, and folders of one's own pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace assay {

/// The classes of a folder in MVTec's layout: its subfolders that hold train/ or test/, sorted.
/// DataError when the folder is not there or has none.
std::vector<std::string> list_mvtec_classes(const std::filesystem::path& root);

/// Reads root/object_class: train/good, test/good, test/<defect>,
/// ground_truth/<defect>/NNN_mask.png. A missing ground_truth and files that are no pictures are
/// normal. UsageError for an unknown class; the message lists those there are. DataError that names
/// the path for: no such root, no train/good, a folder without pictures in train/good or test, a
/// mask without its picture. Reads no picture.
Dataset open_mvtec(const std::filesystem::path& root, const std::string& object_class);

/// The same without stopping: what open_mvtec would refuse is added to `problems`, one sentence
/// each, and what is readable is returned.
Dataset survey_mvtec(const std::filesystem::path& root, const std::string& object_class,
                     std::vector<std::string>& problems);

/// Files in the folders of a class's pictures that are none by their names, such as
/// "train/good/notes.txt": nothing reads them. Hidden ones are not counted.
std::vector<std::string> list_other_files(const std::filesystem::path& root,
                                          const std::string& object_class);

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

}  // namespace assay
