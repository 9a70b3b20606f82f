// Which files of a folder are images. Every file that is not read is counted with a reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace assay {

/// Kind of a file below a folder.
enum class FileKind : uint8_t {
  image,        ///< has the name of an image that can be read; its contents are not checked
  mask,         ///< an image NAME_mask.* beside an image NAME.*: the mask of that image
  unsupported,  ///< an image that cannot be read, or whose name does not say that it is one
  other,        ///< no image, hidden, unreadable, no regular file, or a link that is not followed
  failed,       ///< a folder that cannot be listed
};

struct ListedFile {
  std::filesystem::path file;
  std::string name;  ///< below the folder that was walked, with '/' between its parts
  FileKind kind;
  std::string reason;  ///< why it is not read; empty for images
};

/// Classifies one file without looking at its neighbours, so it is never a mask.
ListedFile list_file(const std::filesystem::path& file);

/// Calls `f` for every file below `folder`, depth first in the order of the names. Links to folders
/// are followed unless they lead to a folder that is walked anyway; no folder is entered twice.
/// Folders in `excluded` (canonical paths) are left out. Holds the names of one folder per level.
/// DataError if `folder` itself cannot be listed; Error where the system lacks descriptors.
void walk_files(const std::filesystem::path& folder, const std::function<void(ListedFile)>& f,
                std::span<const std::filesystem::path> excluded = {});

/// Counts of read and of ignored files with reasons, printed at the end of a command.
class FileCounts {
 public:
  void add_images(int64_t n) { images_ += n; }
  void add_image() { add_images(1); }
  void add_mask() { ++masks_; }
  void add_ignored(const std::string& name, const std::string& reason);

  int64_t images() const { return images_; }
  int64_t masks() const { return masks_; }
  int64_t ignored() const;
  /// "83 images and 63 masks read, 3 files ignored: TIFF 1 (c.tif); no image 2 (a.txt, b.txt)".
  std::string sentence() const;
  /// The part after "ignored: "; empty where every file was read.
  std::string reasons() const;

 private:
  struct Group {
    int64_t count = 0;
    std::vector<std::string> examples;  // the first few names
  };
  int64_t images_ = 0, masks_ = 0;
  std::map<std::string, Group> ignored_;  // by reason
};

}  // namespace assay
