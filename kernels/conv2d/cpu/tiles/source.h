// The source of a pass by tiles.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"

namespace assay::cpu::tiles {

/// What the 32 values of a step are: channels under one tap; or, of a source with few channels, a
/// run of the window that an output pixel sees, column by column.
enum class Reduction : uint8_t { channels, window };

/// Rows of a window that Reduction::window takes at most.
inline constexpr int kMaxWindowRows = 16;

/// Images of bf16 (rows, columns, channels): x, or dz formed from dy, y and argmax (conv2d.h).
struct Source {
  int rows, columns, channels;
  const bf16* x;  ///< null: dz
  Activation activation = Activation::none;
  float slope = 0;
  int pool = 1;
  const bf16 *dy = nullptr, *y = nullptr;
  const uint8_t* argmax = nullptr;
};

}  // namespace assay::cpu::tiles
