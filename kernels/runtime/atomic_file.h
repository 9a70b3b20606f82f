// Files that are either written completely or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace assay {

/// Writes a temporary file in the same folder and renames it at the end, so that after a crash the
/// file has either its old content or the new. The temporary name contains the machine and the
/// process, so several processes may write one file at once; the last one wins. A failure throws
/// Error, which names the file, the reason and what to do, and leaves no temporary file.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  /// Renames the temporary file. With `durable` content and name are on the disk before this
  /// returns, so that they survive a power failure; it takes milliseconds.
  void commit(bool durable = true);

  /// The temporary name that this process uses for `path`; ends in ".tmp".
  static std::filesystem::path temporary_of(const std::filesystem::path& path);

 private:
  [[noreturn]] void fail() const;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  bool done_ = false;
};

/// Writes a file with this content, durably.
void write_file(const std::filesystem::path& file, std::string_view content);

/// Throws the Error that says why `file` or folder cannot be written; `reason` is an errno.
[[noreturn]] void cannot_write(const std::filesystem::path& file, int reason);

}  // namespace assay
