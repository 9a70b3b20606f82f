// SSIM on a CUDA device. A block makes a tile of kTileH x kTileW pixels of one channel, a thread
// one pixel. There are two versions, which differ in how the 11x11 window around a pixel is summed:
//
// NaiveWindow (Context::algorithm = naive): as defined, 121 neighbours read where they lie.
// TiledWindow: the window is separable, so the tile and its halo of 5 pixels, in shared memory, are
// summed down the columns first: 22 in place of 121 products, and a pixel is read from global
// memory about 3 times in place of 121:
//
//      42 = 32 + 2*5                    42                        32
//    +-------------+             +-------------+             +-----------+
//    |  x, y       |  columns    | x y xx yy xy|   rows      | moments,  |
//  18|  (float)    | ----------> |  (double) 8 | ----------> | value   8 |
//    |             |  11 taps    +-------------+  11 taps    +-----------+
//    +-------------+
//
// All sums are in double: where an image is flat, the variance is a difference of nearly equal
// numbers beside C2 = 9e-4, and float would be wrong by 1e-4 there.
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"
#include "kernels/ssim/ssim_backends.h"
#include "kernels/ssim/ssim_formula.h"

namespace assay::cuda {
namespace {

constexpr int kTileH = 8, kTileW = 32;
static_assert(kTileH * kTileW == kThreads);
constexpr int kHaloH = kTileH + 2 * kSsimRadius, kHaloW = kTileW + 2 * kSsimRadius;

struct Weights11 {
  double value[kSsimTaps];
};
Weights11 weights() {
  Weights11 w;
  ssim_weights(w.value);
  return w;
}

/// The pixels of a block; blockIdx.z = n C + c is their plane.
struct Tile {
  int n, c, h0, w0;
  __device__ explicit Tile(const SsimShape& s)
      : n(static_cast<int>(blockIdx.z) / s.C),
        c(static_cast<int>(blockIdx.z) % s.C),
        h0(static_cast<int>(blockIdx.y) * kTileH),
        w0(static_cast<int>(blockIdx.x) * kTileW) {}
  /// The thread's pixel; it may lie beyond the image.
  __device__ int h() const { return h0 + static_cast<int>(threadIdx.x) / kTileW; }
  __device__ int w() const { return w0 + static_cast<int>(threadIdx.x) % kTileW; }
};
dim3 tiles_of(const SsimShape& s) {
  return dim3(blocks_for(s.W, kTileW), blocks_for(s.H, kTileH), static_cast<unsigned>(s.N * s.C));
}

__device__ int64_t index_of(const SsimShape& s, int n, int h, int w, int c) {
  return ((int64_t{n} * s.H + h) * s.W + w) * s.C + c;
}

/// Source of pixel i of a line of `size` with a halo: beyond the edge it is the reflection. Pixels
/// further beyond, in a tile that is cut by the edge, are not used; any valid index will do.
__device__ int source_of(int i, int size) {
  const int mirrored = reflect(i, size);
  return mirrored < 0 ? 0 : mirrored < size ? mirrored : size - 1;
}

/// Both windows compute the moments of x and y around this thread's pixel, and the sum of a map,
/// which is 0 outside. All threads of the block call them.
struct NaiveWindow {
  static __device__ SsimMoments<double> moments(const SsimShape& s, const Tile& tile,
                                                const Weights11& weights, const float* x,
                                                const float* y) {
    SsimMoments<double> m{};
#pragma unroll 1  // unrolling 121 products would take all registers
    for (int a = 0; a < kSsimTaps; ++a)
      for (int b = 0; b < kSsimTaps; ++b) {
        const int64_t i = index_of(s, tile.n, source_of(tile.h() + a - kSsimRadius, s.H),
                                   source_of(tile.w() + b - kSsimRadius, s.W), tile.c);
        const double weight = weights.value[a] * weights.value[b], xi = x[i], yi = y[i];
        m.x += weight * xi;
        m.y += weight * yi;
        m.xx += weight * xi * xi;
        m.yy += weight * yi * yi;
        m.xy += weight * xi * yi;
      }
    return m;
  }
  static __device__ double sum(const SsimShape& s, const Tile& tile, const Weights11& weights,
                               const double* map) {
    double sum = 0;
#pragma unroll 1
    for (int a = 0; a < kSsimTaps; ++a) {
      const int h = tile.h() + a - kSsimRadius;
      if (h < 0 || h >= s.H) continue;
#pragma unroll 1
      for (int b = 0; b < kSsimTaps; ++b) {
        const int w = tile.w() + b - kSsimRadius;
        if (w >= 0 && w < s.W)
          sum += weights.value[a] * weights.value[b] * map[index_of(s, tile.n, h, w, tile.c)];
      }
    }
    return sum;
  }
};

struct TiledWindow {
  static __device__ SsimMoments<double> moments(const SsimShape& s, const Tile& tile,
                                                const Weights11& weights, const float* x,
                                                const float* y);
  static __device__ double sum(const SsimShape& s, const Tile& tile, const Weights11& weights,
                               const double* map);
};

__device__ SsimMoments<double> TiledWindow::moments(const SsimShape& s, const Tile& tile,
                                                    const Weights11& weights, const float* x,
                                                    const float* y) {
  ASSAY_SHARED(float, pixels, [2][kHaloH][kHaloW]);
  ASSAY_SHARED(double, columns, [5][kTileH][kHaloW]);
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < kHaloH * kHaloW; i += kThreads) {
    const int a = i / kHaloW, b = i % kHaloW;
    const int64_t from = index_of(s, tile.n, source_of(tile.h0 + a - kSsimRadius, s.H),
                                  source_of(tile.w0 + b - kSsimRadius, s.W), tile.c);
    pixels[0][a][b] = x[from];
    pixels[1][a][b] = y[from];
  }
  __syncthreads();
  for (int i = t; i < kTileH * kHaloW; i += kThreads) {
    const int a = i / kHaloW, b = i % kHaloW;
    SsimMoments<double> m{};
    for (int k = 0; k < kSsimTaps; ++k) {
      const double xk = pixels[0][a + k][b], yk = pixels[1][a + k][b];
      const double wx = weights.value[k] * xk, wy = weights.value[k] * yk;
      m.x += wx;
      m.y += wy;
      m.xx += wx * xk;
      m.yy += wy * yk;
      m.xy += wx * yk;
    }
    columns[0][a][b] = m.x;
    columns[1][a][b] = m.y;
    columns[2][a][b] = m.xx;
    columns[3][a][b] = m.yy;
    columns[4][a][b] = m.xy;
  }
  __syncthreads();
  double sum[5] = {};
  for (int k = 0; k < kSsimTaps; ++k)
#pragma unroll
    for (int p = 0; p < 5; ++p) sum[p] += weights.value[k] * columns[p][t / kTileW][t % kTileW + k];
  return {sum[0], sum[1], sum[2], sum[3], sum[4]};
}

__device__ double TiledWindow::sum(const SsimShape& s, const Tile& tile, const Weights11& weights,
                                   const double* map) {
  ASSAY_SHARED(double, values, [kHaloH][kHaloW]);
  ASSAY_SHARED(double, columns, [kTileH][kHaloW]);
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < kHaloH * kHaloW; i += kThreads) {
    const int h = tile.h0 + i / kHaloW - kSsimRadius, w = tile.w0 + i % kHaloW - kSsimRadius;
    const bool inside = h >= 0 && h < s.H && w >= 0 && w < s.W;
    values[i / kHaloW][i % kHaloW] = inside ? map[index_of(s, tile.n, h, w, tile.c)] : 0.0;
  }
  __syncthreads();
  for (int i = t; i < kTileH * kHaloW; i += kThreads) {
    double column = 0;
    for (int k = 0; k < kSsimTaps; ++k)
      column += weights.value[k] * values[i / kHaloW + k][i % kHaloW];
    columns[i / kHaloW][i % kHaloW] = column;
  }
  __syncthreads();
  double sum = 0;
  for (int k = 0; k < kSsimTaps; ++k) sum += weights.value[k] * columns[t / kTileW][t % kTileW + k];
  return sum;
}

