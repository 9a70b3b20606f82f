#include "kernels/runtime/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }

 private:
  int number_;
};

FileContent refused(std::string failure) {
  return {.bytes = {}, .failure = std::move(failure)};
}

/// Opens a regular file and stores its size; else the failure says why not.
class RegularFile {
 public:
  RegularFile(const std::filesystem::path& file, Links links)
      // O_NONBLOCK: opening a pipe does not wait for its writer.
      : in_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                                     (links == Links::refuse ? O_NOFOLLOW : 0))) {
    if (in_.number() < 0) {
      check_not_refused(file, errno);
      failure_ = errno == ENOENT ? "there is no such file"
                 : errno == ELOOP && links == Links::refuse
                     ? "it is a symbolic link, which is not followed; put the file itself there"
                     : fmt::format("it cannot be opened: {}", std::strerror(errno));
      return;
    }
    struct stat about {};
    if (::fstat(in_.number(), &about) != 0)
      failure_ = std::strerror(errno);
    else if (S_ISDIR(about.st_mode))
      failure_ = "it is a folder, not a file";
    else if (!S_ISREG(about.st_mode))
      failure_ = "it is a pipe or a device, not a file";
    size_ = static_cast<uint64_t>(about.st_size);
  }

  const std::string& failure() const { return failure_; }
  uint64_t size() const { return size_; }

  /// The first `size` bytes; a failure if there are fewer.
  FileContent read(uint64_t size) const {
    FileContent content;
    content.bytes.resize(size);
    for (size_t at = 0; at < size;) {
      const ssize_t got = ::read(in_.number(), content.bytes.data() + at, size - at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return refused(fmt::format("it cannot be read: {}", std::strerror(errno)));
      if (got == 0) return refused(fmt::format("only {} of {} bytes could be read", at, size));
      at += static_cast<size_t>(got);
    }
    return content;
  }

 private:
  Descriptor in_;
  uint64_t size_ = 0;
  std::string failure_;
};

}  // namespace

void check_not_refused(const std::filesystem::path& file, int reason) {
  ASSAY_CHECK_AS(SystemError, reason != EMFILE && reason != ENFILE && reason != ENOMEM,
                 "{}: the system refuses to open it: {}; close other programs or raise the limit",
                 file.string(), std::strerror(reason));
}

std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder,
                                               std::error_code& error) {
  std::vector<std::filesystem::path> entries;
  error.clear();
  try {
    // Not increment(error): it is noexcept and ends the program where memory is short.
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      entries.push_back(entry.path());
  } catch (const std::filesystem::filesystem_error& failure) {
    error = failure.code();
    check_not_refused(folder, error.value());
  }
  return entries;
}

FileContent read_whole_file(const std::filesystem::path& file, uint64_t max_bytes, Links links) {
  const RegularFile in(file, links);
  if (!in.failure().empty()) return refused(in.failure());
  if (in.size() > max_bytes)
    return refused(fmt::format("it has {} bytes, and at most {} are read", in.size(), max_bytes));
  return in.read(in.size());
}

FileContent read_start(const std::filesystem::path& file, uint64_t max_bytes) {
  const RegularFile in(file, Links::follow);
  if (!in.failure().empty()) return refused(in.failure());
  return in.read(std::min(in.size(), max_bytes));
}

}  // namespace assay
