#include "data/image_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "data/file.h"
#include "data/memory_gate.h"
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

/// The CRC of PNG, slicing by 8: byte by byte it would take a tenth of the decoding time.
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

/// The fields of a file's header that decoding needs.
struct Header {
  int64_t width = 0, height = 0;
  int orientation = 1;
  bool interlaced = false;
  int bytes_per_value = 1;
};

/// The orientation in the first IFD of Exif data, which is a TIFF file of its own; 1 if it has no
/// valid one.
int orientation_in(Bytes tiff) {
  constexpr uint16_t kOrientation = 0x0112, kShort = 3;
  if (tiff.size() < 8 || (tiff[0] != 'I' && tiff[0] != 'M') || tiff[1] != tiff[0]) return 1;
  const bool little = tiff[0] == 'I';
  const auto number = [&](size_t at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i)
      value |= uint32_t{tiff[at + i]} << 8 * (little ? i : bytes - 1 - i);
    return value;
  };
  const size_t ifd = number(4, 4);  // offset of the first image file directory
  if (number(2, 2) != 42 || ifd > tiff.size() - 2) return 1;
  const uint32_t entries = number(ifd, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t at = ifd + 2 + 12 * size_t{i};  // tag, type, count, value
    if (at + 12 > tiff.size()) return 1;
    if (number(at, 2) != kOrientation) continue;
    const uint32_t value = number(at + 8, 2);
    return number(at + 2, 2) == kShort && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

/// Walks the chunks (length, type, data, CRC) to IEND.
Header check_png(Bytes bytes, const std::string& name) {
  static const Crc32 crc;
  Header header;
  for (size_t at = kPngSignature.size();;) {
    if (bytes.size() - at < 12) fail_cut(name, "PNG");
    const size_t length = big_endian(bytes, at);
    if (bytes.size() - at - 12 < length) fail_cut(name, "PNG");
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    if (crc(bytes.subspan(at + 4, length + 4)) != big_endian(bytes, at + 8 + length)) {
      fail(name,
           fmt::format(
               "the PNG checksum of the chunk at byte {} is wrong; copy or download the file again",
               at));
    }
    if (type == "IHDR" && length >= 13) {
      header.width = big_endian(bytes, at + 8);
      header.height = big_endian(bytes, at + 12);
      header.bytes_per_value = bytes[at + 16] == 16 ? 2 : 1;
      header.interlaced = bytes[at + 20] != 0;
    }
    if (type == "eXIf") header.orientation = orientation_in(bytes.subspan(at + 8, length));
    if (type == "IEND") return header;
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

bool segment_begins(Bytes segment, std::string_view text) {
  return segment.size() >= text.size() && std::equal(text.begin(), text.end(), segment.begin());
}

/// Walks the segments to EOI. A search for the bytes FF D9 would find the end of a thumbnail.
Header check_jpeg(Bytes bytes, const std::string& name) {
  using namespace std::string_view_literals;
  Header header;
  bool scanned = false, adobe = false, exif = false;
  int channels = 0;
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
      if (channels == 4 && !adobe)
        fail(name,
             "a JPEG of four channels that does not say whether they are CMYK or YCCK; save it as "
             "RGB");
      return header;
    }
    if (at + 3 >= bytes.size()) fail_cut(name, "JPEG");
    const size_t length = size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (length < 2 || bytes.size() - at - 2 < length) fail_cut(name, "JPEG");
    const Bytes segment = bytes.subspan(at + 4, length - 2);
    if (marker == 0xC4) check_huffman_tables(segment, name);
    if (marker == 0xE1 && !exif && segment_begins(segment, "Exif\0\0"sv)) {
      exif = true;
      header.orientation = orientation_in(segment.subspan(6));
    }
    adobe = adobe || (marker == 0xEE && segment_begins(segment, "Adobe"));
    if (is_jpeg_frame(marker) && segment.size() >= 6) {
      header.width = segment[3] << 8 | segment[4];
      header.height = segment[1] << 8 | segment[2];
      channels = segment[5];
    }
    at += 2 + length;
    // A scan without a byte of data would be an image of whatever the memory held.
    if (marker == 0xDA)
      scanned = at + 1 < bytes.size() && (bytes[at] != 0xFF || bytes[at + 1] == 0);
  }
}

/// Header: offset of the rows at byte 10, then sides, planes and bits from byte 18 on; sides are 16
/// bits wide in the oldest header (12 bytes), a negative height means that rows run downwards.
Header check_bmp(Bytes bytes, const std::string& name) {
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
  Header header;
  header.width = width;
  header.height = std::abs(height);
  const int64_t bits = little(oldest ? 24 : 28, 2);
  const bool packed = !oldest && (little(30, 4) == 1 || little(30, 4) == 2);  // run lengths
  const int64_t row = (bits * header.width + 31) / 32 * 4;
  if (!packed && header.width <= kMaxImageSide && header.height <= kMaxImageSide &&
      static_cast<int64_t>(bytes.size()) < little(10, 4) + row * header.height) {
    fail_cut(name, "BMP");
  }
  return header;
}

/// Walks the blocks to the trailer. Header: the sides at bytes 6 and 8, a colour table of
/// 3 * 2^(1 + lowest 3 bits of byte 10) bytes where the highest bit is set.
Header check_gif(Bytes bytes, const std::string& name) {
  const auto table = [](uint8_t flags) { return flags & 0x80 ? size_t{6} << (flags & 7) : 0; };
  if (bytes.size() < 13) fail_cut(name, "GIF");
  Header header;
  header.width = bytes[6] | bytes[7] << 8;
  header.height = bytes[8] | bytes[9] << 8;
  size_t at = 13 + table(bytes[10]);
  const auto skip_blocks = [&] {
    while (at < bytes.size() && bytes[at] != 0) at += 1 + size_t{bytes[at]};
    ++at;
  };
  for (bool any = false; at < bytes.size();) {
    const uint8_t kind = bytes[at];
    if (kind == 0x3B && any) return header;
    if (kind == 0x21) {  // an extension and its label
      at += 2;
    } else if (kind == 0x2C && at + 9 < bytes.size()) {  // a frame, its table, its code size
      at += 11 + table(bytes[at + 9]);
      any = true;
    } else {
      break;
    }
    skip_blocks();
  }
  fail_cut(name, "GIF");
}

Header check_structure(Bytes bytes, std::string_view format, const std::string& name) {
  if (bytes.empty()) fail(name, "the file is empty (0 bytes); copy or download it again");
  if (format == "PNG") return check_png(bytes, name);
  if (format == "JPEG") return check_jpeg(bytes, name);
  if (format == "BMP") return check_bmp(bytes, name);
  if (format == "GIF") return check_gif(bytes, name);
  if (starts_with(bytes, std::span(kPngSignature).first(4))) {
    fail(name, "the PNG signature is damaged, as by a copy in text mode; copy the file again");
  }
  if (!format.empty())
    fail(name, fmt::format("a {} image, which is not read; convert it to PNG", format));
  fail(name,
       fmt::format("not a {} image, whatever its name; convert or remove it", kReadableFormats));
}

void check_bounds(const Header& header, const std::string& name) {
  const int64_t pixels = header.width * header.height;
  const auto refuse = [&](const std::string& bound) {
    fail(name, fmt::format("the image has {} x {} pixels but {}; scale it down", header.width,
                           header.height, bound));
  };
  if (header.width < 1 || header.height < 1) {
    fail(name, fmt::format("the image has {} x {} pixels; save it again as PNG", header.width,
                           header.height));
  }
  if (header.width > kMaxImageSide || header.height > kMaxImageSide)
    refuse(fmt::format("at most {} a side can be read", kMaxImageSide));
  if (pixels > kMaxImagePixels) refuse(fmt::format("at most {} can be read", kMaxImagePixels));
  if (header.interlaced && pixels > kMaxInterlacedPixels)
    fail(name, fmt::format("the image is interlaced and has {} pixels but at most {} can be read "
                           "so; save it without interlacing",
                           pixels, kMaxInterlacedPixels));
}

/// Peak memory of decoding in bytes: the file, the decompressed data and the pixels, both with up
/// to 4 channels and with sides rounded up to JPEG's blocks.
size_t decoding_memory(const Header& header, size_t file) {
  const auto padded = [](int64_t side) { return static_cast<size_t>(side + 31) / 32 * 32; };
  return file + padded(header.width) * padded(header.height) * (8 * header.bytes_per_value + 3);
}

void check_writable(const char* caller, const Image& image) {
  ASSAY_CHECK(image.size() > 0 && image.pixels.size() == image.size() &&
                  (image.channels == 1 || image.channels == 3),
              "{}: an image of {} x {} x {} with {} values cannot be written", caller, image.height,
              image.width, image.channels, image.pixels.size());
}

}  // namespace

