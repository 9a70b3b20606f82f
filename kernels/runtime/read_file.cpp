#include "kernels/runtime/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

struct Descriptor {
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  int number;
};

FileContent refused(std::string failure) {
  return {.bytes = {}, .failure = std::move(failure)};
}

}  // namespace

void check_not_refused(const std::filesystem::path& file, int reason) {
  ASSAY_CHECK(reason != EMFILE && reason != ENFILE && reason != ENOMEM,
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
  // O_NONBLOCK: opening a pipe does not wait for its writer.
  const int flags =
      O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (links == Links::refuse ? O_NOFOLLOW : 0);
  const Descriptor in{::open(file.c_str(), flags)};
  if (in.number < 0) {
    check_not_refused(file, errno);
    if (errno == ENOENT) return refused("there is no such file");
    if (errno == ELOOP && links == Links::refuse)
      return refused("it is a symbolic link, which is not followed; put the file itself there");
    return refused(fmt::format("it cannot be opened: {}", std::strerror(errno)));
  }
  struct stat about {};
  if (::fstat(in.number, &about) != 0) return refused(std::strerror(errno));
  if (S_ISDIR(about.st_mode)) return refused("it is a folder, not a file");
  if (!S_ISREG(about.st_mode)) return refused("it is a pipe or a device, not a file");
  const auto size = static_cast<uint64_t>(about.st_size);
  if (size > max_bytes)
    return refused(fmt::format("it has {} bytes, and at most {} are read", size, max_bytes));
  FileContent content;
  content.bytes.resize(size);
  for (size_t at = 0; at < size;) {
    const ssize_t got = ::read(in.number, content.bytes.data() + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused(fmt::format("it cannot be read: {}", std::strerror(errno)));
    if (got == 0) return refused(fmt::format("only {} of {} bytes could be read", at, size));
    at += static_cast<size_t>(got);
  }
  return content;
}

}  // namespace assay
