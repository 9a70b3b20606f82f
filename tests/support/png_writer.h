// PNG and BMP files of every kind, byte by byte, including broken ones and kinds that the product
// never writes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/files.h"

namespace assay::testing {

inline uint32_t crc32(const Bytes& bytes, size_t begin) {
  uint32_t c = 0xFFFFFFFFu;
  for (size_t i = begin; i < bytes.size(); ++i) {
    c ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}
inline void append_u32(Bytes& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(v >> shift));
}
inline void append_chunk(Bytes& png, const std::string& type, const Bytes& data) {
  append_u32(png, static_cast<uint32_t>(data.size()));
  const size_t begin = png.size();
  png.insert(png.end(), type.begin(), type.end());
  png.insert(png.end(), data.begin(), data.end());
  append_u32(png, crc32(png, begin));
}

/// zlib with one stored block: no compression.
inline Bytes zlib_stored(const Bytes& data) {
  Bytes out = {0x78, 0x01, 0x01};
  const auto n = static_cast<uint16_t>(data.size());
  for (const uint16_t v : {n, static_cast<uint16_t>(~n)}) {
    out.push_back(static_cast<uint8_t>(v & 0xFF));
    out.push_back(static_cast<uint8_t>(v >> 8));
  }
  out.insert(out.end(), data.begin(), data.end());
  uint32_t a = 1, b = 0;
  for (const uint8_t v : data) {
    a = (a + v) % 65521;
    b = (b + a) % 65521;
  }
  append_u32(out, b << 16 | a);
  return out;
}

/// Bits of a deflate stream, from the lowest of each byte on.
class BitWriter {
 public:
  explicit BitWriter(Bytes& out) : out_(out) {}
  void put(uint32_t value, int bits) {
    for (int i = 0; i < bits; ++i) {
      if (used_ == 0) out_.push_back(0);
      out_.back() |= static_cast<uint8_t>((value >> i & 1) << used_);
      used_ = (used_ + 1) % 8;
    }
  }
  /// A Huffman code: its highest bit comes first.
  void code(uint32_t value, int bits) {
    for (int i = bits - 1; i >= 0; --i) put(value >> i & 1, 1);
  }
  void flush() { used_ = 0; }

 private:
  Bytes& out_;
  int used_ = 0;
};

/// PNG colour types.
enum PngColor : uint8_t { kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6 };

struct PngKind {
  uint32_t width, height;
  uint8_t bits;
  PngColor color;
  Bytes palette = {};
};

/// `rows`: the packed bytes of every row, one after another.
inline Bytes make_png(const PngKind& kind, const Bytes& rows) {
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  Bytes header;
  append_u32(header, kind.width);
  append_u32(header, kind.height);
  for (const uint8_t v :
       {kind.bits, static_cast<uint8_t>(kind.color), uint8_t{0}, uint8_t{0}, uint8_t{0}}) {
    header.push_back(v);
  }
  append_chunk(png, "IHDR", header);
  if (!kind.palette.empty()) append_chunk(png, "PLTE", kind.palette);
  Bytes filtered;
  const size_t row = kind.height == 0 ? 0 : rows.size() / kind.height;
  for (size_t y = 0; y * row < rows.size(); ++y) {
    filtered.push_back(0);
    filtered.insert(filtered.end(), rows.begin() + static_cast<std::ptrdiff_t>(y * row),
                    rows.begin() + static_cast<std::ptrdiff_t>((y + 1) * row));
  }
  append_chunk(png, "IDAT", zlib_stored(filtered));
  append_chunk(png, "IEND", {});
  return png;
}

/// The two headers of a BMP whose palette has `colours` colours.
inline Bytes bmp_header(uint32_t width, uint32_t height, uint32_t bits, uint32_t colours) {
  Bytes bmp = {'B', 'M'};
  const auto little = [&](uint32_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp.push_back(static_cast<uint8_t>(v >> 8 * i));
  };
  const uint32_t size = (width * bits / 8 + 3) / 4 * 4 * height, offset = 54 + 4 * colours;
  for (const uint32_t v : {offset + size, 0u, offset, 40u, width, height}) little(v, 4);
  little(1, 2);
  little(bits, 2);
  for (const uint32_t v : {0u, size, 2835u, 2835u, colours, 0u}) little(v, 4);
  return bmp;
}

/// 24 bits, rows upwards and padded to 4 bytes.
inline Bytes make_bmp(const Image& rgb) {
  Bytes bmp =
      bmp_header(static_cast<uint32_t>(rgb.width), static_cast<uint32_t>(rgb.height), 24, 0);
  for (int y = rgb.height - 1; y >= 0; --y) {
    for (int x = 0; x < rgb.width; ++x) {
      for (int c = 2; c >= 0; --c) bmp.push_back(rgb.at(y, x)[c]);
    }
    while ((bmp.size() - 54) % 4 != 0) bmp.push_back(0);
  }
  return bmp;
}

/// One row of 8-bit indices into a palette of RGB triples, which may have too few for the indices.
inline Bytes make_palette_bmp(const Bytes& palette, const Bytes& indices) {
  const auto colours = static_cast<uint32_t>(palette.size() / 3);
  Bytes bmp = bmp_header(static_cast<uint32_t>(indices.size()), 1, 8, colours);
  for (size_t i = 0; i < palette.size(); i += 3) {
    bmp.insert(bmp.end(), {palette[i + 2], palette[i + 1], palette[i], 0});
  }
  bmp.insert(bmp.end(), indices.begin(), indices.end());
  while (bmp.size() % 4 != 2) bmp.push_back(0);
  return bmp;
}

}  // namespace assay::testing
