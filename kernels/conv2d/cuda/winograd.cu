// Version 7: Winograd's F(4x4,3x3) (winograd_transforms.h) in fp32, 36 products for 16 outputs in
// place of 144. Source and outputs are transformed by the kernel that multiplies, so only filters
// are written transformed.
//
// A block has 32 tiles of 4 x 4 outputs and 32 filters: 36 matrices of 32 x 32 sums, three for each
// of 12 warps. A stage is 8 channels deep, in two buffers:
//
//   patch of a tile and channel    global -> registers, while the stage before is multiplied
//       transformed                registers -> shared V (36, 8, 32 tiles)
//   transformed filters            global -> shared U (36, 8, 32 filters), by cp.async
//   sums of element e += V(e)^T U(e)    4 tiles x 8 filters of three elements a lane
//
// In the end the sums go through shared memory to the threads that transform them, each the 36 of a
// tile and a filter, and that store whole windows.
#include "kernels/conv2d/cuda/winograd.cuh"

#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/epilogue.cuh"
#include "kernels/conv2d/cuda/stored_dz.cuh"
#include "kernels/conv2d/cuda/weights.cuh"

namespace assay::cuda::winograd {
namespace {

constexpr int kTiles = 32;  // of a block
constexpr int kWarps = 12, kBlock = 32 * kWarps;
constexpr int kEach = kElements / kWarps;  // elements of a warp
constexpr int kPitch = kTiles + 4;         // of V: 8 channels x 4 tiles of a warp lie in 32 banks
constexpr int kV = kElements * kDepth * kPitch, kU = kElements * kDepth * kFilters;  // floats
constexpr size_t kShared = sizeof(float) * 2 * (kV + kU);
static_assert(kElements * kTiles * kFilters <= 2 * (kV + kU), "the sums take the stages' place");
static_assert(kU % (4 * kBlock) == 0, "all threads copy");

struct Problem {
  const float* source;   // (N,H,W,C)
  const float* filters;  // winograd.cuh
  int H, W, C, K, pool;
  int tiles, across;  // of all images; of a row
  Divisor by_across, by_down;
};

/// Tile t of the list by image, row and column.
struct TilePlace {
  int n, row, column;
  __device__ TilePlace(const Problem& p, int t) {
    const int line = p.by_across.quotient(t);
    n = p.by_down.quotient(line);
    row = line - n * p.by_down.value();
    column = t - line * p.across;
  }
};

/// The patch of a tile: what is the same for all channels.
class Patch {
 public:
  __device__ Patch(const Problem& p, int t, int c) : source_(p.source), row_(p.W * p.C), C_(p.C) {
    const TilePlace at(p, min(t, p.tiles - 1));
    const int h = at.row * kOut - 1, w = at.column * kOut - 1;
    offset_ = ((at.n * p.H + h) * p.W + w) * p.C + c;
#pragma unroll
    for (int i = 0; i < kPatch; ++i) {
      inside_ |= static_cast<uint32_t>(h + i >= 0 && h + i < p.H && t < p.tiles) << i;
      inside_ |= static_cast<uint32_t>(w + i >= 0 && w + i < p.W) << (i + 16);
    }
  }
  /// The patch `step` channels further, zeros outside of the image or where `exists` is false.
  __device__ __forceinline__ void load(float (&to)[kPatch][kPatch], int step, bool exists) const {
    const uint32_t mask = exists ? inside_ : 0;
#pragma unroll
    for (int r = 0; r < kPatch; ++r)
#pragma unroll
      for (int t = 0; t < kPatch; ++t) {
        const uint32_t bits = 1u << r | 0x10000u << t;
        to[r][t] = (mask & bits) == bits ? source_[offset_ + step + r * row_ + t * C_] : 0.0f;
      }
  }

 private:
  const float* source_;
  int row_, C_, offset_;
  uint32_t inside_ = 0;  // bits of rows in the low half, of columns in the high one
};

/// V of a tile and channel, whose place in element 0 is `to`.
__device__ __forceinline__ void store_transformed(float (&patch)[kPatch][kPatch], float* to) {
#pragma unroll
  for (int t = 0; t < kPatch; ++t) {
    float in[kPatch], out[kPatch];
#pragma unroll
    for (int r = 0; r < kPatch; ++r) in[r] = patch[r][t];
    transform_source(in, out);
#pragma unroll
    for (int r = 0; r < kPatch; ++r) patch[r][t] = out[r];
  }
#pragma unroll
  for (int r = 0; r < kPatch; ++r) {
    float out[kPatch];
    transform_source(patch[r], out);
#pragma unroll
    for (int t = 0; t < kPatch; ++t) to[(r * kPatch + t) * kDepth * kPitch] = out[t];
  }
}

/// Sums of a lane: for each of the warp's elements tiles 4 y + i, filters 4 x + 16 j / 4 + j % 4.
struct LaneSums {
  float at[kEach][4][8] = {};

