// A kernel without a bf16 version runs its fp32 version between conversions at the edges.
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "kernels/pointwise/pointwise.h"

namespace assay {

/// fp32 copies of the bf16 operands of a call. The kernel runs on what in() and out() return; then
/// finish() rounds the outputs to nearest even.
class Fp32Edges {
 public:
  explicit Fp32Edges(Context& ctx) : ctx_(ctx) {}

  /// A copy of n elements of x; null if x is null.
  const float* in(const bf16* x, int64_t n) {
    if (x == nullptr) return nullptr;
    float* copy = add(nullptr, n);
    convert(ctx_, n, x, copy);
    return copy;
  }
  /// Uninitialised memory for the n elements that finish() rounds into y; null if y is null.
  float* out(bf16* y, int64_t n) { return y == nullptr ? nullptr : add(y, n); }
  void finish() {
    for (int i = 0; i < count_; ++i)
      if (copies_[i].y != nullptr)
        convert(ctx_, copies_[i].n, copies_[i].fp32.as<float>(), copies_[i].y);
  }

 private:
  struct Copy {
    Scratch fp32;
    bf16* y = nullptr;
    int64_t n = 0;
  };
  float* add(bf16* y, int64_t n) {
    Copy& copy = copies_.at(count_++);
    copy = {Scratch(ctx_, static_cast<size_t>(n) * sizeof(float)), y, n};
    return copy.fp32.as<float>();
  }

  Context& ctx_;
  std::array<Copy, 4> copies_;  // no kernel has more bf16 operands
  int count_ = 0;
};

/// f(from, to), a kernel from one tensor to another; for bf16 the fp32 one between conversions.
template <class T, class F>
void with_fp32_edges(Context& ctx, const T* from, int64_t from_size, T* to, int64_t to_size,
                     const F& f) {
  if constexpr (std::is_same_v<T, bf16>) {
    Fp32Edges edges(ctx);
    f(edges.in(from, from_size), edges.out(to, to_size));
    edges.finish();
  } else {
    f(from, to);
  }
}

}  // namespace assay
