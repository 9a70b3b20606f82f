// wgrad of a pooled 3x3 layer without the zeros of dz. A block of windows is cut so that its staged
// x and its list of (gradient, position of the argmax) stay in the first-level cache. Channels in
// 16s: every filter gathers its pixels. At most 3 channels: every filter permutes a register.
#include <algorithm>
#include <cstring>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/pooled_wgrad_simd.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu::pooled_wgrad {
namespace {

constexpr int kMaxPartials = 16;
constexpr int64_t kPartialFloats = 3 << 19;  // at most, all partials: 6 MB to clear and to add
constexpr int kStagedColumns = 52, kStagedPixels = 340;  // 21 KB of 16 channels: fits in the L1
constexpr int kListedGradients = 2048;                   // 16 KB: fits in the L1
constexpr int kMaxFewChannels = 3;

bool has_few_channels(const Conv2dShape& s) {
  return s.C <= kMaxFewChannels;
}

// How the pooling windows of a batch are cut: a block is `rows` x `columns` windows of one image.
struct Blocks {
  int window_rows, window_columns;  // windows of an image
  int rows, columns;
  int down, across;  // blocks of an image
  int64_t count;

  Blocks(const Conv2dShape& s, const Conv2dEpilogue& e)
      : window_rows(s.P() / e.pool), window_columns(s.Q() / e.pool) {
    if (has_few_channels(s)) {
      rows = 1;
      columns = std::clamp(kListedGradients / s.K, 1, std::max(1, window_columns));
    } else {
      const int most = std::clamp(kListedGradients / 2 / s.K, 8, kStagedColumns / e.pool);
      const int strips = std::max(1, (window_columns + most - 1) / most);
      columns = std::max(1, (window_columns + strips - 1) / strips);
      const int staged_rows = kStagedPixels / (columns * e.pool + 2) - 2;
      const int max_rows = std::min(staged_rows / e.pool, kListedGradients / (s.K * columns));
      rows = std::clamp(max_rows, 1, std::max(1, window_rows));
    }
    down = (window_rows + rows - 1) / rows;
    across = (window_columns + columns - 1) / columns;
    count = int64_t{s.N} * down * across;
  }
};

struct Block {
  int n, i0, i1, j0, j1;
};

Block block_of(const Blocks& b, int64_t index) {
  const int n = static_cast<int>(index / (b.down * b.across));
  const int i0 = static_cast<int>(index / b.across % b.down) * b.rows;
  const int j0 = static_cast<int>(index % b.across) * b.columns;
  return {n, i0, std::min(b.window_rows, i0 + b.rows), j0,
          std::min(b.window_columns, j0 + b.columns)};
}

// Memory for one block: staged x, and the gradient and position of each window and filter.
struct Buffers {
  float* x;
  float* d;
  int32_t* position;
};

// Stages one image, 16 channels together: (H,W,C) -> (C/16,rows,width,16).
void stage_by_channels(const Stage& g, const Conv2dShape& s, const float* x, float* out) {
  const int first = std::clamp(g.left, 0, g.width), last = std::clamp(g.left + s.W, 0, g.width);
  for (int c = 0; c < s.C; c += kGatheredChannels)
    for (int i = 0; i < g.rows; ++i, out += int64_t{g.width} * kGatheredChannels) {
      const int h = g.row + i;
      const auto clear = [out](int begin, int end) {
        std::fill(out + begin * kGatheredChannels, out + end * kGatheredChannels, 0.0f);
      };
      if (h < 0 || h >= s.H || first >= last) {
        clear(0, g.width);
        continue;
      }
      clear(0, first);
      const float* from = x + (int64_t{h} * s.W + first - g.left) * s.C + c;
      for (int j = first; j < last; ++j, from += s.C)
        std::memcpy(out + j * kGatheredChannels, from, sizeof(float) * kGatheredChannels);
      clear(last, g.width);
    }
}

void list_block(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dGrad<float>& g,
                const Blocks& blocks, const Block& b, PooledRow row) {
  for (int i = b.i0; i < b.i1; ++i) {
    const int64_t at =
        ((int64_t{b.n} * blocks.window_rows + i) * blocks.window_columns + b.j0) * s.K;
    row.dy = g.dy + at;
    row.y = e.activation == Activation::none ? nullptr : g.y + at;
    row.argmax = g.argmax + at;
    ASSAY_ISA_CALL(pooled_row, row);
    row.first += e.pool * row.down;
    row.d += int64_t{row.windows} * s.K;
    row.position += int64_t{row.windows} * s.K;
  }
}

// Adds the products of a block to `partial`.
void add_block(const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
               const Conv2dGrad<float>& g, const Blocks& blocks, const Block& b,
               const Buffers& buffers, float* partial, float* bias) {
  const Stage area{.row = b.i0 * e.pool - s.pad,
                   .rows = (b.i1 - b.i0) * e.pool + 2,
                   .left = s.pad - b.j0 * e.pool,
                   .width = (b.j1 - b.j0) * e.pool + 2};
  const float* image = x + int64_t{b.n} * s.H * s.W * s.C;
  PooledRow row{.dy = nullptr,
                .y = nullptr,
                .argmax = nullptr,
                .windows = b.j1 - b.j0,
                .K = s.K,
                .activation = e.activation,
                .slope = e.slope,
                .pool = e.pool,
                .first = 0,
                .next = 0,
                .down = 16,
                .right = s.C,
                .d = buffers.d,
                .position = buffers.position,
                .bias = bias};
#if defined(__x86_64__)
  if (has_few_channels(s)) {
    stage_image(area, s.H, s.W, s.C, image, buffers.x);
    list_block(s, e, g, blocks, b, row);
    return avx512::permuted_products({.x = buffers.x,
                                      .row = int64_t{area.width} * s.C,
                                      .d = buffers.d,
                                      .position = buffers.position,
                                      .windows = row.windows,
                                      .C = s.C,
                                      .K = s.K,
                                      .sum = partial});
  }
#endif
  stage_by_channels(area, s, image, buffers.x);
  row.down = area.width * kGatheredChannels;
  row.right = kGatheredChannels;
  row.next = e.pool * kGatheredChannels;
  list_block(s, e, g, blocks, b, row);
  const int64_t plane = int64_t{area.rows} * area.width * kGatheredChannels;
  for (int c = 0; c < s.C / kGatheredChannels; ++c) {
    const GatheredProducts job{.x = buffers.x + c * plane,
                               .row = row.down,
                               .d = buffers.d,
                               .position = buffers.position,
                               .windows = int64_t{b.i1 - b.i0} * row.windows,
                               .K = s.K,
                               .sum = partial + int64_t{c} * s.K * 9 * kGatheredChannels};
    ASSAY_ISA_CALL(gathered_products, job);
  }
}

// Rearranges the sum, (C/16,K,9,16) or (K/16,9C,16), into dw (K,9,C).
void unpack(const Conv2dShape& s, const float* sum, float* dw) {
  const bool few = has_few_channels(s);
  for (int k = 0; k < s.K; ++k)
    for (int tap = 0; tap < 9; ++tap)
      for (int c = 0; c < s.C; ++c, ++dw)
        *dw = few ? sum[(int64_t{k / 16} * 9 * s.C + tap * s.C + c) * 16 + k % 16]
                  : sum[((int64_t{c / 16} * s.K + k) * 9 + tap) * 16 + c % 16];
}

}  // namespace

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (pass != ConvPass::wgrad) return Coverage::no("wgrad only");
  if (s.R != 3 || s.S != 3) return Coverage::no("the filter is not 3x3");
  if (s.stride != 1 || s.upsample != 1) return Coverage::no("a stride or an upsampling");
  if (e.pool == 1) return Coverage::no("no pool");
  if (!has_few_channels(s))
    return s.C % kGatheredChannels == 0 ? Coverage::yes()
                                        : Coverage::no("channels not in 16s and more than 3");
  if (active_isa() != Isa::avx512) return Coverage::no("at most 3 channels without AVX-512");
  if (e.pool != 2) return Coverage::no("at most 3 channels in front of a 4x4 pool");
  return s.K % 16 == 0 ? Coverage::yes() : Coverage::no("filters not in 16s");
}

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  const Blocks blocks(s, e);
  const int64_t bias_at = int64_t{s.K} * 9 * s.C, size = bias_at + s.K;
  const int64_t partials = std::clamp<int64_t>(kPartialFloats / size, 1,
                                               std::clamp<int64_t>(blocks.count, 1, kMaxPartials));
  const Scratch sums(ctx, sizeof(float) * static_cast<size_t>(size * partials));
  const int64_t windows = int64_t{blocks.rows} * blocks.columns;
  const int64_t x_size =
      int64_t{blocks.rows * e.pool + 2} * (blocks.columns * e.pool + 2) * s.C + kGatheredChannels;
  parallel_for(ctx, partials, [&](int64_t index) {
    float* partial = sums.as<float>() + index * size;
    std::fill_n(partial, size, 0.0f);
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(x_size + 2 * windows * s.K));
    float* d = scratch.as<float>() + x_size;
    const Buffers buffers{scratch.as<float>(), d, reinterpret_cast<int32_t*>(d + windows * s.K)};
    for (int64_t i = blocks.count * index / partials; i < blocks.count * (index + 1) / partials;
         ++i)
      add_block(s, e, x, g, blocks, block_of(blocks, i), buffers, partial, partial + bias_at);
  });
  sum_partials(ctx, partials, size, sums.as<float>());
  unpack(s, sums.as<float>(), dw);
  if (dbias != nullptr) std::copy_n(sums.as<float>() + bias_at, s.K, dbias);
}

}  // namespace assay::cpu::pooled_wgrad