  static __device__ int element(int e) { return static_cast<int>(threadIdx.x) / 32 * kEach + e; }
  static __device__ int y() { return static_cast<int>(threadIdx.x) % 8; }
  static __device__ int x() { return static_cast<int>(threadIdx.x) % 32 / 8; }
  /// Adds the products of a stage.
  __device__ __forceinline__ void multiply(const float* v, const float* u) {
    v += element(0) * kDepth * kPitch + 4 * y();
    u += element(0) * kDepth * kFilters + 4 * x();
#pragma unroll 1
    for (int d = 0; d < kDepth; ++d)
#pragma unroll
      for (int e = 0; e < kEach; ++e) {
        const float4 a = ldv<float4>(v + (e * kDepth + d) * kPitch);
        const float4 b = ldv<float4>(u + (e * kDepth + d) * kFilters);
        const float4 c = ldv<float4>(u + (e * kDepth + d) * kFilters + 16);
        const float tiles[4] = {a.x, a.y, a.z, a.w};
        const float filters[8] = {b.x, b.y, b.z, b.w, c.x, c.y, c.z, c.w};
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int j = 0; j < 8; ++j) at[e][i][j] = fmaf(tiles[i], filters[j], at[e][i][j]);
      }
  }
  /// Place of a sum. Chunks of four filters change places, so that the lanes of a store, whose
  /// tiles are 4 apart, and those of a load, 32 filters of a tile, lie in different banks.
  static __device__ int place(int element, int tile, int filter) {
    return (element * kTiles + tile) * kFilters + ((filter / 4 ^ tile / 4) * 4 | filter % 4);
  }
  __device__ __forceinline__ void store(float* to) const {
#pragma unroll
    for (int e = 0; e < kEach; ++e)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 8; j += 4)
          stv(to + place(element(e), 4 * y() + i, 4 * x() + 4 * j),
              make_float4(at[e][i][j], at[e][i][j + 1], at[e][i][j + 2], at[e][i][j + 3]));
  }
};

/// Stores the whole windows of a tile's outputs z of filter k.
template <int kPool>
__device__ __forceinline__ void store_windows(const Problem& p, const Epilogue& e,
                                              const TilePlace& tile, int k,
                                              const float (&z)[kOut][kOut]) {
  constexpr int kSide = kOut / kPool;
  const int rows = p.H / kPool, columns = p.W / kPool;
  const float bias = e.bias != nullptr ? e.bias[k] : 0.0f;
#pragma unroll
  for (int i = 0; i < kSide; ++i)
#pragma unroll
    for (int j = 0; j < kSide; ++j) {
      const int row = tile.row * kSide + i, column = tile.column * kSide + j;
      if (row >= rows || column >= columns) continue;
      float best = z[i * kPool][j * kPool];
      int place = 0;
#pragma unroll
      for (int v = 1; v < kPool * kPool; ++v) {
        const float other = z[i * kPool + v / kPool][j * kPool + v % kPool];
        place = other > best ? v : place;
        best = other > best ? other : best;
      }
      const int64_t at = ((int64_t{tile.n} * rows + row) * columns + column) * p.K + k;
      e.out[at] = activate(e.activation, e.slope, best + bias);
      if (kPool > 1 && e.argmax != nullptr) e.argmax[at] = static_cast<uint8_t>(place);
    }
}

/// From all sums to the output: a lane has a filter, a warp a tile.
__device__ __forceinline__ void store_outputs(const Problem& p, const Epilogue& e,
                                              const float* sums, int t0, int k0) {
  const int lane = static_cast<int>(threadIdx.x) % 32, k = k0 + lane;
  if (k >= p.K) return;
#pragma unroll 1
  for (int t = static_cast<int>(threadIdx.x) / 32; t < kTiles && t0 + t < p.tiles; t += kWarps) {
    float half[kPatch][kOut], z[kOut][kOut];  // half is transposed
#pragma unroll
    for (int c = 0; c < kPatch; ++c) {
      float in[kPatch];
#pragma unroll
      for (int r = 0; r < kPatch; ++r) in[r] = sums[LaneSums::place(r * kPatch + c, t, lane)];
      transform_sums(in, half[c]);
    }
#pragma unroll
    for (int r = 0; r < kOut; ++r) {
      float in[kPatch];
#pragma unroll
      for (int c = 0; c < kPatch; ++c) in[c] = half[c][r];
      transform_sums(in, z[r]);
    }
    const TilePlace tile(p, t0 + t);
    if (p.pool == 1)
      store_windows<1>(p, e, tile, k, z);
    else if (p.pool == 2)
      store_windows<2>(p, e, tile, k, z);
    else
      store_windows<4>(p, e, tile, k, z);
  }
}

