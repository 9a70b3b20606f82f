#include "models/run/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <new>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"
#include "models/run/csv.h"
#include "models/run/reader.h"

namespace assay {

namespace fs = std::filesystem;

void check_no_link(const fs::path& folder) {
  std::error_code ignored;
  ASSAY_CHECK(!fs::is_symlink(fs::symlink_status(folder, ignored)),
              "{}: is a symbolic link, through which nothing is written; remove it",
              folder.string());
}

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
  if (is_inner_) check_no_link(root_);
  // A link in place of the figures is replaced, as a link in place of a file is.
  if (fs::is_symlink(fs::symlink_status(figures(), error))) fs::remove(figures(), error);
  fs::create_directories(figures(), error);
  if (error) cannot_write(root_, error.value());
}

void RunFolder::begin(Start start) const {
  if (start == Start::force) clear();
  create();
}

std::vector<fs::path> RunFolder::files() const {
  return {metrics(),     config(),      split(),   noise(),     history(),
          scores(),      good_scores(), model(),   latents(),   memorisation(),
          noise_sweep(), checkpoint(),  machine(), threshold(), generated()};
}

std::vector<RunFolder> RunFolder::inner() const {
  std::error_code ignored;
  std::vector<RunFolder> found;
  for (int i = 0; fs::exists(fold(i).root(), ignored); ++i) found.push_back(fold(i));
  for (const char* label : {"good", "defective"})
    if (fs::exists(generator(label).root(), ignored)) found.push_back(generator(label));
  std::erase_if(found, [&](const RunFolder& folder) {
    return fs::is_symlink(fs::symlink_status(folder.root(), ignored));
  });
  return found;
}

void RunFolder::remove_leftovers() const {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  std::vector<fs::path> names = files();
  names.push_back(evaluation());
  for (const auto& entry : fs::directory_iterator(root_, ignored))
    for (const fs::path& file : names)
      if (const std::string name = entry.path().filename().string();
          name.starts_with(file.filename().string() + ".") && name.ends_with(".tmp"))
        leftovers.push_back(entry.path());
  if (!fs::is_symlink(fs::symlink_status(figures(), ignored)))
    for (const auto& entry : fs::directory_iterator(figures(), ignored))
      if (const std::string name = entry.path().filename().string();
          name.find(".png.") != std::string::npos && name.ends_with(".tmp"))
        leftovers.push_back(entry.path());
  for (const fs::path& path : leftovers) fs::remove_all(path, ignored);
  for (const RunFolder& folder : inner()) folder.remove_leftovers();
}

void RunFolder::recover() const {
  remove_leftovers();
  std::error_code ignored;
  if (fs::is_directory(fs::symlink_status(evaluation(), ignored))) take_evaluation();
}

std::string RunFolder::figure_name(const std::string& defect, const fs::path& image) {
  return defect + "_" + image.stem().string() + ".png";
}

std::vector<std::string> RunFolder::scored_figures() const {
  std::vector<std::string> names;
  try {
    const CsvTable scores = read_csv(this->scores());
    const size_t defect = scores.column("defect"), path = scores.column("path");
    for (const auto& row : scores.rows) {
      const std::string name = figure_name(row[defect], row[path]);
      if (name.find('/') != std::string::npos) continue;  // nothing of ours is called so
      names.push_back(name);
      names.push_back(std::string(kNoisePrefix) + name);
      names.push_back(std::string(kNearestPrefix) + name);
    }
    for (const fs::path& strip : {misses(), false_alarms()})
      names.push_back(strip.filename().string());
  } catch (const CheckpointError&) {  // it speaks of none
  }
  return names;
}

