#include "data/image_io.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include "data/file.h"
#include "data/stb.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

[[noreturn]] void fail(const std::string& name, std::string_view what) {
  throw DataError(fmt::format("{}: {}", name, what));
}
[[noreturn]] void fail_cut(const std::string& name, std::string_view kind) {
  fail(name, fmt::format("the {} file ends too early; copy or download it again", kind));
}

bool starts_with(Bytes bytes, std::span<const uint8_t> prefix) {
  return bytes.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

uint32_t big_endian(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         bytes[at + 3];
}

/// The CRC of PNG, slicing by 8: a byte at a time it would cost a tenth of the decoding.
class Crc32 {
 public:
  Crc32() {
    for (uint32_t n = 0; n < 256; ++n) {
      uint32_t c = n;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      table_[0][n] = c;
    }
    for (int k = 1; k < 8; ++k) {
      for (uint32_t n = 0; n < 256; ++n) {
        table_[k][n] = table_[0][table_[k - 1][n] & 0xFF] ^ (table_[k - 1][n] >> 8);
      }
    }
  }
  uint32_t operator()(Bytes bytes) const {
    uint32_t c = 0xFFFFFFFFu;
    size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
      const uint8_t* p = bytes.data() + i;
      c ^= p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
      c = table_[7][c & 0xFF] ^ table_[6][c >> 8 & 0xFF] ^ table_[5][c >> 16 & 0xFF] ^
          table_[4][c >> 24] ^ table_[3][p[4]] ^ table_[2][p[5]] ^ table_[1][p[6]] ^
          table_[0][p[7]];
    }
    for (; i < bytes.size(); ++i) c = table_[0][(c ^ bytes[i]) & 0xFF] ^ (c >> 8);
    return ~c;
  }

 private:
  uint32_t table_[8][256];
};

struct Sides {
  int64_t width = 0, height = 0;
};

/// Walks the chunks (length, type, data, CRC) to IEND.
Sides check_png(Bytes bytes, const std::string& name) {
  static const Crc32 crc;
  Sides sides;
  for (size_t at = kPngSignature.size();;) {
    if (bytes.size() - at < 12) fail_cut(name, "PNG");
    const size_t length = big_endian(bytes, at);
    if (bytes.size() - at - 12 < length) fail_cut(name, "PNG");
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    if (crc(bytes.subspan(at + 4, length + 4)) != big_endian(bytes, at + 8 + length)) {
      fail(name,
           fmt::format(
               "the PNG checksum of the part at byte {} is wrong; copy or download the file again",
               at));
    }
    if (type == "IHDR" && length >= 8)
      sides = {big_endian(bytes, at + 8), big_endian(bytes, at + 12)};
    if (type == "IEND") return sides;
    at += 12 + length;
  }
}

