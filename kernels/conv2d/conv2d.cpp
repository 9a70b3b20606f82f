#include "kernels/conv2d/conv2d.h"

#include <fmt/format.h>

#include <string>
#include <type_traits>

#include "kernels/conv2d/algorithm.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

/// The lowering of a call, none if the caller named an algorithm.
Lowering lowering_in(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return ctx.algorithm == Algorithm::automatic ? lowering_of(s, e) : Lowering::none;
}

const Conv2dAlgorithm& row_of(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                              const Conv2dEpilogue& e) {
  return select_algorithm(conv2d_algorithms(ctx.device), ctx.algorithm,
                          [&](const Conv2dAlgorithm& row) { return row.covers(ctx, pass, s, e); });
}

}  // namespace

std::span<const Conv2dAlgorithm> conv2d_algorithms(Device device) {
#if ASSAY_HAVE_CUDA
  if (device.is_cuda()) return cuda::conv2d_table();
#endif
  static_cast<void>(device);
  return cpu::conv2d_table();
}

Algorithm conv2d_algorithm_from_name(Device device, std::string_view name) {
  std::string known = name_of(Algorithm::automatic);
  if (name == known) return Algorithm::automatic;
  for (const Conv2dAlgorithm& row : conv2d_algorithms(device)) {
    if (name == name_of(row.algo)) return row.algo;
    if (known.find(name_of(row.algo)) == std::string::npos)
      known += fmt::format(", {}", name_of(row.algo));
  }
  throw UsageError(
      fmt::format("algorithm: '{}' is none of those on {}: {}", name, device.name(), known));
}

Conv2dChoice conv2d_algorithm(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                              const Conv2dEpilogue& e) {
  Conv2dChoice choice{.lowering = lowering_in(ctx, s, e), .shape = s, .epilogue = e};
  if (choice.lowering == Lowering::gemm) {
    choice.gemm = &gemm_algorithm(ctx);
    return choice;
  }
  choice.shape = lowered_shape(choice.lowering, s);
  // The backward passes on the small image get dz, without an epilogue.
  if (choice.lowering == Lowering::small_image && pass != ConvPass::fprop) choice.epilogue = {};
  choice.conv = &row_of(ctx, pass, choice.shape, choice.epilogue);
  return choice;
}

const char* Conv2dChoice::file(ConvPass pass) const {
  if (gemm != nullptr) return gemm->file;
  return pass == ConvPass::wgrad ? conv->wgrad_file : conv->file;
}

template <class T>
void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Weights<T> w, const T* bias, T* y, uint8_t* argmax) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_fprop(s, e, x, w, bias, y, argmax);
  } else {
    if (e.pool == 1) argmax = nullptr;
    const Lowering lowering = lowering_in(ctx, s, e);
    if (lowering != Lowering::none)
      return lowered_fprop(ctx, lowering, s, e, x, w, bias, y, argmax);
    row_of(ctx, ConvPass::fprop, s, e).fprop(ctx, s, e, x, w, bias, y, argmax);
  }
}

template <class T>
void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
                  Weights<T> w, T* dx) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_dgrad(s, e, g, w, dx);
  } else {
    const Lowering lowering = lowering_in(ctx, s, e);
    if (lowering != Lowering::none) return lowered_dgrad(ctx, lowering, s, e, g, w, dx);
    row_of(ctx, ConvPass::dgrad, s, e).dgrad(ctx, s, e, g, w, dx);
  }
}

template <class T>
void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, T* dw, T* dbias) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_wgrad(s, e, x, g, dw, dbias);
  } else {
    const Lowering lowering = lowering_in(ctx, s, e);
    if (lowering != Lowering::none) return lowered_wgrad(ctx, lowering, s, e, x, g, dw, dbias);
    row_of(ctx, ConvPass::wgrad, s, e).wgrad(ctx, s, e, x, g, dw, dbias);
  }
}

int64_t conv2d_flops(const Conv2dShape& s) {
  return int64_t{2} * s.N * s.P() * s.Q() * s.K * s.R * s.S * s.C;
}

int64_t conv2d_min_bytes(const Conv2dShape& s, const Conv2dEpilogue& e) {
  const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
  const int64_t floats = int64_t{s.N} * s.H * s.W * s.C + int64_t{s.K} * s.R * s.S * s.C + s.K;
  return 4 * (floats + outputs) + (e.pool > 1 ? outputs : 0);
}

#define ASSAY_INSTANTIATE(T)                                                                   \
  template void conv2d_fprop<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Weights<T>, const T*, T*, uint8_t*);                           \
  template void conv2d_dgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&,           \
                                Conv2dGrad<T>, Weights<T>, T*);                                \
  template void conv2d_wgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Conv2dGrad<T>, T*, T*);
ASSAY_INSTANTIATE(float)
ASSAY_INSTANTIATE(double)
#undef ASSAY_INSTANTIATE

}  // namespace assay
