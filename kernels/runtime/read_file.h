// Reading a file as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace assay {

/// Whether a symbolic link in the file's place is read. In a folder from a stranger it is not: it
/// could name any file of this machine.
enum class Links : uint8_t { follow, refuse };

/// What a file holds, or why it cannot be read.
struct FileContent {
  std::string bytes;
  std::string failure;  ///< "there is no such file"; empty when `bytes` is all of the file
};

/// Reads a regular file of at most `max_bytes`. Never opens a pipe or a device, which could make
/// the reader wait for ever.
FileContent read_whole_file(const std::filesystem::path& file, uint64_t max_bytes,
                            Links links = Links::follow);

}  // namespace assay
