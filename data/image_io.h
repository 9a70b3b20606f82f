// Image files: PNG, JPEG, BMP and GIF in, PNG and JPEG out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/image_format.h"

namespace assay {

/// Limits of an image that is read: side in pixels, number of pixels.
inline constexpr int kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 27;
/// Lower limit for interlaced PNGs, which take several times as long and twice the memory.
inline constexpr int64_t kMaxInterlacedPixels = int64_t{1} << 25;
/// Bytes that all threads together may hold while they decode; a larger image is decoded alone.
inline constexpr size_t kDecodingMemory = size_t{1} << 30;
/// Bytes of image files that all threads together read at once; a larger file is read alone.
inline constexpr size_t kFileMemory = size_t{1} << 28;

struct DecodeOptions {
  /// Bits used in files with 16 bits per value, 8 to 16. Without it files of cameras with 10 or 12
  /// bits look black. Larger values become white.
  int bit_depth = 16;
  bool alpha = false;  ///< fill DecodedImage::alpha
};

struct DecodedImage {
  Image image;
  Image alpha;  ///< 1 channel; empty where the file has none or none was asked for
  std::string_view format;
  int bits = 8;         ///< bits per value in the file: 8 or 16
  int max_value = 0;    ///< the largest colour value of a file of 16 bits
  int orientation = 1;  ///< Exif's, 1 to 8; `image` is upright already
  bool lossy = false;   ///< values may be off by a few (JPEG)
};

/// Decodes PNG, JPEG, BMP or GIF (its first frame): 1 to 16 bits per value, grey, RGB, with alpha
/// or a palette; JPEG also CMYK and YCCK. The result has 1 channel if the file is grey, else 3, and
/// is upright. Alpha is dropped and 16 bits become the upper 8, both as in Pillow.
/// DataError, one sentence that starts with `name` and says what to do, for anything else: an empty
/// or cut file, another kind of file, a wrong PNG checksum, a JPEG without its end, a JPEG of four
/// channels that are not named, more pixels than the limits above, more data than pixels.
DecodedImage decode(std::span<const uint8_t> bytes, const std::string& name,
                    const DecodeOptions& options = {});
Image decode_image(std::span<const uint8_t> bytes, const std::string& name);
/// As decode() and decode_image(), from a file; messages start with `path`.
DecodedImage read_decoded(const std::filesystem::path& path, const DecodeOptions& options = {});
Image read_image(const std::filesystem::path& path);

/// An 8-bit PNG, grey or RGB; the same bytes for the same image everywhere.
std::vector<uint8_t> encode_png(const Image& image);
/// A baseline JPEG with three channels whatever the image has, for pages where size matters more
/// than the last grey level. `quality` 1 to 100.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);
/// Writes beside `path` and renames, so that a reader never sees half a file. Error that names the
/// path and the reason when the folder cannot be written or the disk is full.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace assay