DecodedImage decode(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  ASSAY_CHECK(options.bit_depth >= 8 && options.bit_depth <= 16,
              "decode: a bit depth of {} is not from 8 to 16", options.bit_depth);
  static MemoryGate gate(kDecodingMemory);
  DecodedImage result;
  result.format = image_format(bytes.first(std::min(bytes.size(), kFormatBytes)));
  const Header header = check_structure(bytes, result.format, name);
  check_bounds(header, name);
  const size_t memory = decoding_memory(header, bytes.size());
  const MemoryGate::Lease lease(gate, memory);
  // One allocation never exceeds the estimate; zlib's buffer doubles, hence the factor 2.
  constexpr size_t kSmallBlocks = size_t{1} << 16;
  StbImage decoded = stb_decode(bytes, name,
                                {.bit_depth = options.bit_depth,
                                 .alpha = options.alpha,
                                 .max_allocation = 2 * memory + kSmallBlocks});
  result.image = oriented(std::move(decoded.image), header.orientation);
  if (decoded.alpha.size() > 0)
    result.alpha = oriented(std::move(decoded.alpha), header.orientation);
  result.bits = decoded.bits;
  result.max_value = decoded.max_value;
  result.orientation = header.orientation;
  result.lossy = result.format == "JPEG";
  return result;
}

Image decode_image(Bytes bytes, const std::string& name) {
  return decode(bytes, name).image;
}

DecodedImage read_decoded(const std::filesystem::path& path, const DecodeOptions& options) {
  // decode() counts the file too, but knows its size only once it is in memory. Whoever waits there
  // holds a lease here and none waits here who holds one there.
  static MemoryGate files(kFileMemory);
  std::error_code unreadable;  // read_bytes() says why
  const auto size = std::filesystem::file_size(path, unreadable);
  const MemoryGate::Lease lease(files, unreadable ? 0 : size);
  return decode(read_bytes(path), path.string(), options);
}

Image read_image(const std::filesystem::path& path) {
  return read_decoded(path).image;
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

}  // namespace assay