/// partial (tiles of the grid, x fastest): sums over the inner pixels of each tile.
template <class Window>
__global__ void __launch_bounds__(kThreads)
    values_of_tiles(SsimShape s, Weights11 weights, const float* __restrict__ x,
                    const float* __restrict__ y, float* __restrict__ map,
                    double* __restrict__ partial) {
  const Tile tile(s);
  const double value = ssim_value(Window::moments(s, tile, weights, x, y));
  const int h = tile.h(), w = tile.w();
  const bool inside = h < s.H && w < s.W;
  if (map != nullptr && inside) map[index_of(s, tile.n, h, w, tile.c)] = static_cast<float>(value);
  const bool counts = inside && is_inner(h, s.H) && is_inner(w, s.W);
  const double sum = block_sum<kThreads>(counts ? value : 0.0);
  if (threadIdx.x == 0)
    partial[(int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = sum;
}

/// value (N): the sum over the tiles of each image, divided by the number of inner elements.
__global__ void __launch_bounds__(kThreads)
    mean_values(SsimShape s, int64_t tiles, const double* __restrict__ partial,
                float* __restrict__ value) {
  const double* mine = partial + blockIdx.x * tiles;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < tiles; i += kThreads) sum += mine[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0)
    value[blockIdx.x] =
        static_cast<float>(sum / static_cast<double>(ssim_inner_count(s.H, s.W, s.C)));
}

/// maps (3,N,H,W,C): the slopes at every inner pixel, 0 elsewhere.
template <class Window>
__global__ void __launch_bounds__(kThreads)
    slopes_of_tiles(SsimShape s, Weights11 weights, const float* __restrict__ x,
                    const float* __restrict__ y, double* __restrict__ maps) {
  const Tile tile(s);
  SsimSlopes<double> slopes = ssim_slopes(Window::moments(s, tile, weights, x, y));
  const int h = tile.h(), w = tile.w();
  if (h >= s.H || w >= s.W) return;
  if (!is_inner(h, s.H) || !is_inner(w, s.W)) slopes = {};
  const int64_t at = index_of(s, tile.n, h, w, tile.c), plane = int64_t{s.N} * s.H * s.W * s.C;
  maps[at] = slopes.mean;
  maps[at + plane] = slopes.square;
  maps[at + 2 * plane] = slopes.product;
}

/// dx = dvalue / count (M + S x + P y), M, S, P the slope maps under the window. The windows of
/// inner pixels lie inside the image, so the gradient has no reflected edges.
template <class Window>
__global__ void __launch_bounds__(kThreads)
    gradient_of_tiles(SsimShape s, Weights11 weights, const float* __restrict__ x,
                      const float* __restrict__ y, const float* __restrict__ dvalue,
                      const double* __restrict__ maps, float* __restrict__ dx) {
  const Tile tile(s);
  const int64_t plane = int64_t{s.N} * s.H * s.W * s.C;
  double sum[3];
  for (int p = 0; p < 3; ++p) sum[p] = Window::sum(s, tile, weights, maps + p * plane);
  if (tile.h() >= s.H || tile.w() >= s.W) return;
  const double scale = dvalue[tile.n] / static_cast<double>(ssim_inner_count(s.H, s.W, s.C));
  const int64_t at = index_of(s, tile.n, tile.h(), tile.w(), tile.c);
  dx[at] = static_cast<float>(scale * (sum[0] + sum[1] * x[at] + sum[2] * y[at]));
}

/// Calls f.operator()<Window>() for the version of the context.
template <class F>
void with_window(const Context& ctx, const F& f) {
  if (ctx.algorithm == Algorithm::naive)
    f.template operator()<NaiveWindow>();
  else
    f.template operator()<TiledWindow>();
}

}  // namespace

