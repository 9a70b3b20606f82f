// The inner loops run over channels, which are neighbours in memory, and the compiler vectorises
// them.
#include "kernels/pool/pool_simd.h"

#include "kernels/runtime/simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

constexpr int kStrip = 256;  // channels whose argmax so far is kept on the stack

ASSAY_INLINE int smaller(int a, int b) {
  return a < b ? a : b;
}

/// Maximum of some channels of one window; `x` is its first pixel.
ASSAY_INLINE void max_pool_window(const PoolRow& s, int channels, const float* __restrict x,
                                  float* __restrict y, int32_t* __restrict place) {
  for (int c = 0; c < channels; ++c) y[c] = x[c];
  for (int c = 0; c < channels; ++c) place[c] = 0;
  for (int k = 1; k < s.window * s.window; ++k) {
    const float* xk = x + (int64_t{k / s.window} * s.W + k % s.window) * s.C;
    for (int c = 0; c < channels; ++c) {
      const bool better = xk[c] > y[c];
      y[c] = better ? xk[c] : y[c];
      place[c] = better ? k : place[c];
    }
  }
}

}  // namespace

void max_pool_row(const PoolRow& s, const float* x, float* y, uint8_t* argmax) {
  int32_t place[kStrip];
  for (int q = 0; q < s.Q; ++q)
    for (int c = 0; c < s.C; c += kStrip) {
      const int channels = smaller(kStrip, s.C - c);
      const int64_t out = int64_t{q} * s.C + c;
      max_pool_window(s, channels, x + int64_t{q} * s.stride * s.C + c, y + out, place);
      if (argmax == nullptr) continue;
      for (int k = 0; k < channels; ++k) argmax[out + k] = static_cast<uint8_t>(place[k]);
    }
}

void max_pool_row_gradient(const PoolRow& s, const float* __restrict dy,
                           const uint8_t* __restrict argmax, float* __restrict dx) {
  for (int q = 0; q < s.Q; ++q)
    for (int k = 0; k < s.window * s.window; ++k) {
      float* dxk = dx + (int64_t{k / s.window} * s.W + q * s.stride + k % s.window) * s.C;
      const float* dyq = dy + int64_t{q} * s.C;
      const uint8_t* place = argmax + int64_t{q} * s.C;
      for (int c = 0; c < s.C; ++c) dxk[c] += place[c] == k ? dyq[c] : 0.0f;
    }
}

void avg_pool_row(const PoolRow& s, const float* __restrict x, float* __restrict y) {
  const float share = 1.0f / static_cast<float>(s.window * s.window);
  for (int q = 0; q < s.Q; ++q) {
    float* yq = y + int64_t{q} * s.C;
    for (int c = 0; c < s.C; ++c) yq[c] = 0;
    for (int k = 0; k < s.window * s.window; ++k) {
      const float* xk = x + (int64_t{k / s.window} * s.W + q * s.stride + k % s.window) * s.C;
      for (int c = 0; c < s.C; ++c) yq[c] += xk[c];
    }
    for (int c = 0; c < s.C; ++c) yq[c] *= share;
  }
}

void avg_pool_row_gradient(const PoolRow& s, const float* __restrict dy, float* __restrict dx) {
  const float share = 1.0f / static_cast<float>(s.window * s.window);
  for (int q = 0; q < s.Q; ++q)
    for (int k = 0; k < s.window * s.window; ++k) {
      float* dxk = dx + (int64_t{k / s.window} * s.W + q * s.stride + k % s.window) * s.C;
      const float* dyq = dy + int64_t{q} * s.C;
      for (int c = 0; c < s.C; ++c) dxk[c] += share * dyq[c];
    }
}

namespace {

// One channel and a constant factor: neighbouring pixels share a vector.
template <int kFactor>
void upsample_plane_row(int W, const float* __restrict x, float* __restrict y) {
  for (int w = 0; w < W; ++w)
    for (int b = 0; b < kFactor; ++b) y[w * kFactor + b] = x[w];
}
template <int kFactor>
void upsample_plane_row_gradient(int W, const float* __restrict dy, float* __restrict dx) {
  for (int w = 0; w < W; ++w) dx[w] = 0;
  for (int a = 0; a < kFactor; ++a, dy += int64_t{W} * kFactor)
    for (int w = 0; w < W; ++w) {
      float sum = dx[w];
      for (int b = 0; b < kFactor; ++b) sum += dy[w * kFactor + b];
      dx[w] = sum;
    }
}

}  // namespace

void upsample_row(int W, int C, int factor, const float* __restrict x, float* __restrict y) {
  if (C == 1 && factor == 2) return upsample_plane_row<2>(W, x, y);
  if (C == 1 && factor == 4) return upsample_plane_row<4>(W, x, y);
  for (int w = 0; w < W; ++w)
    for (int b = 0; b < factor; ++b, y += C)
      for (int c = 0; c < C; ++c) y[c] = x[int64_t{w} * C + c];
}

void upsample_row_gradient(int W, int C, int factor, const float* __restrict dy,
                           float* __restrict dx) {
  if (C == 1 && factor == 2) return upsample_plane_row_gradient<2>(W, dy, dx);
  if (C == 1 && factor == 4) return upsample_plane_row_gradient<4>(W, dy, dx);
  for (int w = 0; w < W; ++w, dx += C) {
    for (int c = 0; c < C; ++c) dx[c] = 0;
    for (int k = 0; k < factor * factor; ++k) {
      const float* dyk =
          dy + (int64_t{k / factor} * W * factor + int64_t{w} * factor + k % factor) * C;
      for (int c = 0; c < C; ++c) dx[c] += dyk[c];
    }
  }
}

}  // namespace assay::cpu::ASSAY_ISA
