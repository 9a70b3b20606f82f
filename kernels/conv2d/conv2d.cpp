#include "kernels/conv2d/conv2d.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <type_traits>

#include "kernels/conv2d/algorithm.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/pointwise/fp32_edges.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

/// The lowering of a call, none if the caller named an algorithm.
Lowering lowering_in(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return ctx.algorithm == Algorithm::automatic ? lowering_of(s, e) : Lowering::none;
}

/// The row of a call on float tensors.
const Conv2dAlgorithm& row_of(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                              const Conv2dEpilogue& e) {
  return select_algorithm(conv2d_algorithms(ctx.device), ctx.algorithm,
                          [&](const Conv2dAlgorithm& row) {
                            return row.is_bf16() ? Coverage::no("for bfloat16 tensors alone")
                                                 : row.covers(ctx, pass, s, e);
                          });
}

/// The row that computes a pass on bf16 tensors as they are; null if an fp32 row runs between
/// conversions, as it does when no such row covers the call or another algorithm was named.
const Conv2dAlgorithm* bf16_row_of(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                                   const Conv2dEpilogue& e) {
  for (const Conv2dAlgorithm& row : conv2d_algorithms(ctx.device))
    if (row.is_bf16() && takes_bf16(ctx, row.algo, row.covers(ctx, pass, s, e))) return &row;
  return nullptr;
}

int64_t inputs(const Conv2dShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
int64_t outputs(const Conv2dShape& s, const Conv2dEpilogue& e) {
  return int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
}

/// Blocks of images that fp32 rows compute one after the other between conversions, so that the
/// fp32 copies stay small. A block has at least two images, as winograd_strided wants. On CUDA it
/// has all images: one launch of a kernel keeps more multiprocessors busy than several.
class ImageBlocks {
 public:
  ImageBlocks(Device device, const Conv2dShape& s, const Conv2dEpilogue& e) : s_(s), e_(e) {
    if (device.is_cuda()) return;
    constexpr int64_t kBytes = 8 << 20;  // of copies of x, y and dy
    const int64_t bytes = int64_t{sizeof(float)} * (inputs(s) + 2 * outputs(s, e));
    const int max_count = std::max(1, s.N / 2);
    count_ = static_cast<int>(std::clamp<int64_t>(bytes / kBytes, 1, max_count));
    // Blocks of one size take and free the same memory.
    while (count_ < max_count && s.N % count_ != 0) ++count_;
  }
  int count() const { return count_; }
  /// The convolution of a block.
  Conv2dShape shape(int block) const { return images(first(block + 1) - first(block)); }
  /// Where a block begins in x and dx, and in y, dy and argmax.
  int64_t input(int block) const { return inputs(images(first(block))); }
  int64_t output(int block) const { return outputs(images(first(block)), e_); }

 private:
  int first(int block) const { return static_cast<int>(int64_t{s_.N} * block / count_); }
  Conv2dShape images(int count) const {
    Conv2dShape part = s_;
    part.N = count;
    return part;
  }

  Conv2dShape s_;
  Conv2dEpilogue e_;
  int count_ = 1;
};

/// The operands of a block, whose first output element is `at`, in fp32.
Conv2dGrad<float> grad_in(Fp32Edges& edges, const Conv2dShape& block, const Conv2dEpilogue& e,
                          const Conv2dGrad<bf16>& g, int64_t at) {
  const int64_t n = outputs(block, e);
  const bf16* y = e.activation == Activation::none ? nullptr : g.y + at;
  return {edges.in(g.dy + at, n), edges.in(y, n), g.argmax == nullptr ? nullptr : g.argmax + at};
}

void fprop_in_fp32(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                   Weights<float> w, const float* bias, bf16* y, uint8_t* argmax) {
  const ImageBlocks blocks(ctx.device, s, e);
  for (int i = 0; i < blocks.count(); ++i) {
    const Conv2dShape block = blocks.shape(i);
    const int64_t in = blocks.input(i), out = blocks.output(i);
    Fp32Edges edges(ctx);
    conv2d_fprop<float>(ctx, block, e, edges.in(x + in, inputs(block)), w, bias,
                        edges.out(y + out, outputs(block, e)),
                        argmax == nullptr ? nullptr : argmax + out);
    edges.finish();
  }
}

void dgrad_in_fp32(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const Conv2dGrad<bf16>& g, Weights<float> w, bf16* dx) {
  const ImageBlocks blocks(ctx.device, s, e);
  for (int i = 0; i < blocks.count(); ++i) {
    const Conv2dShape block = blocks.shape(i);
    const int64_t in = blocks.input(i), out = blocks.output(i);
    Fp32Edges edges(ctx);
    conv2d_dgrad<float>(ctx, block, e, grad_in(edges, block, e, g, out), w,
                        edges.out(dx + in, inputs(block)));
    edges.finish();
  }
}

/// The gradients of the blocks are added in order.
void wgrad_in_fp32(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                   const Conv2dGrad<bf16>& g, float* dw, float* dbias) {
  const ImageBlocks blocks(ctx.device, s, e);
  const int64_t weights = int64_t{s.K} * s.R * s.S * s.C;
  const Scratch more(ctx,
                     static_cast<size_t>(blocks.count() > 1 ? weights + s.K : 0) * sizeof(float));
  float* const dw_more = more.as<float>();
  float* const dbias_more = dbias == nullptr ? nullptr : dw_more + weights;
  for (int i = 0; i < blocks.count(); ++i) {
    const Conv2dShape block = blocks.shape(i);
    const int64_t in = blocks.input(i), out = blocks.output(i);
    Fp32Edges edges(ctx);
    Context whole = ctx;  // the sums of blocks are added here, so they must be complete
    if (blocks.count() > 1) whole.unfinished = nullptr;
    conv2d_wgrad<float>(whole, block, e, edges.in(x + in, inputs(block)),
                        grad_in(edges, block, e, g, out), i == 0 ? dw : dw_more,
                        i == 0 ? dbias : dbias_more);
    if (i == 0) continue;
    add<float>(ctx, weights, dw, dw_more, dw);
    if (dbias != nullptr) add<float>(ctx, s.K, dbias, dbias_more, dbias);
  }
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
                              const Conv2dEpilogue& e, DType type) {
  if (type == DType::bf16) {
    if (const Conv2dAlgorithm* row = bf16_row_of(ctx, pass, s, e))
      return {.shape = s, .epilogue = e, .conv = row};
    return conv2d_algorithm(ctx, pass, ImageBlocks(ctx.device, s, e).shape(0), e);
  }
  Conv2dChoice choice{.lowering = lowering_in(ctx, s, e), .shape = s, .epilogue = e};
  if (choice.lowering == Lowering::gemm) {
    choice.gemm = &gemm_algorithm(ctx, gemm_of(pass, s));
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
                  Weights<Master<T>> w, const Master<T>* bias, T* y, uint8_t* argmax) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_fprop(s, e, x, w, bias, y, argmax);
  } else if constexpr (std::is_same_v<T, bf16>) {
    if (e.pool == 1) argmax = nullptr;
    if (const Conv2dAlgorithm* row = bf16_row_of(ctx, ConvPass::fprop, s, e))
      return row->bf16_fprop(ctx, s, e, x, w, bias, y, argmax);
    fprop_in_fp32(ctx, s, e, x, w, bias, y, argmax);
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
                  Weights<Master<T>> w, T* dx) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_dgrad(s, e, g, w, dx);
  } else if constexpr (std::is_same_v<T, bf16>) {
    if (const Conv2dAlgorithm* row = bf16_row_of(ctx, ConvPass::dgrad, s, e))
      return row->bf16_dgrad(ctx, s, e, g, w, dx);
    dgrad_in_fp32(ctx, s, e, g, w, dx);
  } else {
    const Lowering lowering = lowering_in(ctx, s, e);
    if (lowering != Lowering::none) return lowered_dgrad(ctx, lowering, s, e, g, w, dx);
    row_of(ctx, ConvPass::dgrad, s, e).dgrad(ctx, s, e, g, w, dx);
  }
}

