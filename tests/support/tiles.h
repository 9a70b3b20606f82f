// For tests of kernels by tiles: the tile instructions in use, and bf16 values.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/isa.h"

namespace assay::test {

/// Uses these tile instructions until the end of a scope.
class TilesScope {
 public:
  explicit TilesScope(Tiles use) { set_active_tiles(use); }
  ~TilesScope() { set_active_tiles(before_); }
  TilesScope(const TilesScope&) = delete;
  TilesScope& operator=(const TilesScope&) = delete;

 private:
  Tiles before_ = active_tiles();
};

/// Runs f(kind) with emulated tile instructions, and with native ones where there are any.
template <class F>
void for_each_tiles(const F& f) {
  for (const Tiles kind : {Tiles::emulated, Tiles::native}) {
    if (!tiles_available(kind)) continue;
    CAPTURE(std::string(name_of(kind)));
    const TilesScope scope(kind);
    f(kind);
  }
}

inline std::vector<bf16> rounded(const std::vector<float>& values) {
  std::vector<bf16> out;
  for (const float v : values) out.emplace_back(v);
  return out;
}
inline std::vector<float> widened(const std::vector<bf16>& values) {
  std::vector<float> out;
  for (const bf16 v : values) out.push_back(static_cast<float>(v));
  return out;
}

}  // namespace assay::test
