#include "data/stb.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <new>

#include "data/image_io.h"
#include "kernels/runtime/error.h"

namespace {

/// Limit of one allocation of a thread that decodes a file, and whether stb asked for more.
struct Allowance {
  size_t bytes = SIZE_MAX;
  bool exceeded = false, out_of_memory = false;
};
thread_local Allowance allowance;

bool allowed(size_t bytes) {
  allowance.exceeded = allowance.exceeded || bytes > allowance.bytes;
  return bytes <= allowance.bytes;
}
void* noted(void* block) {
  allowance.out_of_memory = allowance.out_of_memory || block == nullptr;
  return block;
}
void* or_bad_alloc(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

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
#define STBI_ONLY_GIF
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 16384
// Damaged files may leave pixels undecoded; calloc makes those black in every run.
#define STBI_MALLOC(bytes) (allowed(bytes) ? noted(std::calloc(1, bytes)) : nullptr)
#define STBI_REALLOC(block, bytes) (allowed(bytes) ? noted(std::realloc(block, bytes)) : nullptr)
#define STBI_FREE(block) std::free(block)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
// stb's writer does not look whether it got what it asked for.
#define STBIW_MALLOC(bytes) or_bad_alloc(std::malloc(bytes))
#define STBIW_REALLOC(block, bytes) or_bad_alloc(std::realloc(block, bytes))
#define STBIW_FREE(block) std::free(block)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace assay {

static_assert(STBI_MAX_DIMENSIONS == kMaxImageSide);

namespace {

/// Copies the colours of (H,W,channels) values, and alpha where it is asked for, as 8 bits.
template <class Value, class To8>
void take_pixels(const Value* from, int channels, bool alpha, const To8& to8, StbImage& to) {
  const int colours = channels <= 2 ? 1 : 3;
  const bool has_alpha = channels == 2 || channels == 4;
  const size_t pixels = to.image.size() / colours;
  to.image.channels = colours;
  if (alpha && has_alpha) to.alpha = Image(to.image.height, to.image.width, 1);
  uint8_t* out = to.image.pixels.data();
  for (size_t i = 0; i < pixels; ++i, from += channels) {
    for (int c = 0; c < colours; ++c) {
      to.max_value = std::max<int>(to.max_value, from[c]);
      *out++ = to8(from[c]);
    }
    if (to.alpha.size() > 0) to.alpha.pixels[i] = to8(from[channels - 1]);
  }
}

}  // namespace

StbImage stb_decode(std::span<const uint8_t> bytes, const std::string& name,
                    const StbRequest& request) {
  ASSAY_CHECK_AS(DataError, bytes.size() <= INT_MAX, "{}: the file is larger than 2 GB", name);
  const int length = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  const auto fail = [&] {
    if (allowance.out_of_memory) throw std::bad_alloc();
    const char* reason = stbi_failure_reason();
    throw DataError(allowance.exceeded
                        ? fmt::format("{}: holds more data than an image of {} x {} pixels has; "
                                      "the file is damaged or made to fill the memory",
                                      name, width, height)
                        : fmt::format("{}: the image cannot be decoded ({}); save it again as PNG",
                                      name, reason != nullptr ? reason : "unknown reason"));
  };
  allowance = {.bytes = request.max_allocation};
  if (!stbi_info_from_memory(bytes.data(), length, &width, &height, &channels)) fail();
  const bool deep = stbi_is_16_bit_from_memory(bytes.data(), length) != 0;
  // 0 keeps the file's channels: a conversion by stb would need one buffer more.
  const std::unique_ptr<void, void (*)(void*)> pixels(
      deep ? static_cast<void*>(
                 stbi_load_16_from_memory(bytes.data(), length, &width, &height, &channels, 0))
           : stbi_load_from_memory(bytes.data(), length, &width, &height, &channels, 0),
      stbi_image_free);
  if (!pixels) fail();
  StbImage result;
  result.bits = deep ? 16 : 8;
  result.image = Image(height, width, channels <= 2 ? 1 : 3);
  if (deep) {
    const int shift = request.bit_depth - 8;
    take_pixels(
        static_cast<const uint16_t*>(pixels.get()), channels, request.alpha,
        [&](uint16_t v) { return static_cast<uint8_t>(std::min(v >> shift, 255)); }, result);
  } else {
    take_pixels(
        static_cast<const uint8_t*>(pixels.get()), channels, request.alpha,
        [](uint8_t v) { return v; }, result);
  }
  return result;
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
  ASSAY_CHECK(written != 0, "encode_png: no memory for an image of {} x {}", image.height,
              image.width);
  return out;
}

std::vector<uint8_t> stb_encode_jpeg(const Image& image, int quality) {
  std::vector<uint8_t> out;
  const int written = stbi_write_jpg_to_func(append, &out, image.width, image.height,
                                             image.channels, image.pixels.data(), quality);
  ASSAY_CHECK(written != 0, "encode_jpeg: no memory for an image of {} x {}", image.height,
              image.width);
  return out;
}

}  // namespace assay
