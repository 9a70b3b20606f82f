#include "data/file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

std::vector<uint8_t> read_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  ASSAY_CHECK_AS(DataError, !error, file.string(), ": cannot be read: ", error.message());
  const File in(std::fopen(file.c_str(), "rb"));
  ASSAY_CHECK_AS(DataError, in, file.string(), ": cannot be read: ", std::strerror(errno));
  std::vector<uint8_t> bytes(size);
  const size_t got = std::fread(bytes.data(), 1, bytes.size(), in.get());
  ASSAY_CHECK_AS(DataError, got == bytes.size(), file.string(), ": only ", got, " of ", size,
                 " bytes could be read; check the disk");
  return bytes;
}

void write_bytes(const std::filesystem::path& file, std::span<const uint8_t> bytes) {
  const std::string temporary = str(file.string(), ".", getpid(), ".tmp");
  const auto fail = [&](int reason) {
    std::remove(temporary.c_str());
    throw Error(str(file.string(), ": cannot be written: ", std::strerror(reason),
                    "; choose another folder or make room"));
  };
  File out(std::fopen(temporary.c_str(), "wb"));
  if (!out) fail(errno);
  if (std::fwrite(bytes.data(), 1, bytes.size(), out.get()) != bytes.size()) fail(errno);
  // A full disk may show only when the last buffer is written.
  if (std::fclose(out.release()) != 0) fail(errno);
  if (std::rename(temporary.c_str(), file.c_str()) != 0) fail(errno);
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ASSAY_CHECK(!error && std::filesystem::is_directory(folder, error), folder.string(),
              ": the folder cannot be made: ", error ? error.message() : "a file has this name",
              "; choose another");
}

}  // namespace assay
