#include "data/image_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace assay {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view format;
  size_t at;  ///< offset in the file
  std::string_view bytes;
};

// The longest signatures first: RIFF alone is also the beginning of sound files.
constexpr std::array kSignatures = {
    Signature{"PNG", 0, "\x89PNG\r\n\x1A\n"sv},
    Signature{"JPEG", 0, "\xFF\xD8\xFF"sv},
    Signature{"GIF", 0, "GIF87a"sv},
    Signature{"GIF", 0, "GIF89a"sv},
    Signature{"TIFF", 0, "II*\0"sv},
    Signature{"TIFF", 0, "MM\0*"sv},
    Signature{"TIFF", 0, "II+\0"sv},
    Signature{"TIFF", 0, "MM\0+"sv},
    Signature{"WebP", 8, "WEBP"sv},
    Signature{"AVIF", 4, "ftypavi"sv},
    Signature{"HEIC", 4, "ftyphei"sv},
    Signature{"HEIC", 4, "ftyphev"sv},
    Signature{"HEIC", 4, "ftypmif1"sv},
    Signature{"JPEG 2000", 0, "\0\0\0\x0CjP  "sv},
    Signature{"JPEG 2000", 0, "\xFF\x4F\xFF\x51"sv},
    Signature{"JPEG XL", 0, "\xFF\x0A"sv},
    Signature{"JPEG XL", 0, "\0\0\0\x0CJXL "sv},
    Signature{"Photoshop", 0, "8BPS"sv},
    Signature{"OpenEXR", 0, "v/1\x01"sv},
    Signature{"Radiance HDR", 0, "#?RADIANCE"sv},
    Signature{"QOI", 0, "qoif"sv},
};

std::string ending_of(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending;
}

uint32_t little_endian(std::span<const uint8_t> bytes, size_t at) {
  return bytes[at] | uint32_t{bytes[at + 1]} << 8 | uint32_t{bytes[at + 2]} << 16 |
         uint32_t{bytes[at + 3]} << 24;
}

/// "BM" may begin a text, so the size of the second header is checked too.
bool is_bmp(std::span<const uint8_t> head) {
  if (head.size() < 18 || head[0] != 'B' || head[1] != 'M') return false;
  const uint32_t size = little_endian(head, 14);
  return size == 12 || (size >= 16 && size <= 124);
}

/// "P5\n640 ...": the magic number, white space, a digit or a comment.
bool is_portable_map(std::span<const uint8_t> head) {
  return head.size() >= 4 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7' &&
         std::isspace(head[2]) != 0 && (std::isdigit(head[3]) != 0 || head[3] == '#');
}

}  // namespace

std::string_view image_format(std::span<const uint8_t> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  for (const Signature& s : kSignatures)
    if (text.size() >= s.at && text.substr(s.at).starts_with(s.bytes)) return s.format;
  if (is_bmp(head)) return "BMP";
  if (is_portable_map(head)) return "PNM";
  return "";
}

bool is_readable_format(std::string_view format) {
  return format == "PNG" || format == "JPEG" || format == "BMP" || format == "GIF";
}

bool is_image_name(const std::filesystem::path& path) {
  static constexpr std::array kEndings = {".png",  ".jpg", ".jpeg", ".jpe",
                                          ".jfif", ".bmp", ".dib",  ".gif"};
  const std::string ending = ending_of(path);
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

std::string_view foreign_format_of_name(const std::filesystem::path& path) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kEndings = {
      {{".tif", "TIFF"},       {".tiff", "TIFF"},      {".webp", "WebP"},
       {".heic", "HEIC"},      {".heif", "HEIC"},      {".avif", "AVIF"},
       {".jp2", "JPEG 2000"},  {".j2k", "JPEG 2000"},  {".jpx", "JPEG 2000"},
       {".jxl", "JPEG XL"},    {".psd", "Photoshop"},  {".exr", "OpenEXR"},
       {".hdr", "HDR"},        {".tga", "TGA"},        {".pgm", "PNM"},
       {".ppm", "PNM"},        {".pbm", "PNM"},        {".pnm", "PNM"},
       {".qoi", "QOI"},        {".dng", "raw camera"}, {".cr2", "raw camera"},
       {".nef", "raw camera"}, {".arw", "raw camera"}, {".raw", "raw camera"},
       {".dcm", "DICOM"},      {".svg", "SVG"}}};
  const std::string ending = ending_of(path);
  for (const auto& [name, format] : kEndings)
    if (ending == name) return format;
  return "";
}

}  // namespace assay
