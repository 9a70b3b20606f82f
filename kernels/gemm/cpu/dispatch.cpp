// The CPU's table of matrix products.
#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/cpu/algorithms.h"

namespace assay::cpu {
namespace {

constexpr GemmAlgorithm kTable[] = {
    {.name = "blocked",
     .algo = Algorithm::blocked,
     .covers_text = "every shape: packed panels, register tiles of 12 x 32 (AVX-512) or 6 x 16",
     .file = "kernels/gemm/cpu/blocked.cpp",
     .covers = [](const Context&) { return Coverage::yes(); },
     .product = gemm_blocked},
    {.name = "naive",
     .algo = Algorithm::naive,
     .covers_text = "every shape: plain loops",
     .file = "kernels/gemm/cpu/naive.cpp",
     .covers = [](const Context&) { return Coverage::but_slower("one sum at a time"); },
     .product = gemm_naive},
};

}  // namespace

std::span<const GemmAlgorithm> gemm_table() {
  return kTable;
}

}  // namespace assay::cpu
