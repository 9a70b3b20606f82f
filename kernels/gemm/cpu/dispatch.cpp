// The CPU's table of matrix products.
#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/cpu/algorithms.h"
#include "kernels/gemm/cpu/tiles.h"
#include "kernels/runtime/isa.h"

namespace assay::cpu {
namespace {

/// Emulated tiles are for tests: they run where they are named.
Coverage tiles_cover(const Context&, const GemmShape& s) {
  const Coverage coverage = gemm_tiles_covers(s);
  return coverage.is_possible() && active_tiles() == Tiles::emulated ? kEmulatedTiles : coverage;
}

constexpr GemmAlgorithm kTable[] = {
    {.name = "tiles",
     .algo = Algorithm::tiles,
     .covers_text = "bf16 tensors of a tile or more: a 1x1 convolution on AMX tiles",
     .file = "kernels/gemm/cpu/tiles.cpp",
     .covers = nullptr,
     .product = nullptr,
     .bf16_covers = tiles_cover,
     .bf16_product = gemm_tiles,
     .bf16_wgrad = gemm_tiles_wgrad},
    {.name = "blocked",
     .algo = Algorithm::blocked,
     .covers_text = "every shape: packed panels, register tiles of 12 x 32 (AVX-512) or 6 x 16",
     .file = "kernels/gemm/cpu/blocked.cpp",
     .covers = [](const Context&, const GemmShape&) { return Coverage::yes(); },
     .product = gemm_blocked},
    {.name = "naive",
     .algo = Algorithm::naive,
     .covers_text = "every shape: plain loops",
     .file = "kernels/gemm/cpu/naive.cpp",
     .covers = [](const Context&,
                  const GemmShape&) { return Coverage::but_slower("one sum at a time"); },
     .product = gemm_naive},
};

}  // namespace

std::span<const GemmAlgorithm> gemm_table() {
  return kTable;
}

}  // namespace assay::cpu
