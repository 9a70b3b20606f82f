// The sources of fprop (x) and dgrad (dz), for the versions that locate a pixel once and then go
// through its taps. A Row is what is computed for a pixel before the loop over the taps.
#pragma once

#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/cuda/elements.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// Throws Error unless p, which may be null, is a multiple of 16 bytes: four channels are read at
/// once. Memory of the allocator is, and so are whole pixels further if channels come in fours.
template <class T>
void check_aligned(const char* what, const T* p) {
  if (!aligned16(p))
    throw Error(std::string("conv2d: ") + what + " does not start at a multiple of 16 bytes");
}
template <class T>
void check_aligned(const Conv2dGrad<T>& g) {
  check_aligned("dy", g.dy);
  check_aligned("y", g.y);
}

constexpr int kMaxTaps = 15;  // along a side: see outside_of()

/// 16 bits: bit r is 0 if tap r, one of `taps`, lies inside of [0, size) when tap 0 lies at
/// `first`. Bits from `taps` on are 1.
__device__ inline uint32_t outside_of(int first, int taps, int size) {
  const int begin = min(max(-first, 0), taps), end = max(begin, min(taps, size - first));
  return ~((1u << end) - (1u << begin)) & 0xffffu;
}
/// Taps outside of the image: of rows in the low half, of columns in the high one.
__device__ inline uint32_t outside_of(const Phase& phase, const Pixel& at, int H, int W) {
  return outside_of(at.h, phase.taps_r, H) | outside_of(at.w, phase.taps_s, W) << 16;
}
/// The bits of a tap in such a mask. One bit stands for all taps past the last row.
__device__ inline uint32_t bits_of(const Phase& phase, const Tap& tap) {
  return tap.r < phase.taps_r ? 1u << tap.r | 0x10000u << tap.t : 1u << kMaxTaps;
}

// Copies move words of four bytes, each a float or two bf16 channels. Where those are copied, the
// channels C of an image, of a phase and of a tap are words, and an image is one of floats.

/// x, or a dz that equals dy: words are copied as they are.
template <class T>
struct ImageSourceOf {
  ImageViewOf<T> image;

  struct Row {
    int offset;  // of tap (0,0), which may lie outside the image
    uint32_t outside;
  };
  struct Shift {  // what a tap adds to the offset of every row, and its bits
    int offset;
    uint32_t bits;
  };
  __device__ Row row(const Phase& phase, const Pixel& at) const {
    return {((at.n * image.H + at.h) * image.W + at.w) * image.C,
            outside_of(phase, at, image.H, image.W)};
  }
  static __device__ Row no_row() { return {0, ~0u}; }
  __device__ Shift shift(const Phase& phase, const Tap& tap) const {
    return {(tap.r * image.W + tap.t) * image.C + tap.c, bits_of(phase, tap)};
  }

  /// Four words into shared memory, asynchronously.
  template <class Tile>
  __device__ void copy(float* to, const Row& row, const Shift& shift) const {
    const bool in = (row.outside & shift.bits) == 0;
    ptx::cp_async<16>(to, image.x + (in ? row.offset + shift.offset : 0), in);
  }
  /// kCount channels, from the c-th after those of `shift` on; four are aligned_by_4().
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Shift& shift, int c) const {
    const bool in = (row.outside & shift.bits) == 0;
    const T* from = image.x + (in ? row.offset + shift.offset : 0) + c;
    if constexpr (kCount == 4) {
      const float4 v = in ? load_4(from) : make_float4(0, 0, 0, 0);
      to[0] = v.x;
      to[1] = v.y;
      to[2] = v.z;
      to[3] = v.w;
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = in ? static_cast<float>(from[i]) : 0.0f;
    }
  }
};
using ImageSource = ImageSourceOf<float>;

/// A place in a window, for four channels.
__device__ inline uint32_t four_bytes(int place) {
  return static_cast<uint32_t>(place) * 0x01010101u;
}

/// Four channels of dz from element `at` of y on, or 0 if `inside` is false. Element 0 is read in
/// that case, because a branch would separate the loads of several pixels. places: four bytes, in
/// the window of y. kFromSign: f' follows from the sign of y.
template <bool kPooled, bool kFromSign, class T, class Index>
__device__ inline float4 load_dz(const GradientOfZFrom<T>& dz, bool inside, Index at,
                                 uint32_t places) {
  at = inside ? at : 0;
  const float4 dy = load_4(dz.dy + at), y = load_4(dz.y + at);
  uint32_t elsewhere = 0;  // a byte for each channel: 0 if dz may differ from 0
  if constexpr (kPooled) elsewhere = ldv<uint32_t>(dz.argmax + at) ^ places;
  elsewhere = inside ? elsewhere : ~0u;
  const auto one = [&](float d, float of, uint32_t byte) {
    const float slope = kFromSign ? dz.slope.from_sign(of) : dz.slope(of);
    return (elsewhere & byte) == 0 ? d * slope : 0.0f;
  };
  return make_float4(one(dy.x, y.x, 0xffu), one(dy.y, y.y, 0xff00u), one(dy.z, y.z, 0xff0000u),
                     one(dy.w, y.w, 0xff000000u));
}