/// Grid: (blocks of filters, blocks of tiles), so that blocks that run together share the source.
__global__ void __launch_bounds__(kBlock, 1)
    conv2d_winograd(const __grid_constant__ Problem p, const __grid_constant__ Epilogue e) {
  ASSAY_DYNAMIC_SHARED(float, shared);
  const int thread = static_cast<int>(threadIdx.x), t0 = static_cast<int>(blockIdx.y) * kTiles;
  const int tile = thread / kDepth, channel = thread % kDepth;
  const bool transforms = tile < kTiles;  // 8 of the 12 warps
  const Patch patch(p, t0 + tile, channel);
  const int stages = stages_of(p.C);
  const float* filters = p.filters + int64_t{blockIdx.x} * stages * kU;
  const auto copy_filters = [&](float* to, int stage) {
    const float* from = filters + int64_t{stage} * kU;
#pragma unroll
    for (int i = 0; i < kU; i += 4 * kBlock)
      ptx::cp_async<16>(to + i + 4 * thread, from + i + 4 * thread);
    ptx::cp_async_commit();
  };
  float* const v = shared;
  float* const u = shared + 2 * kV;
  float values[kPatch][kPatch];
  LaneSums sums;
  copy_filters(u, 0);
  if (transforms) {
    patch.load(values, 0, channel < p.C);
    store_transformed(values, v + channel * kPitch + tile);
  }
  for (int stage = 0; stage < stages; ++stage) {
    const int now = stage % 2, next = 1 - now, c = (stage + 1) * kDepth;
    const bool more = stage + 1 < stages;
    ptx::cp_async_wait<0>();
    __syncthreads();  // the stage is complete, and nobody reads the other buffers
    if (more) copy_filters(u + next * kU, stage + 1);
    if (more && transforms) patch.load(values, c, c + channel < p.C);
    sums.multiply(v + now * kV, u + now * kU);
    if (more && transforms) store_transformed(values, v + next * kV + channel * kPitch + tile);
  }
  __syncthreads();
  sums.store(shared);
  __syncthreads();
  store_outputs(p, e, shared, t0, static_cast<int>(blockIdx.x) * kFilters);
}

int tiles_along(int size) {
  return (size + kOut - 1) / kOut;
}
int64_t tiles_of(const Conv2dShape& s) {
  return int64_t{s.N} * tiles_along(s.H) * tiles_along(s.W);
}

void run(Context& ctx, const DenseConv& conv, const float* source, const float* w,
         const Epilogue& e) {
  const TransformedFilters filters(ctx, conv, w);
  const int across = tiles_along(conv.W), down = tiles_along(conv.H);
  const Problem p{.source = source,
                  .filters = filters.get(),
                  .H = conv.H,
                  .W = conv.W,
                  .C = conv.C,
                  .K = conv.K,
                  .pool = conv.pool,
                  .tiles = conv.N * down * across,
                  .across = across,
                  .by_across = Divisor(across),
                  .by_down = Divisor(down)};
  launch(conv2d_winograd,
         dim3(static_cast<unsigned>(blocks_of(conv.K)), blocks_for(p.tiles, kTiles)), kBlock,
         kShared, stream_of(ctx), p, e);
}

}  // namespace

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue&) {
  if (ctx.precision != Precision::fp32) return Coverage::no("the precision is not fp32");
  if (pass == ConvPass::wgrad) return Coverage::no("fprop and dgrad alone");
  if (s.R != 3 || s.S != 3 || s.stride != 1 || s.pad != 1 || s.upsample != 1)
    return Coverage::no("not a 3x3 filter of stride 1 and pad 1 without an upsampling");
  if (std::min(s.C, s.K) < 4) return Coverage::no("fewer than 4 channels or filters");
  constexpr int64_t kMaxTiles = int64_t{65535} * kTiles;  // of a grid
  if (!offsets_fit_int(s) || tiles_of(s) > kMaxTiles)
    return Coverage::no("too large for offsets of 32 bits or for a grid");
  const int from = pass == ConvPass::fprop ? s.C : s.K, to = pass == ConvPass::fprop ? s.K : s.C;
  const auto tile_blocks = int64_t{blocks_for(tiles_of(s), kTiles)};
  const int64_t products = tile_blocks * kTiles * kElements * filter_pairs(to, from);
  if (2 * 2 * products > conv2d_flops(s))
    return Coverage::but_slower("cut tiles, or few channels: more than half of direct's products");
  if (std::min(s.C, s.K) < 32)
    return Coverage::but_slower("below 32 channels or filters the transforms cost too much");
  if (tile_blocks * blocks_of(to) < 132)
    return Coverage::but_slower("fewer blocks than an H100's 132 multiprocessors");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  run(ctx, fprop_conv(s, e.pool), x, w, {y, argmax, bias, e.activation, e.slope});
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  const StoredDz<float> dz(ctx, s, e, g);
  run(ctx, dgrad_conv(s), dz.get(), w, {dx});
}

}  // namespace assay::cuda::winograd