void ssim(Context& ctx, const SsimShape& s, const float* x, const float* y, float* value,
          float* map) {
  if (s.N == 0) return;
  const dim3 grid = tiles_of(s);
  const int64_t tiles = int64_t{grid.x} * grid.y * s.C;  // of an image
  const Scratch partial(ctx, s.N * tiles * sizeof(double));
  with_window(ctx, [&]<class Window>() {
    launch(values_of_tiles<Window>, grid, kThreads, 0, stream_of(ctx), s, weights(), x, y, map,
           partial.as<double>());
  });
  launch(mean_values, static_cast<unsigned>(s.N), kThreads, 0, stream_of(ctx), s, tiles,
         partial.as<double>(), value);
}

void ssim_bprop(Context& ctx, const SsimShape& s, const float* x, const float* y,
                const float* dvalue, float* dx) {
  if (s.N == 0) return;
  const Scratch maps(ctx, 3 * int64_t{s.N} * s.H * s.W * s.C * sizeof(double));
  with_window(ctx, [&]<class Window>() {
    launch(slopes_of_tiles<Window>, tiles_of(s), kThreads, 0, stream_of(ctx), s, weights(), x, y,
           maps.as<double>());
    launch(gradient_of_tiles<Window>, tiles_of(s), kThreads, 0, stream_of(ctx), s, weights(), x, y,
           dvalue, maps.as<double>(), dx);
  });
}

}  // namespace assay::cuda
