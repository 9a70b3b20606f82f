// The sources of fprop (x) and dgrad (dz), for the versions that locate a pixel once and then go
// through its taps. A Row is what is computed for a pixel before the loop over the taps.
#pragma once

#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// Throws Error unless p, which may be null, is a multiple of 16 bytes: four channels are read at
/// once. Memory of the allocator is, and so are whole pixels further if channels come in fours.
inline void check_aligned(const char* what, const float* p) {
  if (!aligned16(p))
    throw Error(std::string("conv2d: ") + what + " does not start at a multiple of 16 bytes");
}
inline void check_aligned(const Conv2dGrad<float>& g) {
  check_aligned("dy", g.dy);
  check_aligned("y", g.y);
}

constexpr int kMaxTaps = 16;  // along a side: a mask has 2 x 16 bits

/// x, or a dz that equals dy: bytes are copied as they are.
struct ImageSource {
  ImageView image;

  struct Row {
    int64_t offset;  // offset of tap (0,0), which may lie outside the image
    uint32_t mask;   // bit r: row r is inside; bit 16 + t: column t is inside
  };
  __device__ Row row(const Phase& phase, const Pixel& at) const {
    Row row{((int64_t{at.n} * image.H + at.h) * image.W + at.w) * image.C, 0};
    for (int r = 0; r < phase.taps_r; ++r)
      if (at.h + r >= 0 && at.h + r < image.H) row.mask |= 1u << r;
    for (int t = 0; t < phase.taps_s; ++t)
      if (at.w + t >= 0 && at.w + t < image.W) row.mask |= 1u << (kMaxTaps + t);
    return row;
  }
  static __device__ Row no_row() { return {0, 0}; }

  __device__ bool inside(const Row& row, const Tap& tap) const {
    return (row.mask >> tap.r & row.mask >> (kMaxTaps + tap.t) & 1) != 0;
  }
  __device__ int64_t offset(const Row& row, const Tap& tap) const {
    return row.offset + (int64_t{tap.r} * image.W + tap.t) * image.C + tap.c;
  }
  /// Channels c .. c+3 into shared memory, asynchronously.
  __device__ void copy(float* to, const Row& row, const Tap& tap) const {
    const bool in = inside(row, tap);
    ptx::cp_async<16>(to, in ? image.x + offset(row, tap) : image.x, in);
  }
  /// kCount channels from c on; four of them lie at a multiple of 16 bytes.
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Tap& tap) const {
    const bool in = inside(row, tap);
    const float* from = in ? image.x + offset(row, tap) : image.x;
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

/// dz(pixel of y, place in its window, k .. k+3), or 0 if `inside` is false. Element 0 is read in
/// that case, because a branch would separate the loads of several pixels. kFromSign: f' follows
/// from the sign of y.
template <bool kPooled, bool kFromSign, class Index>
__device__ inline float4 load_dz(const GradientOfZ& dz, bool inside, Index pixel, int place,
                                 int k) {
  const Index at = inside ? pixel * dz.K + k : 0;
  const float4 dy = ldv<float4>(dz.dy + at), y = ldv<float4>(dz.y + at);
  uint32_t elsewhere = inside ? 0 : ~0u;  // a byte for each channel: 0 if dz may differ from 0
  if constexpr (kPooled)
    elsewhere |= ldv<uint32_t>(dz.argmax + at) ^ static_cast<uint32_t>(place) * 0x01010101u;
  const auto one = [&](float d, float of, uint32_t byte) {
    const float slope = kFromSign ? dz.slope.from_sign(of) : dz.slope(of);
    return (elsewhere & byte) == 0 ? d * slope : 0.0f;
  };
  return make_float4(one(dy.x, y.x, 0xffu), one(dy.y, y.y, 0xff00u), one(dy.z, y.z, 0xff0000u),
                     one(dy.w, y.w, 0xff000000u));
}

/// dz that must be computed, so it goes through registers; other warps hide the latency.
template <bool kPooled, bool kFromSign>
struct GradientSource {
  GradientOfZ dz;

  struct Row {
    int image;  // first pixel of y of the image
    int h, w;
  };
  __device__ Row row(const Phase&, const Pixel& at) const {
    return {at.n * dz.rows * dz.columns, at.h, at.w};
  }
  static __device__ Row no_row() { return {0, -1 << 20, 0}; }

  __device__ void copy(float* to, const Row& row, const Tap& tap) const {
    float v[4];
    load(v, row, tap);
    stv(to, make_float4(v[0], v[1], v[2], v[3]));
  }
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Tap& tap) const {
    const int p = row.h + tap.r, q = row.w + tap.t;
    const int i = kPooled ? p >> dz.pool_log2 : p, j = kPooled ? q >> dz.pool_log2 : q;
    const bool in = static_cast<unsigned>(i) < static_cast<unsigned>(dz.rows) &&
                    static_cast<unsigned>(j) < static_cast<unsigned>(dz.columns);
    const int pixel = row.image + i * dz.columns + j;
    const int place = kPooled ? dz.place(p, q) : 0;
    if constexpr (kCount == 4) {
      const float4 v = load_dz<kPooled, kFromSign>(dz, in, pixel, place, tap.c);
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
