#include "data/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "data/image_format.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/read_file.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr size_t kExamples = 3;
constexpr std::string_view kMaskEnding = "_mask";

struct Kind {
  FileKind kind;
  std::string reason;
};

/// Decides by the name, else by the first bytes. Error as check_not_refused().
Kind kind_of(const fs::path& file, const fs::file_status& status) {
  const bool named = is_image_name(file);
  // A broken link with the name of an image counts as one: reading it is then the error.
  if (!fs::exists(status))
    return named ? Kind{FileKind::image, ""} : Kind{FileKind::other, "link that leads nowhere"};
  if (!fs::is_regular_file(status)) return {FileKind::other, "no regular file"};
  if (named) return {FileKind::image, ""};
  const FileContent start = read_start(file, kFormatBytes);
  if (!start.failure.empty()) return {FileKind::other, start.failure};
  const std::string_view format =
      image_format({reinterpret_cast<const uint8_t*>(start.bytes.data()), start.bytes.size()});
  const std::string_view expected = foreign_format_of_name(file);
  if (format.empty() && expected.empty()) return {FileKind::other, "no image"};
  if (format.empty()) return {FileKind::unsupported, fmt::format("{}", expected)};
  if (!is_readable_format(format)) return {FileKind::unsupported, fmt::format("{}", format)};
  if (!expected.empty()) return {FileKind::image, ""};  // a PNG named .tif is read as what it is
  return {FileKind::unsupported, fmt::format("{} whose name does not end as an image's", format)};
}

class Walk {
 public:
  Walk(const fs::path& folder, const std::function<void(ListedFile)>& f,
       std::span<const fs::path> excluded)
      : root_(canonical(folder)), f_(f), excluded_(excluded) {
    entered_.insert(root_);
  }

  void enter(const fs::path& folder, const std::string& prefix) {
    std::error_code error;
    std::vector<std::string> names;
    for (const fs::path& entry : list_folder(folder, error))
      names.push_back(entry.filename().string());
    if (error) {
      ASSAY_CHECK_AS(DataError, !prefix.empty(), "{}: cannot be listed: {}", folder.string(),
                     error.message());
      f_({folder, prefix.substr(0, prefix.size() - 1), FileKind::failed,
          fmt::format("cannot be listed: {}", error.message())});
      return;
    }
    std::sort(names.begin(), names.end());
    std::set<std::string> stems;  // of the images, to find the masks among them
    for (const std::string& name : names)
      if (is_image_name(name)) stems.insert(fs::path(name).stem().string());
    for (const std::string& name : names) visit(folder / name, prefix + name, stems);
  }

 private:
  static fs::path canonical(const fs::path& path) {
    std::error_code error;
    fs::path found = fs::canonical(path, error);
    return error ? path : found;
  }

  void visit(const fs::path& path, const std::string& name, const std::set<std::string>& stems) {
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    if (path.filename().string().front() == '.') {
      f_({path, name, FileKind::other, "hidden"});
    } else if (fs::is_directory(status)) {
      visit_folder(path, name);
    } else {
      Kind kind = kind_of(path, status);
      const std::string stem = path.stem().string();
      if (kind.kind == FileKind::image && stem.ends_with(kMaskEnding) &&
          stems.contains(stem.substr(0, stem.size() - kMaskEnding.size())))
        kind = {FileKind::mask, "mask of the image beside it"};
      f_({path, name, kind.kind, std::move(kind.reason)});
    }
  }

  void visit_folder(const fs::path& path, const std::string& name) {
    std::error_code ignored;
    const fs::path target = canonical(path);
    if (std::find(excluded_.begin(), excluded_.end(), target) != excluded_.end()) return;
    if (fs::is_symlink(fs::symlink_status(path, ignored))) {
      const auto inside = std::mismatch(root_.begin(), root_.end(), target.begin(), target.end());
      // A folder that holds this one would lead around in a circle.
      const auto around = std::mismatch(target.begin(), target.end(), root_.begin(), root_.end());
      if (inside.first == root_.end() || around.first == target.end()) {
        f_({path, name, FileKind::other, "link to a folder that is read anyway"});
        return;
      }
    }
    if (!entered_.insert(target).second) {
      f_({path, name, FileKind::other, "link to a folder that is read anyway"});
      return;
    }
    enter(path, name + "/");
  }

  fs::path root_;
  const std::function<void(ListedFile)>& f_;
  std::span<const fs::path> excluded_;
  std::set<fs::path> entered_;
};

}  // namespace

ListedFile list_file(const fs::path& file) {
  std::error_code ignored;
  Kind kind = kind_of(file, fs::status(file, ignored));
  return {file, file.filename().string(), kind.kind, std::move(kind.reason)};
}

void walk_files(const fs::path& folder, const std::function<void(ListedFile)>& f,
                std::span<const fs::path> excluded) {
  Walk(folder, f, excluded).enter(folder, "");
}

void FileCounts::add_ignored(const std::string& name, const std::string& reason) {
  Group& group = ignored_[reason];
  ++group.count;
  if (group.examples.size() < kExamples) group.examples.push_back(name);
}

int64_t FileCounts::ignored() const {
  int64_t sum = 0;
  for (const auto& [reason, group] : ignored_) sum += group.count;
  return sum;
}

std::string FileCounts::reasons() const {
  std::string text;
  for (const auto& [reason, group] : ignored_) {
    if (!text.empty()) text += "; ";
    text += fmt::format("{} {} ({}", reason, group.count, fmt::join(group.examples, ", "));
    if (group.count > static_cast<int64_t>(group.examples.size())) text += ", ...";
    text += ")";
  }
  return text;
}

std::string FileCounts::sentence() const {
  std::string text = fmt::format("{}{}", images_, images_ == 1 ? " image" : " images");
  if (masks_ > 0) text += fmt::format(" and {}{}", masks_, masks_ == 1 ? " mask" : " masks");
  text += " read, ";
  const int64_t n = ignored();
  if (n == 0) return text + "no file ignored";
  return text +
         fmt::format("{}{}{}", n, n == 1 ? " file ignored: " : " files ignored: ", reasons());
}

}  // namespace assay