/// Eight channels of dz as four words, with f' from the sign of y. Element at of y on; places: four
/// bytes, in the window of y.
template <bool kPooled, class Index>
__device__ inline uint4 load_dz_words(const GradientOfZFrom<bf16>& dz, bool inside, Index at,
                                      uint32_t places) {
  at = inside ? at : 0;
  const uint4 dy = ldv<uint4>(dz.dy + at), y = ldv<uint4>(dz.y + at);
  uint2 elsewhere = make_uint2(0, 0);  // a byte for each channel: 0 if dz may differ from 0
  if constexpr (kPooled) {
    elsewhere = ldv<uint2>(dz.argmax + at);
    elsewhere = make_uint2(elsewhere.x ^ places, elsewhere.y ^ places);
  }
  elsewhere = inside ? elsewhere : make_uint2(~0u, ~0u);
  const auto two = [&](uint32_t d, uint32_t of, uint32_t bytes) {
    const float low = low_bf16(d) * dz.slope.from_sign(low_bf16(of));
    const float high = high_bf16(d) * dz.slope.from_sign(high_bf16(of));
    return ptx::cvt_bf16x2((bytes & 0xffu) == 0 ? low : 0.0f, (bytes & 0xff00u) == 0 ? high : 0.0f);
  };
  return make_uint4(two(dy.x, y.x, elsewhere.x), two(dy.y, y.y, elsewhere.x >> 16),
                    two(dy.z, y.z, elsewhere.y), two(dy.w, y.w, elsewhere.y >> 16));
}

/// dz that must be computed, so it goes through registers; other warps hide the latency. kPool is
/// 1, 2 or kAnyPool. kElements of T are a word of the source; where they are two, kFromSign is set.
constexpr int kAnyPool = 0;
template <int kPool, bool kFromSign, class T = float, int kElements = 1>
struct GradientSource {
  static constexpr bool kPooled = kPool != 1;
  GradientOfZFrom<T> dz;

  struct Row {
    int first;        // word of y under tap (0,0); behind a pool, first pixel of y of the image
    int h, w;         // behind a pool: row and column of dz under tap (0,0)
    uint32_t places;  // behind a pool of 2: of (h,w) in its window
    uint32_t outside;
  };
  struct Shift {
    int r, t, offset;  // behind a pool: the channel
    uint32_t places;
    uint32_t bits;
  };
  __device__ Row row(const Phase& phase, const Pixel& at) const {
    const int first = kPooled ? at.n * dz.rows * dz.columns
                              : ((at.n * dz.rows + at.h) * dz.columns + at.w) * words();
    return {first, at.h, at.w, places_of(at.h, at.w),
            outside_of(phase, at, dz.rows << pool_log2(), dz.columns << pool_log2())};
  }
  static __device__ Row no_row() { return {0, 0, 0, 0, ~0u}; }
  __device__ Shift shift(const Phase& phase, const Tap& tap) const {
    return {tap.r, tap.t, kPooled ? tap.c : (tap.r * dz.columns + tap.t) * words() + tap.c,
            places_of(tap.r, tap.t), bits_of(phase, tap)};
  }

  template <class Tile>
  __device__ void copy(float* to, const Row& row, const Shift& shift) const {
    if constexpr (kElements == 2)
      stv(to, load_dz_words<kPooled>(dz, (row.outside & shift.bits) == 0,
                                     kElements * word(row, shift), places_under(row, shift)));
    else
      stv(to, Tile::prepared(load_four(row, shift, 0)));
  }
  template <int kCount>
  __device__ void load(float (&to)[kCount], const Row& row, const Shift& shift, int c) const {
    if constexpr (kCount == 4) {
      const float4 v = load_four(row, shift, c);
      to[0] = v.x;
      to[1] = v.y;
      to[2] = v.z;
      to[3] = v.w;
    } else {
      const bool inside = (row.outside & shift.bits) == 0;
      const int at = word(row, shift) + c, place = dz.place(row.h + shift.r, row.w + shift.t);
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = inside ? dz.element(at + i, place) : 0.0f;
    }
  }

 private:
  __device__ int pool_log2() const {
    return kPool == kAnyPool ? dz.pool_log2 : kPool / 2;
  }
  /// Behind a pool of 2 the place of a sum is the exclusive or of places.
  static __device__ uint32_t places_of(int p, int q) {
    return kPool == 2 ? four_bytes((p & 1) * 2 + (q & 1)) : 0;
  }
  __device__ int words() const {
    return dz.K / kElements;
  }
  __device__ int word(const Row& row, const Shift& shift) const {
    if constexpr (!kPooled) return row.first + shift.offset;
    const int i = (row.h + shift.r) >> pool_log2(), j = (row.w + shift.t) >> pool_log2();
    return (row.first + i * dz.columns + j) * words() + shift.offset;
  }
  __device__ uint32_t places_under(const Row& row, const Shift& shift) const {
    return kPool == kAnyPool ? four_bytes(dz.place(row.h + shift.r, row.w + shift.t))
                             : row.places ^ shift.places;
  }
  __device__ float4 load_four(const Row& row, const Shift& shift, int c) const {
    return load_dz<kPooled, kFromSign>(dz, (row.outside & shift.bits) == 0, word(row, shift) + c,
                                       places_under(row, shift));
  }
};

}  // namespace assay::cuda
