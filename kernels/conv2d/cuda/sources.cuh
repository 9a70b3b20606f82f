// What fprop and dgrad read, for the rungs that find a pixel once and then go through its taps: x,
// or dz. Row is what is known of a pixel before the loop.
#pragma once

#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// Four channels are read at once, so where channels come by fours their tensor must lie as the
/// allocator gives it, or whole pixels further. Null is well aligned.
inline void check_aligned(const char* what, const float* p) {
  ASSAY_CHECK(aligned16(p), "conv2d: {} does not start at a multiple of 16 bytes", what);
}
inline void check_aligned(const Conv2dGrad<float>& g) {
  check_aligned("dy", g.dy);
  check_aligned("y", g.y);
}

constexpr int kMostTaps = 16;  // along a side; 2 x 16 bits of a mask

/// x, or a dz that is dy: bytes are copied as they are.
struct PictureSource {
  Picture picture;

  struct Row {
    int64_t offset;  // of tap (0,0), which may lie outside
    uint32_t mask;   // bit r: row r is inside; bit 16 + t: column t
  };
  __device__ Row row(const Phase& phase, const Pixel& at) const {
    Row row{((int64_t{at.n} * picture.H + at.h) * picture.W + at.w) * picture.C, 0};
    for (int r = 0; r < phase.taps_r; ++r)
      if (at.h + r >= 0 && at.h + r < picture.H) row.mask |= 1u << r;
    for (int t = 0; t < phase.taps_s; ++t)
      if (at.w + t >= 0 && at.w + t < picture.W) row.mask |= 1u << (kMostTaps + t);
    return row;
  }
  static __device__ Row no_row() { return {0, 0}; }

  __device__ bool inside(const Row& row, const Tap& tap) const {
    return (row.mask >> tap.r & row.mask >> (kMostTaps + tap.t) & 1) != 0;
  }
  __device__ int64_t offset(const Row& row, const Tap& tap) const {
    return row.offset + (int64_t{tap.r} * picture.W + tap.t) * picture.C + tap.c;
  }
  /// Channels c .. c+3 into shared memory, asynchronously.
  __device__ void copy(float* to, const Row& row, const Tap& tap) const {
    const bool in = inside(row, tap);
    ptx::cp_async<16>(to, in ? picture.x + offset(row, tap) : picture.x, in);
  }
  /// kCount channels from c on; four of them lie at a multiple of 16 bytes.
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Tap& tap) const {
    const bool in = inside(row, tap);
    const float* from = in ? picture.x + offset(row, tap) : picture.x;
    if constexpr (kCount == 4) {
      const float4 v = in ? ldv<float4>(from) : make_float4(0, 0, 0, 0);
      to[0] = v.x;
      to[1] = v.y;
      to[2] = v.z;
      to[3] = v.w;
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = in ? from[i] : 0.0f;
    }
  }
};

/// dy f'(y) at elements i .. i+3 of y.
__device__ inline float4 behind_pool4(const GradientOfZ& dz, int64_t i) {
  float4 v = ldv<float4>(dz.dy + i);
  if (dz.y != nullptr) {
    const float4 y = ldv<float4>(dz.y + i);
    v.x *= activation_slope(dz.activation, dz.slope, y.x);
    v.y *= activation_slope(dz.activation, dz.slope, y.y);
    v.z *= activation_slope(dz.activation, dz.slope, y.z);
    v.w *= activation_slope(dz.activation, dz.slope, y.w);
  }
  return v;
}

/// dz(pixel of y, place in its window, k .. k+3).
__device__ inline float4 load_dz(const GradientOfZ& dz, int64_t pixel, int place, int k) {
  const int64_t at = pixel * dz.K + k;
  float4 v = behind_pool4(dz, at);
  if (dz.argmax != nullptr) {
    const uchar4 chosen = ldv<uchar4>(dz.argmax + at);
    v = make_float4(chosen.x == place ? v.x : 0.0f, chosen.y == place ? v.y : 0.0f,
                    chosen.z == place ? v.z : 0.0f, chosen.w == place ? v.w : 0.0f);
  }
  return v;
}

/// dz, which takes arithmetic and so goes through registers; other warps hide the latency.
struct GradientSource {
  GradientOfZ dz;

  struct Row {
    int n, h, w;
  };
  __device__ Row row(const Phase&, const Pixel& at) const { return {at.n, at.h, at.w}; }
  static __device__ Row no_row() { return {0, -1 << 20, 0}; }

  __device__ void copy(float* to, const Row& row, const Tap& tap) const {
    float v[4];
    load(v, row, tap);
    stv(to, make_float4(v[0], v[1], v[2], v[3]));
  }
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Tap& tap) const {
    const int p = row.h + tap.r, q = row.w + tap.t;
    const int i = p >> dz.pool_log2, j = q >> dz.pool_log2;
    const bool in = p >= 0 && q >= 0 && i < dz.rows && j < dz.columns;
    const int64_t pixel = in ? (int64_t{row.n} * dz.rows + i) * dz.columns + j : 0;
    const int place = dz.place(p, q);
    if constexpr (kCount == 4) {
      const float4 v = in ? load_dz(dz, pixel, place, tap.c) : make_float4(0, 0, 0, 0);
      to[0] = v.x;
      to[1] = v.y;
      to[2] = v.z;
      to[3] = v.w;
    } else {
#pragma unroll
      for (int c = 0; c < kCount; ++c) to[c] = in ? dz.in_window(pixel, place, tap.c + c) : 0.0f;
    }
  }
};

}  // namespace assay::cuda
