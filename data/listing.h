// Which files of a folder are images, and what becomes of the others: nothing is passed over
// without a word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace assay {

/// What a file below a folder is.
enum class FileKind : uint8_t {
  image,        ///< named as an image that can be read; reading it says whether it is one
  mask,         ///< an image NAME_mask.* beside an image NAME.*: the mask of that image
  unsupported,  ///< an image that cannot be read, or whose name does not say that it is one
  other,        ///< no image, hidden, no regular file, or a link that is not followed
  failed,       ///< a folder that cannot be listed
};

struct ListedFile {
  std::filesystem::path file;
  std::string name;  ///< below the folder that was walked, with '/' between its parts
  FileKind kind;
  std::string reason;  ///< why it is not read; empty for images
};

/// What one file is, by itself.
ListedFile list_file(const std::filesystem::path& file);

/// Calls `f` for every file below `folder`, folder by folder in the order of the names. Links to
/// folders are followed, but no folder is entered twice and none that lies inside `folder` anyway.
/// A folder of `excluded` (given as canonical paths) is left out. Holds the names of one folder at
/// a time. DataError when `folder` itself cannot be listed.
void walk_files(const std::filesystem::path& folder, const std::function<void(ListedFile)>& f,
                std::span<const std::filesystem::path> excluded = {});

/// How many files were read, how many were not, and why: the counts that a verb ends with.
class FileAccount {
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
