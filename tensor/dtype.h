// From the element type of a tensor to the template argument of a kernel.
#pragma once

#include <fmt/core.h>

#include <string_view>

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/profile_range.h"
#include "tensor/tensor.h"

namespace assay {

/// Runs f.operator()<T>() with the type of `x`, f32 or f64; throws Error, which names `op`, for
/// another. For losses and optimizers, which want more digits than bf16 has. Profilers show the
/// kernels that f launches under that name.
template <class F>
void with_wide_type(std::string_view op, const Tensor& x, const F& f) {
  const ProfileRange range(op);
  switch (x.dtype()) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    default:
      throw Error(
          fmt::format("{}: works on float32 and float64, not on {}", op, name_of(x.dtype())));
  }
}

/// with_wide_type() for operations that have bf16 too.
template <class F>
void with_float_type(std::string_view op, const Tensor& x, const F& f) {
  if (x.dtype() != DType::bf16) return with_wide_type(op, x, f);
  const ProfileRange range(op);
  f.template operator()<bf16>();
}

/// The type of parameters, statistics and sums beside activations of this type (Master<T>).
constexpr DType master_type(DType activations) {
  return activations == DType::bf16 ? DType::f32 : activations;
}

/// Throws Error unless `a` and `b` have the same type and device.
void check_alike(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws Error unless the parameter has the type master_type(x.dtype()) and x's device.
void check_parameter(std::string_view op, const Tensor& x, const Tensor& parameter);
/// Throws Error unless `a` and `b` have the same type, device and shape.
void check_same_shape(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws Error unless x has `rank` dimensions; the message has `layout`, such as "(N,H,W,C)".
void check_rank(std::string_view op, const Tensor& x, int rank, std::string_view layout);

/// Elements of `t`, or null if it is undefined (an absent bias, a gradient that is not needed).
template <class T>
const T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

}  // namespace assay
