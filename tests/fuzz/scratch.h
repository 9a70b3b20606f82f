// What targets share that read files or run the program.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/assay/program.h"

namespace assay {

class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() / ("assay-fuzz-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::filesystem::path write(const char* name, const uint8_t* data, size_t size) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The exit code of a command line; what it prints on stdout and stderr is dropped.
inline int run_quietly(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int kept[2];
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    kept[stream - 1] = dup(stream);
    dup2(null, stream);
  }
  const int code = run_program(static_cast<int>(argv.size()), argv.data());
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    dup2(kept[stream - 1], stream);
    close(kept[stream - 1]);
  }
  close(null);
  return code;
}

}  // namespace assay
