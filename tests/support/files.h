// A temporary folder for a test, and images to put in it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/image_io.h"
#include "kernels/runtime/error.h"

namespace assay::testing {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

/// Removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "assay-data-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const fs::path& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// An image whose values depend on `salt`.
inline Image small_image(int salt, int height = 12, int width = 10, int channels = 3) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>((i * 37 + static_cast<size_t>(salt) * 101) % 251);
  }
  return image;
}

inline void put(const fs::path& file, const Bytes& bytes) {
  make_folder(file.parent_path());
  write_bytes(file, bytes);
}
inline void put(const fs::path& file, const std::string& text) {
  put(file, Bytes(text.begin(), text.end()));
}
inline void put(const fs::path& file, const Image& image) {
  put(file, encode_png(image));
}

/// The message of the E that f throws; fails when it throws none.
template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  FAIL("nothing was thrown");
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace assay::testing
