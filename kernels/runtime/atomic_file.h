// Writing a file as a whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace assay {

/// A file that appears under its own name, in place of an older one, only once it is whole: after a
/// crash at any byte either the old content is there or the new. It is written beside itself, under
/// a name of this process on this machine, so several may write one file at once; the last one
/// wins. Whatever goes wrong is an Error that names the file, the reason and what to do, and leaves
/// nothing.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  /// Gives the file its name. `durable`: content and name are on the disk before this returns, so
  /// that they survive a failure of power too; it takes milliseconds.
  void commit(bool durable = true);

  /// Under which `path` is written by this process until it is whole; ends in ".tmp".
  static std::filesystem::path temporary_of(const std::filesystem::path& path);

 private:
  [[noreturn]] void fail() const;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  bool done_ = false;
};

/// All of a file at once, durably.
void write_file(const std::filesystem::path& file, std::string_view content);

/// Throws the Error that says why `file` or folder cannot be written; `reason` is an errno.
[[noreturn]] void cannot_write(const std::filesystem::path& file, int reason);

}  // namespace assay