template <class T>
void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, Master<T>* dw, Master<T>* dbias) {
  if constexpr (std::is_same_v<T, double>) {
    ref::conv2d_wgrad(s, e, x, g, dw, dbias);
  } else if constexpr (std::is_same_v<T, bf16>) {
    if (const Conv2dAlgorithm* row = bf16_row_of(ctx, ConvPass::wgrad, s, e))
      return row->bf16_wgrad(ctx, s, e, x, g, dw, dbias);
    wgrad_in_fp32(ctx, s, e, x, g, dw, dbias);
  } else {
    const Lowering lowering = lowering_in(ctx, s, e);
    if (lowering != Lowering::none) return lowered_wgrad(ctx, lowering, s, e, x, g, dw, dbias);
    row_of(ctx, ConvPass::wgrad, s, e).wgrad(ctx, s, e, x, g, dw, dbias);
  }
}

template <class T>
void conv2d_bprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, Weights<Master<T>> w, T* dx, Master<T>* dw, Master<T>* dbias) {
  if constexpr (std::is_same_v<T, float>)
    if (lowering_in(ctx, s, e) == Lowering::small_image)
      return small_image_bprop(ctx, s, e, x, g, w, dx, dw, dbias);
  conv2d_dgrad<T>(ctx, s, e, g, w, dx);
  conv2d_wgrad<T>(ctx, s, e, x, g, dw, dbias);
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
                                Weights<Master<T>>, const Master<T>*, T*, uint8_t*);           \
  template void conv2d_dgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&,           \
                                Conv2dGrad<T>, Weights<Master<T>>, T*);                        \
  template void conv2d_wgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Conv2dGrad<T>, Master<T>*, Master<T>*);                        \
  template void conv2d_bprop<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Conv2dGrad<T>, Weights<Master<T>>, T*, Master<T>*, Master<T>*);
ASSAY_INSTANTIATE(float)
ASSAY_INSTANTIATE(double)
ASSAY_INSTANTIATE(bf16)
#undef ASSAY_INSTANTIATE

}  // namespace assay
