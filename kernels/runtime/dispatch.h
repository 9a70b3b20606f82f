// From the public template of a kernel to its implementation: double is the reference, float goes
// by device. Every x.cpp consists of these lines, so "go to definition" works.
#pragma once

#include <type_traits>

#include "kernels/runtime/context.h"

// ASSAY_DISPATCH(T, ctx, fn, args...) calls
//   ref::fn(args...)         T = double
//   cuda::fn(ctx, args...)   float on a CUDA device
//   cpu::fn(ctx, args...)    float otherwise
// Without CUDA no Device::cuda() can be made, so that branch is absent: there are no stub files.
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
