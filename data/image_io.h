// Picture files: PNG, JPEG and BMP in, PNG and JPEG out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace assay {

/// The longest side that is read, in pixels.
inline constexpr int kMaxImageSide = 16384;

/// Decodes PNG, JPEG or BMP: 1 to 16 bits a value, grey, RGB, with alpha or a palette. The result
/// has 1 channel where the file is grey, else 3. Alpha is dropped and 16 bits become the upper 8,
/// both as Pillow has them. DataError, one sentence that starts with `name` and says what to do,
/// for anything else: an empty or cut file, another kind of file, a wrong PNG checksum, a JPEG
/// without its end, a side over kMaxImageSide.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name);
/// The same from a file; `path` is the name in the message.
Image read_image(const std::filesystem::path& path);

/// An 8-bit PNG, grey or RGB; the same bytes for the same picture everywhere.
std::vector<uint8_t> encode_png(const Image& image);
/// A baseline JPEG with three channels whatever the picture has, for pages where size matters more
/// than the last grey level. `quality` 1 to 100.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);
/// Writes beside `path` and renames, so that a reader never sees half a file. Error that names the
/// path and the reason when the folder cannot be written or the disk is full.
void write_png(const std::filesystem::path& path, const Image& image);

/// True for the file names that hold pictures here: .png .jpg .jpeg .bmp, in any case.
bool is_image_name(const std::filesystem::path& path);
/// An entry with such a name that is no folder. A link that leads nowhere counts: reading it is the
/// error that says so, and no picture is passed over in silence.
bool is_picture(const std::filesystem::directory_entry& entry);

}  // namespace assay
