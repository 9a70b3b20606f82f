// The CPU's table of algorithms.
#include "kernels/conv2d/algorithm.h"
#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/tiles/tiles.h"
#include "kernels/runtime/isa.h"

namespace assay::cpu {
namespace {

/// Emulated tiles are for tests: they run where they are named.
Coverage tiles_cover(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                     const Conv2dEpilogue& e) {
  const Coverage coverage = tiles::covers(ctx, pass, s, e);
  return coverage.is_possible() && active_tiles() == Tiles::emulated ? kEmulatedTiles : coverage;
}

constexpr Conv2dAlgorithm kTable[] = {
    {.name = "tiles",
     .algo = Algorithm::tiles,
     .covers_text = "bf16 tensors, every shape but an upsampling with a stride or a pool: products "
                    "of 16 x 32 by 32 x 16 values on AMX tiles, epilogue at the store",
     .file = "kernels/conv2d/cpu/tiles/pass.cpp",
     .wgrad_file = "kernels/conv2d/cpu/tiles/wgrad.cpp",
     .covers = tiles_cover,
     .fprop = nullptr,
     .dgrad = nullptr,
     .wgrad = nullptr,
     .bf16_fprop = tiles::fprop,
     .bf16_dgrad = tiles::dgrad,
     .bf16_wgrad = tiles::wgrad},
    {.name = "fused_one_channel",
     .algo = Algorithm::fused,
     .covers_text = "fprop, 3x3, 1 channel, stride 1, pool 2, filters in 16s: the nine taps and a "
                    "window's four sums stay in registers",
     .file = "kernels/conv2d/cpu/one_channel.cpp",
     .wgrad_file = nullptr,
     .covers = one_channel::covers,
     .fprop = one_channel::fprop,
     .dgrad = nullptr,
     .wgrad = nullptr},
    {.name = "winograd_narrow",
     .algo = Algorithm::winograd,
     .covers_text = "fprop of 1 to 3 or 16 channels, dgrad of 16 filters, 3x3, stride 1, pad 1, "
                    "64 pixels or more: 36 products for 16 outputs, all in the first-level cache",
     .file = "kernels/conv2d/cpu/winograd/narrow.cpp",
     .wgrad_file = nullptr,
     .covers = winograd_narrow::covers,
     .fprop = winograd_narrow::fprop,
     .dgrad = winograd_narrow::dgrad,
     .wgrad = nullptr},
    {.name = "fused_pooled_wgrad",
     .algo = Algorithm::fused,
     .covers_text = "wgrad, 3x3, stride 1, pooled, channels in 16s or (AVX-512) at most 3: one "
                    "product for each pooling window, none with a zero of dz",
     .file = nullptr,
     .wgrad_file = "kernels/conv2d/cpu/pooled_wgrad.cpp",
     .covers = pooled_wgrad::covers,
     .fprop = nullptr,
     .dgrad = nullptr,
     .wgrad = pooled_wgrad::wgrad},
    {.name = "winograd",
     .algo = Algorithm::winograd,
     .covers_text = "3x3, stride 1, pad 1, upsampling 1 or 2, channels and filters in 16s, 64 "
                    "pixels or more: 36 products for 16 outputs in place of 144",
     .file = "kernels/conv2d/cpu/winograd/plain.cpp",
     .wgrad_file = "kernels/conv2d/cpu/winograd/plain_wgrad.cpp",
     .covers = winograd::covers,
     .fprop = winograd::fprop,
     .dgrad = winograd::dgrad,
     .wgrad = winograd::wgrad},
    {.name = "winograd_strided",
     .algo = Algorithm::winograd,
     .covers_text = "4x4, stride 2, pad 1, no pool, channels and filters in 16s, two images or "
                    "more: 100 products for 16 outputs in place of 256",
     .file = "kernels/conv2d/cpu/winograd/strided.cpp",
     .wgrad_file = "kernels/conv2d/cpu/winograd/strided.cpp",
     .covers = winograd_strided::covers,
     .fprop = winograd_strided::fprop,
     .dgrad = winograd_strided::dgrad,
     .wgrad = winograd_strided::wgrad},
    {.name = "fused",
     .algo = Algorithm::fused,
     .covers_text = "every shape but an upsampling with a stride or a pool: register tiles over "
                    "staged rows, no products with zeros, epilogue in registers",
     .file = "kernels/conv2d/cpu/fused.cpp",
     .wgrad_file = "kernels/conv2d/cpu/fused_wgrad.cpp",
     .covers = fused::covers,
     .fprop = fused::fprop,
     .dgrad = fused::dgrad,
     .wgrad = fused::wgrad},
    {.name = "blocked",
     .algo = Algorithm::blocked,
     .covers_text = "every shape: im2col and a matrix product blocked for registers and caches",
     .file = "kernels/conv2d/cpu/blocked.cpp",
     .wgrad_file = "kernels/conv2d/cpu/blocked.cpp",
     .covers = blocked::covers,
     .fprop = blocked::fprop,
     .dgrad = blocked::dgrad,
     .wgrad = blocked::wgrad},
    {.name = "naive",
     .algo = Algorithm::naive,
     .covers_text = "every shape: plain loops in the order of the formula",
     .file = "kernels/conv2d/cpu/naive.cpp",
     .wgrad_file = "kernels/conv2d/cpu/naive.cpp",
     .covers = naive::covers,
     .fprop = naive::fprop,
     .dgrad = naive::dgrad,
     .wgrad = naive::wgrad},
};

}  // namespace

std::span<const Conv2dAlgorithm> conv2d_table() {
  return kTable;
}

}  // namespace assay::cpu
