// Kinds of image files, told apart by their first bytes and by the endings of their names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace assay {

/// Bytes from the beginning of a file that suffice for image_format().
inline constexpr size_t kFormatBytes = 32;

/// "PNG", "JPEG", "TIFF", ... by the signature; empty if no known image begins so.
std::string_view image_format(std::span<const uint8_t> head);
/// PNG, JPEG, BMP and GIF are read; of an animated GIF the first frame.
bool is_readable_format(std::string_view format);
inline constexpr const char* kReadableFormats = "PNG, JPEG, BMP or GIF";

/// True for names that images of these formats have: .png .jpg .jpeg .jpe .jfif .bmp .dib .gif, in
/// any case.
bool is_image_name(const std::filesystem::path& path);
/// The format that the extension stands for (.tif, .webp, ...), if it is one that is not read; else
/// empty.
std::string_view foreign_format_of_name(const std::filesystem::path& path);

}  // namespace assay
