// The sizes of a tile register (tile_instructions.h): 16 rows of 64 bytes.
#pragma once

#include <cstdint>

namespace assay::tile {

inline constexpr int kRows = 16;          ///< of a tile
inline constexpr int kColumns = 16;       ///< floats of a row
inline constexpr int kDepth = 32;         ///< bf16 values of a row
inline constexpr int64_t kRowBytes = 64;  ///< of a row
inline constexpr int64_t kBytes = 1024;   ///< of a tile
inline constexpr int64_t kValues = 512;   ///< bf16 values of a tile

}  // namespace assay::tile
