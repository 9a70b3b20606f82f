// The built-in data set: images of five kinds of objects, drawn from a seed, with defects and
// their masks. It needs no download. Results on it are called "synthetic".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace assay {

inline constexpr int kBuiltinSize = 256;      ///< pixels a side
inline constexpr int kBuiltinTrainGood = 60;  ///< images of each class
inline constexpr int kBuiltinTestGood = 16;   ///< images of each class
inline constexpr int kBuiltinDefective = 24;  ///< images of each class, over its defects

/// brush, chip, leather, ring, screw.
std::vector<std::string> builtin_classes();

/// Images are painted when they are loaded; nothing is written. Pixel values depend on (class,
/// path, size, seed) alone: the same bytes on every machine. UsageError for an unknown class (the
/// message lists those there are) or a size outside 32 to 2048.
Dataset open_builtin(const std::string& object_class, int size = kBuiltinSize, uint64_t seed = 0);

/// Writes all classes in MVTec's layout. UsageError when the folder has one of them already, Error
/// when it cannot be written.
void write_builtin(const std::filesystem::path& folder, int size = kBuiltinSize, uint64_t seed = 0);

}  // namespace assay
