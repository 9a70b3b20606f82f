#include "data/file.h"

#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/read_file.h"

namespace assay {
namespace {

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

std::vector<uint8_t> read_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  ASSAY_CHECK_AS(DataError, !error, "{}: cannot be read: {}", file.string(), error.message());
  ASSAY_CHECK_AS(DataError, size <= INT_MAX, "{}: the file is larger than 2 GB", file.string());
  const File in(std::fopen(file.c_str(), "rb"));
  if (!in) check_not_refused(file, errno);
  ASSAY_CHECK_AS(DataError, in, "{}: cannot be read: {}", file.string(), std::strerror(errno));
  std::vector<uint8_t> bytes(size);
  const size_t got = std::fread(bytes.data(), 1, bytes.size(), in.get());
  ASSAY_CHECK_AS(DataError, got == bytes.size(),
                 "{}: only {} of {} bytes could be read; check the disk", file.string(), got, size);
  return bytes;
}

void write_bytes(const std::filesystem::path& file, std::span<const uint8_t> bytes) {
  AtomicFile out(file);
  out.write(bytes.data(), bytes.size());
  out.commit(/*durable=*/false);
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<uint8_t>(text[at]);
    const int length = first < 0x80            ? 1
                       : first >> 5 == 0b110   ? 2
                       : first >> 4 == 0b1110  ? 3
                       : first >> 3 == 0b11110 ? 4
                                               : 0;
    if (length == 0 || text.size() - at < static_cast<size_t>(length)) return false;
    uint32_t code = length == 1 ? first : first & (0x7Fu >> length);
    for (int i = 1; i < length; ++i) {
      const auto next = static_cast<uint8_t>(text[at + i]);
      if (next >> 6 != 0b10) return false;
      code = code << 6 | (next & 0x3Fu);
    }
    // The shortest form alone is allowed; surrogates and what lies beyond Unicode are not.
    constexpr uint32_t kMin[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kMin[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    at += length;
  }
  return true;
}

std::string printable(std::string_view text) {
  const bool utf8 = is_utf8(text);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    const bool control = c < 0x20 || c == 0x7F;
    // U+0080 to U+009F are control characters too: terminals obey some.
    const bool c1 = utf8 && c == 0xC2 && static_cast<uint8_t>(text[i + 1]) < 0xA0;
    if (c1) {
      out += fmt::format("\\xC2\\x{:02X}", static_cast<uint8_t>(text[++i]));
    } else if (control || (!utf8 && c >= 0x80)) {
      out += fmt::format("\\x{:02X}", c);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string list_name(std::string_view name) {
  constexpr std::string_view kScheme = "file:";
  if (is_utf8(name) && !name.starts_with(kScheme)) return std::string(name);
  std::string out(kScheme);
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("/._-~").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ASSAY_CHECK(!error && std::filesystem::is_directory(folder, error),
              "{}: the folder cannot be made: {}; choose another", folder.string(),
              error ? error.message() : "a file has this name");
}

}  // namespace assay
