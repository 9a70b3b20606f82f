#include "models/run/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"

namespace assay {

namespace fs = std::filesystem;

bool RunFolder::empty() const {
  std::error_code error;
  if (!fs::exists(root_, error)) return true;
  if (!fs::is_directory(root_, error)) return false;
  // Temporary files and empty folders of a run killed before config.json was written do not count.
  for (const auto& entry : fs::recursive_directory_iterator(root_, error))
    if (!entry.is_directory(error) && entry.path().extension() != ".tmp") return false;
  return true;
}

void RunFolder::create() const {
  std::error_code error;
  fs::create_directories(figures(), error);
  if (error) cannot_write(root_, error.value());
}

void RunFolder::begin(Start start) const {
  if (start == Start::force) clear();
  create();
}

std::vector<fs::path> RunFolder::files() const {
  return {metrics(), config(),  split(),        noise(),      history(), scores(),   good_scores(),
          model(),   latents(), memorisation(), checkpoint(), machine(), threshold()};
}

void RunFolder::remove_leftovers() const {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(root_, ignored))
    for (const fs::path& file : files())
      if (const std::string name = entry.path().filename().string();
          name.starts_with(file.filename().string() + ".") && name.ends_with(".tmp"))
        leftovers.push_back(entry.path());
  for (const fs::path& path : leftovers) fs::remove(path, ignored);
  for (int i = 0; fs::exists(fold(i).root(), ignored); ++i) fold(i).remove_leftovers();
}

void RunFolder::clear() const {
  std::error_code ignored;
  for (const fs::path& file : files()) fs::remove(file, ignored);
  fs::remove_all(figures(), ignored);
  for (int i = 0; fs::exists(fold(i).root(), ignored); ++i) {
    fold(i).clear();
    if (fs::is_empty(fold(i).root(), ignored)) fs::remove(fold(i).root(), ignored);
  }
}

RunClaim::RunClaim(const RunFolder& folder) {
  const fs::path& root = folder.root();
  std::error_code error;
  for (fs::path path = root; !path.empty() && !fs::exists(path, error); path = path.parent_path())
    made_.insert(made_.begin(), path);
  fs::create_directories(root, error);
  if (error) cannot_write(root, error.value());
  // The kernel releases the lock when the process ends in any way. On file systems without locks
  // there is none.
  lock_ = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(lock_);
  throw UsageError(
      fmt::format("{}: another process is writing this run; wait for it or choose another --out",
                  root.string()));
}

RunClaim::~RunClaim() {
  std::error_code ignored;
  for (auto path = made_.rbegin(); path != made_.rend(); ++path)
    if (fs::is_empty(*path, ignored)) fs::remove(*path, ignored);
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace assay
