// Memory of the passes by tiles.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/tiles/source.h"
#include "kernels/runtime/tile_sizes.h"

namespace assay::cpu::tiles {

inline Source source_of_x(const Conv2dShape& s, const bf16* x) {
  return {.rows = s.H, .columns = s.W, .channels = s.C, .x = x};
}
inline Source source_of_dz(const Conv2dShape& s, const Conv2dEpilogue& e,
                           const Conv2dGrad<bf16>& g) {
  return {.rows = s.P(),
          .columns = s.Q(),
          .channels = s.K,
          .x = nullptr,
          .activation = e.activation,
          .slope = e.slope,
          .pool = e.pool,
          .dy = g.dy,
          .y = g.y,
          .argmax = g.argmax};
}

/// Scratch of T, 64-byte aligned. A tile of the last values may reach `slack` bytes behind it.
template <class T>
class TileScratch {
 public:
  TileScratch(Context& ctx, int64_t count, int64_t slack = tile::kBytes)
      : memory_(ctx, sizeof(T) * static_cast<size_t>(count) + static_cast<size_t>(slack)) {}
  T* get() const { return memory_.template as<T>(); }

 private:
  Scratch memory_;
};

}  // namespace assay::cpu::tiles
