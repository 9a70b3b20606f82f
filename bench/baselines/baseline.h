// NVIDIA's libraries as the benchmarks see them: plain C++, without a header of the libraries.
//
// A library often has many ways (cuDNN: "plans") to do one operation. Candidates are listed in the
// order in which the library recommends them; the benchmark builds, verifies and times them, and
// compares with the fastest. Only bench and tests link this.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/layer_shapes.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/gemm.h"

namespace assay::bench {

enum class Layout : uint8_t { nhwc, nchw };
enum class Element : uint8_t { f32, bf16 };

constexpr const char* name_of(Layout l) {
  return l == Layout::nhwc ? "nhwc" : "nchw";
}
constexpr size_t size_of(Element e) {
  return e == Element::f32 ? 4 : 2;
}

/// The arithmetic that a library may use to be compared with ours. For fp32, fp32_strict and tf32x3
/// that is fp32 tensors without tensor cores.
struct MathMode {
  Element element;  ///< type of x, w and y; sums are fp32
  bool tf32;        ///< TF32 products are allowed
};
constexpr MathMode math_mode(Precision p) {
  return p == Precision::bf16   ? MathMode{Element::bf16, false}
         : p == Precision::tf32 ? MathMode{Element::f32, true}
                                : MathMode{Element::f32, false};
}

/// A convolution without upsampling or pooling; fprop may have a bias and an activation behind it.
struct ConvRequest {
  Conv2dShape shape;
  Pass pass;
  MathMode mode;
  bool bias = false;
  Activation activation = Activation::none;  ///< fprop only
  float slope = 0;
};

/// Device addresses, all of the mode's element type (cuDNN fuses no other bias). fprop writes y,
/// dgrad x, wgrad w. Filters are (K,R,S,C) or (K,C,R,S).
struct ConvPointers {
  void *x, *w, *y;
  const void* bias = nullptr;
};

struct ConvPlan {
  std::string notes;     ///< the library's notes: "tensor_core nondeterministic"
  size_t workspace = 0;  ///< bytes
  std::function<void(const ConvPointers&, void* workspace)> run;
};

/// A plan that could be built; building may compile a kernel, which takes a second.
struct ConvCandidate {
  std::string name;  ///< the same in every process: "nhwc engine 47 (2=1 13=0)"
  Layout layout;
  std::function<ConvPlan()> build;  ///< throws Error if the library refuses
};

/// Sizes of a tensor (N,H,W,C) in any layout.
struct Extent {
  int N, H, W, C;
};

/// A call on device addresses, in the order of the declaration that made it.
using Call = std::function<void(const std::vector<void*>& pointers)>;

/// A deep learning library: cuDNN.
class DnnLibrary {
 public:
  virtual ~DnnLibrary() = default;
  virtual std::string name() const = 0;
  /// Lists of candidates, each best first: the graph API in both layouts, then the older API in
  /// both. `exhaustive`: all the engines that the library knows for the operation.
  virtual std::vector<std::vector<ConvCandidate>> convolution(const ConvRequest& r,
                                                              bool exhaustive) = 0;
  // The operations between convolutions, NHWC or NCHW. All throw Error if the library refuses.
  /// y = f(z + bias): z, bias (C), y.
  virtual Call bias_activation(Extent e, Element t, Layout l, Activation a, float slope) = 0;
  /// dz from y and dy: y, dy, dz.
  virtual Call activation_backward(Extent e, Element t, Layout l, Activation a, float slope) = 0;
  /// x, y. `e` is x's.
  virtual Call max_pool(Extent e, Element t, Layout l, int window) = 0;
  /// x, y, dy, dx.
  virtual Call max_pool_backward(Extent e, Element t, Layout l, int window) = 0;
  /// dbias (C) from dz: dz, dbias.
  virtual Call bias_gradient(Extent e, Element t, Layout l) = 0;
  /// Training: x, gamma, beta, y, mean, rstd. `e` is x's.
  virtual Call batchnorm(Extent e, Element t, Layout l) = 0;
};

/// A linear algebra library: cuBLASLt.
struct GemmPlan {
  std::string name;
  /// C (M,N) = op(A) op(B), all row-major as in kernels/gemm/gemm.h.
  std::function<void(const void* a, const void* b, void* c)> run;
};
class BlasLibrary {
 public:
  virtual ~BlasLibrary() = default;
  virtual std::string name() const = 0;
  /// Best first, at most `max_plans`, for `batches` such products, whose operands lie one after
  /// another. A and B have the mode's type, C is fp32.
  virtual std::vector<GemmPlan> gemm(const GemmShape& s, int batches, MathMode mode,
                                     int max_plans) = 0;
};

/// The libraries on a stream of the CUDA device; null in a build without them (the emulated ones).
std::unique_ptr<DnnLibrary> open_dnn(void* stream);
std::unique_ptr<BlasLibrary> open_blas(void* stream);

}  // namespace assay::bench