bool is_jpeg_frame(uint8_t marker) {  // SOF0 to SOF15 without DHT, JPG and DAC
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/// A segment may hold several Huffman tables: class and number, 16 counts by code length, symbols.
/// stb_image 2.27 writes past its arrays when the counts of one sum to more than 256.
void check_huffman_tables(Bytes segment, const std::string& name) {
  for (size_t at = 0; at < segment.size();) {
    if (segment.size() - at < 17) fail_cut(name, "JPEG");
    size_t symbols = 0;
    for (int length = 1; length <= 16; ++length) symbols += segment[at + length];
    if (symbols > 256) fail(name, "the JPEG file holds a damaged table; copy or download it again");
    at += 17 + symbols;
  }
}

/// Walks the segments to EOI. A search for the bytes FF D9 would find the end of a thumbnail.
Sides check_jpeg(Bytes bytes, const std::string& name) {
  Sides sides;
  bool scanned = false;
  for (size_t at = 2;;) {
    // Compressed data holds FF only as FF 00 and as restart markers FF D0 to FF D7.
    while (at + 1 < bytes.size() &&
           (bytes[at] != 0xFF || bytes[at + 1] == 0 || bytes[at + 1] == 0xFF ||
            (bytes[at + 1] >= 0xD0 && bytes[at + 1] <= 0xD7))) {
      ++at;
    }
    if (at + 1 >= bytes.size()) fail_cut(name, "JPEG");
    const uint8_t marker = bytes[at + 1];
    if (marker == 0xD9) {
      if (!scanned) fail_cut(name, "JPEG");
      return sides;
    }
    if (at + 3 >= bytes.size()) fail_cut(name, "JPEG");
    const size_t length = size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (length < 2 || bytes.size() - at - 2 < length) fail_cut(name, "JPEG");
    if (marker == 0xC4) check_huffman_tables(bytes.subspan(at + 4, length - 2), name);
    if (is_jpeg_frame(marker) && length >= 7) {
      sides = {bytes[at + 7] << 8 | bytes[at + 8], bytes[at + 5] << 8 | bytes[at + 6]};
    }
    at += 2 + length;
    // A scan without a byte of data would be a picture of whatever the memory held.
    if (marker == 0xDA)
      scanned = at + 1 < bytes.size() && (bytes[at] != 0xFF || bytes[at + 1] == 0);
  }
}

/// Header: offset of the rows at byte 10, then sides, planes and bits from byte 18 on; sides are 16
/// bits wide in the oldest header (12 bytes), a negative height means that rows run downwards.
Sides check_bmp(Bytes bytes, const std::string& name) {
  if (bytes.size() < 34) fail_cut(name, "BMP");
  const auto little = [&](size_t at, int n) {
    uint32_t value = 0;
    for (int i = 0; i < n; ++i) value |= uint32_t{bytes[at + i]} << 8 * i;
    return value;
  };
  const bool oldest = little(14, 4) == 12;
  const auto signed_side = [&](size_t at) { return static_cast<int32_t>(little(at, 4)); };
  const int64_t width = oldest ? int64_t{little(18, 2)} : signed_side(18);
  const int64_t height = oldest ? int64_t{little(20, 2)} : signed_side(22);
  const Sides sides = {width, std::abs(height)};
  const int64_t bits = little(oldest ? 24 : 28, 2);
  const bool packed = !oldest && (little(30, 4) == 1 || little(30, 4) == 2);  // run lengths
  const int64_t row = (bits * sides.width + 31) / 32 * 4;
  if (!packed && sides.width <= kMaxImageSide && sides.height <= kMaxImageSide &&
      static_cast<int64_t>(bytes.size()) < little(10, 4) + row * sides.height) {
    fail_cut(name, "BMP");
  }
  return sides;
}

Sides check_structure(Bytes bytes, const std::string& name) {
  if (bytes.empty()) fail(name, "the file is empty (0 bytes); copy or download it again");
  if (starts_with(bytes, kPngSignature)) return check_png(bytes, name);
  if (starts_with(bytes, std::array<uint8_t, 3>{0xFF, 0xD8, 0xFF})) return check_jpeg(bytes, name);
  if (starts_with(bytes, std::array<uint8_t, 2>{'B', 'M'})) return check_bmp(bytes, name);
  if (starts_with(bytes, std::span(kPngSignature).first(4))) {
    fail(name, "the PNG signature is damaged, as by a copy in text mode; copy the file again");
  }
  fail(name, "not a PNG, JPEG or BMP picture, whatever its name; convert or remove it");
}

void check_writable(const char* caller, const Image& image) {
  ASSAY_CHECK(image.size() > 0 && image.pixels.size() == image.size() &&
                  (image.channels == 1 || image.channels == 3),
              "{}: a picture of {} x {} x {} with {} values cannot be written", caller,
              image.height, image.width, image.channels, image.pixels.size());
}

}  // namespace

Image decode_image(Bytes bytes, const std::string& name) {
  const Sides sides = check_structure(bytes, name);
  if (sides.width < 1 || sides.height < 1) {
    fail(name, fmt::format("the picture has {} x {} pixels; save it again as PNG", sides.width,
                           sides.height));
  }
  if (sides.width > kMaxImageSide || sides.height > kMaxImageSide) {
    fail(name,
         fmt::format(
             "the picture has {} x {} pixels but at most {} a side can be read; scale it down",
             sides.width, sides.height, kMaxImageSide));
  }
  return stb_decode(bytes, name);
}

Image read_image(const std::filesystem::path& path) {
  return decode_image(read_bytes(path), path.string());
}

std::vector<uint8_t> encode_png(const Image& image) {
  check_writable("encode_png", image);
  return stb_encode_png(image);
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  check_writable("encode_jpeg", image);
  return stb_encode_jpeg(image, quality);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_bytes(path, encode_png(image));
}

bool is_image_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".bmp";
}

bool is_picture(const std::filesystem::directory_entry& entry) {
  std::error_code ignored;
  return is_image_name(entry.path()) && !entry.is_directory(ignored);
}

}  // namespace assay
