#include "models/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/runtime/error.h"
#include "models/csv.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void cannot_write(const fs::path& file, int error) {
  throw Error(
      str("cannot write ", file.string(), ": ", std::strerror(error),
          error == ENOSPC || error == EFBIG ? "; make room and run again with --resume" : ""));
}

/// A file descriptor for the length of a scope.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_all(const Descriptor& to, const std::string& content, const fs::path& file) {
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(to.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) cannot_write(file, errno);
    done += static_cast<size_t>(n);
  }
}

}  // namespace

void write_file(const fs::path& file, const std::string& content) {
  // Shards on several machines may write one file of results at once.
  char host[64] = "";
  ::gethostname(host, sizeof host - 1);
  fs::path temporary = file;
  temporary += str(".", host, "-", ::getpid(), ".tmp");
  {
    const Descriptor to(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (to.get() < 0) cannot_write(file, errno);
    try {
      write_all(to, content, file);
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
  }
  replace_file(temporary, file);
}

void replace_file(const fs::path& temporary, const fs::path& file) {
  {
    const Descriptor written(temporary, O_RDONLY);
    if (written.get() < 0 || ::fsync(written.get()) != 0) cannot_write(file, errno);
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) cannot_write(file, errno);
  // The new name itself is durable only once its folder is.
  const Descriptor folder(file.has_parent_path() ? file.parent_path() : fs::path("."),
                          O_RDONLY | O_DIRECTORY);
  if (folder.get() >= 0) ::fsync(folder.get());
}

bool RunFolder::empty() const {
  std::error_code error;
  if (!fs::exists(root_, error)) return true;
  if (!fs::is_directory(root_, error)) return false;
  // What a kill leaves between the folder's first breath and its config.json does not count.
  for (const auto& entry : fs::recursive_directory_iterator(root_, error))
    if (!entry.is_directory() && entry.path().extension() != ".tmp") return false;
  return true;
}

void RunFolder::create() const {
  std::error_code error;
  fs::create_directories(figures(), error);
  if (error) cannot_write(root_, error.value());
}

void RunFolder::clear() const {
  std::error_code ignored;
  for (const fs::path& file :
       {metrics(), config(), split(), noise(), history(), scores(), good_scores(), model(),
        latents(), memorisation(), checkpoint(), machine()})
    fs::remove(file, ignored);
  fs::remove_all(figures(), ignored);
  for (int i = 0; fs::exists(fold(i).root(), ignored); ++i) {
    fold(i).clear();
    if (fs::is_empty(fold(i).root(), ignored)) fs::remove(fold(i).root(), ignored);
  }
}

std::vector<EpochRecord> RunFolder::read_history() const {
  if (!fs::exists(history())) return {};
  const CsvTable table = read_csv(history());
  const std::vector<double> epoch = table.numbers("epoch"), train = table.numbers("train_loss"),
                            validation = table.numbers("validation_loss"),
                            seconds = table.numbers("seconds");
  std::vector<EpochRecord> epochs;
  for (size_t i = 0; i < epoch.size(); ++i)
    epochs.push_back({static_cast<int>(epoch[i]), train[i], validation[i], seconds[i]});
  return epochs;
}

void RunFolder::write_history(const std::vector<EpochRecord>& epochs) const {
  std::string text = csv_row({"epoch", "train_loss", "validation_loss", "seconds"});
  for (const EpochRecord& e : epochs)
    text += csv_row({std::to_string(e.epoch), csv_number(e.train_loss),
                     csv_number(e.validation_loss), csv_number(e.seconds)});
  write_file(history(), text);
}

}  // namespace assay
