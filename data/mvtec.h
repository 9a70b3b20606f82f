// Data sets on disk: MVTec's layout, and folders of one's own images. Files are found by listing.h;
// Dataset::files accounts for each.
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
/// ground_truth/<defect>/NNN_mask.png, with whatever folders below these: Sample::path and the name
/// of a mask follow them. A missing ground_truth and files that are no images are normal; without
/// test/ and ground_truth/, Dataset::test is empty.
/// UsageError for an unknown class; the message lists those there are. DataError that names the
/// path for: no such root, no train/good, a folder without images in train/good or test, a mask
/// without its image, with two or beside another. Reads no image.
Dataset open_mvtec(const std::filesystem::path& root, const std::string& object_class);

/// The same without stopping: what open_mvtec would refuse is added to `problems`, one sentence
/// each, and what is readable is returned.
Dataset survey_mvtec(const std::filesystem::path& root, const std::string& object_class,
                     std::vector<std::string>& problems);

/// Images of one's own.
struct FolderOptions {
  std::filesystem::path good, bad = {};             ///< `bad` is empty where all images are good
  std::optional<std::filesystem::path> masks = {};  ///< NAME.png or NAME_mask.png for bad/NAME.*
  uint64_t seed = 0;
};
/// hold_out_test() says which of the good images are tested; all bad ones are. Paths are
/// "good/NAME", "bad/NAME" and "bad/SUBFOLDER/NAME"; a subfolder of `bad` is the name of a defect,
/// whatever it is called. A folder given for one purpose that lies inside another serves its own
/// alone. DataError as for open_mvtec; `good` needs 2 images.
Dataset open_folder(const FolderOptions& options);

}  // namespace assay
