#include "kernels/runtime/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <set>
#include <utility>

#include "kernels/runtime/error.h"
#include "kernels/runtime/read_file.h"

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

std::string host_name() {
  char host[64] = "";
  ::gethostname(host, sizeof host - 1);
  return host;
}

/// Whether a file is called as temporary_of() calls those of this machine: "x.json.host-123.tmp".
bool is_temporary(std::string_view name, const std::string& host) {
  if (!name.ends_with(".tmp")) return false;
  name.remove_suffix(4);
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  return digits < name.size() && name.substr(0, digits).ends_with("." + host + "-");
}

/// Removes temporary files in `folder` whose writers are gone: their locks, which end with the
/// process, can be had. Those of the last minute stay, as a writer opens before it locks.
void sweep(const fs::path& folder) {
  const std::string host = host_name();
  std::error_code ignored;
  for (const fs::path& path : list_folder(folder, ignored)) {
    if (!is_temporary(path.filename().string(), host)) continue;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat about {};
    if (descriptor < 0) continue;
    const bool is_old = ::fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode) &&
                        ::time(nullptr) - about.st_mtime > 60;
    if (is_old && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(descriptor);
  }
}

/// Sweeps a folder when this process first writes into it.
void sweep_once(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> swept;
  {
    const std::lock_guard lock(mutex);
    if (!swept.insert(folder).second) return;
  }
  sweep(folder);
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

}  // namespace

void cannot_write(const fs::path& file, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT;
  throw Error(fmt::format("{}: cannot be written: {}{}", file.string(), std::strerror(reason),
                          full ? "; make room and try again" : "; choose another place"));
}

fs::path AtomicFile::temporary_of(const fs::path& path) {
  fs::path temporary = path;
  temporary += fmt::format(".{}-{}.tmp", host_name(), ::getpid());
  return temporary;
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path), temporary_(temporary_of(path)) {
  sweep_once(folder_of(path));
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail();
  ::flock(descriptor_, LOCK_EX | LOCK_NB);  // tells sweep() that the writer lives
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
  if (durable) sync_folder(folder_of(path_));
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
