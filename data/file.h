// Reading and writing whole files, and names of files as text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

/// All bytes of a file. DataError that names it and says why when it cannot be read, as one of
/// more than 2 GB.
std::vector<uint8_t> read_bytes(const std::filesystem::path& file);

/// Like write_file (kernels/runtime/atomic_file.h), without fsync: for images, which can be made
/// again.
void write_bytes(const std::filesystem::path& file, std::span<const uint8_t> bytes);

/// Whether a text is valid UTF-8, as JSON requires. File names can be any bytes.
bool is_utf8(std::string_view text);

/// A name as a terminal may show it: control characters and bytes that are no UTF-8 become \xNN.
std::string printable(std::string_view text);

/// A name as JSON and CSV hold it: the name itself if it is UTF-8, else "file:" and its bytes with
/// those that a URI may not hold as %NN (Python's urllib.parse.unquote_to_bytes decodes it). Names
/// that begin with "file:" are encoded too.
std::string list_name(std::string_view name);

/// Makes a folder and those above it. Error that names it and the reason.
void make_folder(const std::filesystem::path& folder);

}  // namespace assay
