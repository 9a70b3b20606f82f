// Reading a file as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace assay {

/// Whether a symbolic link in the file's place is read. In a folder from a stranger it is not: it
/// could name any file of this machine.
enum class Links : uint8_t { follow, refuse };

/// What a file holds, or why it cannot be read.
struct FileContent {
  std::string bytes;
  std::string failure;  ///< "there is no such file"; empty when `bytes` is all of the file
};

/// Throws SystemError if `reason` (an errno) says that the system lacks descriptors or memory,
/// which is no fault of the file.
void check_not_refused(const std::filesystem::path& file, int reason);

/// What a folder holds, unsorted; `error` where it cannot be listed. Error as check_not_refused().
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder,
                                               std::error_code& error);

/// Reads a regular file of at most `max_bytes`. Never opens a pipe or a device, which could make
/// the reader wait for ever. Error as check_not_refused().
FileContent read_whole_file(const std::filesystem::path& file, uint64_t max_bytes,
                            Links links = Links::follow);

/// The first bytes of a regular file: `max_bytes`, or all if it has fewer. Error as
/// check_not_refused().
FileContent read_start(const std::filesystem::path& file, uint64_t max_bytes);

}  // namespace assay
