#include "data/stb.h"

#include <climits>
#include <cstdlib>
#include <memory>

#include "data/image_io.h"
#include "kernels/runtime/error.h"

// The only place that compiles stb; its warnings are not ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 16384
// Damaged files may leave pixels undecoded: those are black, the same in every run.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC(block, bytes) std::realloc(block, bytes)
#define STBI_FREE(block) std::free(block)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace assay {

static_assert(STBI_MAX_DIMENSIONS == kMaxImageSide);

Image stb_decode(std::span<const uint8_t> bytes, const std::string& name) {
  const auto fail = [&] {
    const char* reason = stbi_failure_reason();
    throw DataError(fmt::format("{}: the picture cannot be decoded ({}); save it again as PNG",
                                name, reason != nullptr ? reason : "unknown reason"));
  };
  ASSAY_CHECK_AS(DataError, bytes.size() <= INT_MAX, "{}: the file is larger than 2 GB", name);
  const int length = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(bytes.data(), length, &width, &height, &channels)) fail();
  const int wanted = channels <= 2 ? 1 : 3;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(bytes.data(), length, &width, &height, &channels, wanted),
      stbi_image_free);
  if (!pixels) fail();
  Image image;
  image.height = height;
  image.width = width;
  image.channels = wanted;
  image.pixels.assign(pixels.get(), pixels.get() + image.size());
  return image;
}

namespace {

void append(void* to, void* data, int size) {
  auto& out = *static_cast<std::vector<uint8_t>*>(to);
  const auto* bytes = static_cast<const uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

}  // namespace

std::vector<uint8_t> stb_encode_png(const Image& image) {
  std::vector<uint8_t> out;
  const int written = stbi_write_png_to_func(append, &out, image.width, image.height,
                                             image.channels, image.pixels.data(), 0);
  ASSAY_CHECK(written != 0, "encode_png: no memory for a picture of {} x {}", image.height,
              image.width);
  return out;
}

std::vector<uint8_t> stb_encode_jpeg(const Image& image, int quality) {
  std::vector<uint8_t> out;
  const int written = stbi_write_jpg_to_func(append, &out, image.width, image.height,
                                             image.channels, image.pixels.data(), quality);
  ASSAY_CHECK(written != 0, "encode_jpeg: no memory for a picture of {} x {}", image.height,
              image.width);
  return out;
}

}  // namespace assay
