// Whole files in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace assay {

/// All bytes of a file. DataError that names it and says why when it cannot be read, as one of
/// more than 2 GB.
std::vector<uint8_t> read_bytes(const std::filesystem::path& file);

/// Writes beside `file` and renames: the old content or the new is there, never half of it. Error
/// that names the file and the reason (no such folder, not allowed, disk full); nothing is left.
void write_bytes(const std::filesystem::path& file, std::span<const uint8_t> bytes);

/// Whether a text may stand in JSON, as file names may not: they are any bytes.
bool is_utf8(std::string_view text);

/// Makes a folder and those above it. Error that names it and the reason.
void make_folder(const std::filesystem::path& folder);

}  // namespace assay
