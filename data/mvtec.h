// Data sets on disk: MVTec's layout, and folders of good and bad images. Dataset::files counts
// every file that was found.
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

/// Lists root/object_class: train/good, test/good, test/<defect> and
/// ground_truth/<defect>/NNN_mask.png, each with subfolders, which are part of Sample::path and of
/// the mask's name. ground_truth may be missing; without it and test/,
/// Dataset::test is empty. Other files are ignored. Reads no image.
/// UsageError for an unknown class; the message lists the classes. DataError that names the path
/// for: no such root, no train/good, no image in train/good or in a folder of test, a mask without
/// an image, with two candidate images, or of an image that has a mask already.
Dataset open_mvtec(const std::filesystem::path& root, const std::string& object_class);

/// As open_mvtec, but adds what that would refuse to `problems`, one sentence each, and goes on.
Dataset survey_mvtec(const std::filesystem::path& root, const std::string& object_class,
                     std::vector<std::string>& problems);

struct FolderOptions {
  std::filesystem::path good, bad = {};             ///< `bad` is empty where all images are good
  std::optional<std::filesystem::path> masks = {};  ///< NAME.png or NAME_mask.png for bad/NAME.*
  uint64_t seed = 0;
};
/// hold_out_test() draws the good images to test; all bad ones are tested. Paths are "good/NAME",
/// "bad/NAME" and "bad/SUBFOLDER/NAME"; a subfolder of `bad` names a defect. If one of the folders
/// lies inside another, its files belong to the inner one only. DataError as for open_mvtec, or if
/// `good` has fewer than 2 images.
Dataset open_folder(const FolderOptions& options);

}  // namespace assay
