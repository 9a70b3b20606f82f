// Runs the built program as a user would, on small data sets.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/files.h"

namespace assay::testing {

/// Path of the built program. Defined in a separate file, so that two builds share the compiled
/// tests.
extern const char* const kProgram;

inline std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline nlohmann::json read_json(const fs::path& file) {
  return nlohmann::json::parse(read_text(file));
}

/// Exit codes.
inline constexpr int kFailure = 1, kUsage = 2, kData = 3, kCheckpoint = 4, kDevice = 5;

/// How a run of the program ended. `code` is negative when a signal ended it.
struct Outcome {
  int code = 0;
  std::string out, error;
};

/// A program with its arguments, running until wait().
class Running {
 public:
  struct Program {
    std::vector<std::string> line;  ///< its path first
  };
  explicit Running(Program program, const fs::path& folder = {}) : line_(std::move(program.line)) {
    start(folder);
  }
  /// `assay` with these words. `limit_blocks`: the shell's limit for the size of a file, which
  /// stands for a full disk.
  explicit Running(const std::vector<std::string>& words, const std::string& limit_blocks = "") {
    line_ = {kProgram};
    line_.insert(line_.end(), words.begin(), words.end());
    if (!limit_blocks.empty())
      line_.insert(line_.begin(),
                   {"/bin/sh", "-c", "ulimit -f " + limit_blocks + "; exec \"$@\"", "sh"});
    start({});
  }

  void signal(int number) const { kill(pid_, number); }
  bool ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }
  /// Waits until `file` is there; false when the program ended first.
  bool wait_for(const fs::path& file) {
    while (!fs::exists(file)) {
      if (ended()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  Outcome wait() {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_),
            read_text(output_ / "out"), read_text(output_ / "error")};
  }

 private:
  void start(const fs::path& folder) {
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    std::vector<char*> arguments;
    for (std::string& word : line_) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    redirect(STDOUT_FILENO, output_ / "out");
    redirect(STDERR_FILENO, output_ / "error");
    if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  static void redirect(int descriptor, const fs::path& file) {
    dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), descriptor);
  }

  std::vector<std::string> line_;
  TemporaryFolder output_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

inline Outcome run_assay(const std::vector<std::string>& words,
                         const std::string& limit_blocks = "") {
  return Running(words, limit_blocks).wait();
}

inline Outcome require_success(const Outcome& outcome) {
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  return outcome;
}

/// The run fails with `code` and one line on stderr that holds `part`.
inline void check_refused(const Outcome& outcome, int code, const std::string& part) {
  CAPTURE(outcome.error);
  CHECK(outcome.code == code);
  CHECK(outcome.error.rfind("assay: error: ", 0) == 0);
  CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
  CHECK(contains(outcome.error, part));
}

/// "$0" of the line is the program: for redirections and pipes.
inline int run_shell(const std::string& line) {
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/sh", "/bin/sh", "-c", line.c_str(), kProgram, static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// A class of 12 small good images and of test images, 2 good and 2 with a bright square.
inline void write_small_class(const fs::path& root, const std::string& name = "tile",
                              int squares = 2) {
  const auto draw = [](int salt, bool defective) {
    Image image = small_image(salt, 20, 20);
    for (int y = 4; defective && y < 12; ++y)
      for (int x = 4; x < 12; ++x)
        for (int c = 0; c < 3; ++c) image.at(y, x)[c] = 255;
    return image;
  };
  const auto file = [](int i) { return fmt::format("{}.png", 100 + i); };
  for (int i = 0; i < 12; ++i) put(root / name / "train/good" / file(i), draw(i, false));
  for (int i = 0; i < 2; ++i) put(root / name / "test/good" / file(i), draw(20 + i, false));
  for (int i = 0; i < squares; ++i) put(root / name / "test/square" / file(i), draw(30 + i, true));
}

/// The words of a training that takes a moment: 16 pixels, 4 images in training, 8 held out.
inline std::vector<std::string> small_training(const fs::path& data, const fs::path& out,
                                               const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"train",        "kd-cae", "--data",    data.string(),
                                    "--class",      "tile",   "--out",     out.string(),
                                    "--image-size", "16",     "--batch",   "2",
                                    "--seed",       "7",      "--threads", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Compares everything that must not depend on threads, interruptions or the clock.
inline void check_same_results(const fs::path& a, const fs::path& b) {
  for (const char* file : {"model.safetensors", "latents.safetensors", "scores.csv",
                           "good_scores.csv", "split.json", "checkpoint.safetensors"})
    CHECK_MESSAGE(read_text(a / file) == read_text(b / file), file);
}

}  // namespace assay::testing
