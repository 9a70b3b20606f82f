// From the public template of a kernel to its implementation: double runs the reference, float and
// bf16 the device of the context. conv2d and gemm have tables of algorithms instead.
#pragma once

#include <type_traits>

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/context.h"

// ASSAY_DISPATCH(T, ctx, fn, args...) calls
//   ref::fn(args...)         T = double
//   cuda::fn(ctx, args...)   float or bf16 on a CUDA device
//   cpu::fn(ctx, args...)    float or bf16 otherwise
// Without CUDA no Device::cuda() can exist, so that branch is absent.
#if ASSAY_HAVE_CUDA
#define ASSAY_DISPATCH(T, ctx, fn, ...)      \
  do {                                       \
    if constexpr (std::is_same_v<T, double>) \
      ref::fn(__VA_ARGS__);                  \
    else if ((ctx).device.is_cuda())         \
      cuda::fn(ctx, __VA_ARGS__);            \
    else                                     \
      cpu::fn(ctx, __VA_ARGS__);             \
  } while (0)
#else
#define ASSAY_DISPATCH(T, ctx, fn, ...)      \
  do {                                       \
    if constexpr (std::is_same_v<T, double>) \
      ref::fn(__VA_ARGS__);                  \
    else                                     \
      cpu::fn(ctx, __VA_ARGS__);             \
  } while (0)
#endif
