#include "kernels/runtime/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

/// Makes a new name in the folder survive a power failure. Does nothing for folders that cannot be
/// synchronised (some network file systems).
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

void cannot_write(const fs::path& file, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT;
  throw Error(fmt::format("{}: cannot be written: {}{}", file.string(), std::strerror(reason),
                          full ? "; make room and try again" : "; choose another place"));
}

fs::path AtomicFile::temporary_of(const fs::path& path) {
  char host[64] = "";
  ::gethostname(host, sizeof host - 1);
  fs::path temporary = path;
  temporary += fmt::format(".{}-{}.tmp", host, ::getpid());
  return temporary;
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path), temporary_(temporary_of(path)) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!done_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(descriptor_, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    at += n;
    bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit(bool durable) {
  if (durable && ::fsync(descriptor_) != 0) fail();
  if (::close(std::exchange(descriptor_, -1)) != 0) fail();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  done_ = true;
  if (durable) sync_folder(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void AtomicFile::fail() const {
  cannot_write(path_, errno);
}

void write_file(const fs::path& file, std::string_view content) {
  AtomicFile out(file);
  out.write(content.data(), content.size());
  out.commit();
}

}  // namespace assay