void RunFolder::take_evaluation() const {
  std::error_code ignored;
  if (fs::is_symlink(fs::symlink_status(figures(), ignored))) fs::remove(figures(), ignored);
  create();
  const RunFolder staged(evaluation());
  // In this order, which a second call can go on with: scores.csv says which figures are old.
  fs::remove(noise_sweep(), ignored);  // it belongs to the evaluation that goes
  if (is_there(staged.scores()))
    for (const std::string& name : scored_figures())
      if (!is_there(staged.figures() / name)) fs::remove(figures() / name, ignored);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(staged.figures(), ignored))
    files.push_back(fs::path("figures") / entry.path().filename());
  for (const fs::path& file : {staged.noise(), staged.threshold(), staged.good_scores(),
                               staged.memorisation(), staged.scores(), staged.metrics()})
    files.push_back(file.filename());
  for (const fs::path& file : files) {
    std::error_code error;
    if (!is_there(evaluation() / file)) continue;
    fs::rename(evaluation() / file, root_ / file, error);
    if (error) cannot_write(root_ / file, error.value());
  }
  // Not remove_all: what is left would be somebody else's.
  fs::remove(staged.figures(), ignored);
  fs::remove(evaluation(), ignored);
}

void RunFolder::check_names(const std::vector<std::string>& figures) const {
  const auto check = [&](const fs::path& file) {
    const fs::path whole = AtomicFile::temporary_of(fs::absolute(file));
    const size_t name = whole.filename().string().size(), path = whole.string().size();
    ASSAY_CHECK(name <= NAME_MAX && path < PATH_MAX,
                "{}: the name is too long: while it is written it has {} bytes, and its path {}; "
                "at most {} and {} can be; shorten it",
                file.string(), name, path, NAME_MAX, PATH_MAX - 1);
  };
  for (const fs::path& file : files())
    check(fold(99).generator("defective").root() / file.filename());
  for (const std::string& name : figures)
    check(AtomicFile::temporary_of(evaluation()) / "figures" /
          (std::string(kNearestPrefix) + name));
}

void RunFolder::clear() const {
  std::error_code ignored;
  std::vector<fs::path> figures = {"real.png", "nearest.png"};
  for (const std::string& name : scored_figures()) figures.emplace_back(name);
  for (const auto& entry : fs::directory_iterator(this->figures(), ignored))
    if (entry.path().filename().string().starts_with("step_"))
      figures.push_back(entry.path().filename());
  if (fs::is_symlink(fs::symlink_status(this->figures(), ignored)))
    fs::remove(this->figures(), ignored);
  for (const fs::path& name : figures) fs::remove(this->figures() / name, ignored);
  fs::remove(this->figures(), ignored);  // where it is empty now
  for (const fs::path& file : files()) fs::remove(file, ignored);
  fs::remove_all(evaluation(), ignored);
  for (const RunFolder& folder : inner()) {
    folder.clear();
    if (fs::is_empty(folder.root(), ignored)) fs::remove(folder.root(), ignored);
  }
}

StagedFiles::StagedFiles(const RunFolder& run)
    : run_(run), staged_(AtomicFile::temporary_of(run.evaluation())) {
  std::error_code ignored;
  for (const fs::path& file : {run.metrics(), run.scores(), run.noise(), run.memorisation(),
                               run.threshold(), run.good_scores()})
    ASSAY_CHECK_AS(CheckpointError, !fs::is_directory(fs::symlink_status(file, ignored)),
                   "{}: is a folder where a file of the run was due; remove it", file.string());
  fs::remove_all(staged_.root(), ignored);
  staged_.create();
  if (is_there(run.noise())) write_file(staged_.noise(), read_run_file(run.noise()));
}

StagedFiles::~StagedFiles() {
  try {
    std::error_code ignored;
    fs::remove_all(staged_.root(), ignored);
  } catch (const std::bad_alloc&) {  // the next evaluation removes what is left
  }
}

void StagedFiles::commit() {
  std::error_code error;
  fs::rename(staged_.root(), run_.evaluation(), error);
  if (error) cannot_write(run_.evaluation(), error.value());
  run_.take_evaluation();
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
  if (lock_ < 0) cannot_write(root, errno);
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int reason = errno;
  if (reason == ENOSYS || reason == EOPNOTSUPP || reason == EINVAL) return;
  ::close(lock_);
  if (reason != EWOULDBLOCK)
    throw Error(fmt::format("{}: cannot be locked: {}; try again later", root.string(),
                            std::strerror(reason)));
  throw UsageError(
      fmt::format("{}: another process is writing this run; wait for it or choose another --out",
                  root.string()));
}

RunClaim::~RunClaim() {
  // Removes the empty ones, and needs no memory.
  for (auto path = made_.rbegin(); path != made_.rend(); ++path) ::rmdir(path->c_str());
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace assay
