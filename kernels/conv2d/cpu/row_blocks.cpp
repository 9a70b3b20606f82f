// Staging, packing and running of row blocks.
#include "kernels/conv2d/cpu/row_blocks.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/conv2d/cpu/dz_simd.h"

namespace assay::cpu {
namespace {

constexpr int64_t kBlockBytes = 640 << 10;  // staged source and result, to fit in a 1 MB L2
constexpr int kMinBlocks = 8;               // per call, if it has as many rows

size_t bytes(int64_t floats) {
  return sizeof(float) * static_cast<size_t>(floats);
}

// Zeroes the columns of a staged row that lie outside an image of `columns` columns.
void zero_margins(const Stage& g, int columns, int C, float* row) {
  const int first = std::clamp(g.left, 0, g.width);
  const int last = std::clamp(g.left + columns, 0, g.width);
  std::memset(row, 0, bytes(int64_t{first} * C));
  std::memset(row + int64_t{last} * C, 0, bytes(int64_t{g.width - last} * C));
}

}  // namespace

void stage_image(const Stage& g, int H, int W, int C, const float* x, float* out) {
  const int first = std::clamp(g.left, 0, g.width), last = std::clamp(g.left + W, 0, g.width);
  for (int i = 0; i < g.rows; ++i) {
    float* row = out + int64_t{i} * g.width * C;
    const int h = g.row + i;
    if (h < 0 || h >= H || first >= last) {
      std::memset(row, 0, bytes(int64_t{g.width} * C));
      continue;
    }
    zero_margins(g, W, C, row);
    std::memcpy(row + int64_t{first} * C, x + (int64_t{h} * W + first - g.left) * C,
                bytes(int64_t{last - first} * C));
  }
}

void stage_dz(const Stage& g, const Conv2dShape& s, const Conv2dEpilogue& e,
              const Conv2dGrad<float>& grad, int n, float* out) {
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool, K = s.K;
  // The windows [j0, j1) reach into the staged columns.
  const int j0 = g.left < 0 ? std::min(columns, -g.left / e.pool) : 0;
  const int j1 = std::clamp((g.width - g.left + e.pool - 1) / e.pool, j0, columns);
  for (int i = 0; i < g.rows; ++i) {
    float* row = out + int64_t{i} * g.width * K;
    const int p = g.row + i;
    if (p < 0 || p >= rows * e.pool || j0 == j1) {
      std::memset(row, 0, bytes(int64_t{g.width} * K));
      continue;
    }
    zero_margins(g, columns * e.pool, K, row);
    const int64_t at = ((int64_t{n} * rows + p / e.pool) * columns + j0) * K;
    const bool plain = e.activation == Activation::none;
    const DzRow job{.dy = grad.dy + at,
                    .y = plain ? nullptr : grad.y + at,
                    .argmax = e.pool > 1 ? grad.argmax + at : nullptr,
                    .windows = j1 - j0,
                    .K = K,
                    .activation = e.activation,
                    .slope = e.slope,
                    .pool = e.pool,
                    .a = p % e.pool,
                    .left = g.left + j0 * e.pool,
                    .width = g.width,
                    .out = row};
    ASSAY_ISA_CALL(dz_row, job);
  }
}

int64_t panels_size(const DensePass& pass, int in_channels, int out_channels) {
  int64_t taps = 0;
  for (int a = 0; a < pass.rows.phases(); ++a)
    for (int b = 0; b < pass.columns.phases(); ++b)
      taps += int64_t{pass.rows.taps(a)} * pass.columns.taps(b);
  return taps * in_channels * padded_columns(out_channels);
}

RowBlocks row_blocks_of(int N, int total_rows, int64_t bytes_per_row, int unit) {
  const auto round_up = [unit](int64_t rows) { return (rows + unit - 1) / unit * unit; };
  const int64_t fit = std::max<int64_t>(unit, kBlockBytes / bytes_per_row / unit * unit);
  const int64_t spread = round_up((int64_t{N} * total_rows + kMinBlocks - 1) / kMinBlocks);
  RowBlocks blocks{};
  blocks.rows = static_cast<int>(std::min({fit, spread, round_up(total_rows)}));
  blocks.per_image = (total_rows + blocks.rows - 1) / blocks.rows;
  blocks.images = 1;
  if (blocks.per_image == 1)
    blocks.images = static_cast<int>(std::clamp<int64_t>(
        kBlockBytes / (bytes_per_row * blocks.rows), 1, std::max(1, N / kMinBlocks)));
  blocks.count = int64_t{(N + blocks.images - 1) / blocks.images} * blocks.per_image;
  return blocks;
}

RowBlock row_block(const RowBlocks& blocks, int N, int total_rows, int64_t index) {
  const int n0 = static_cast<int>(index / blocks.per_image) * blocks.images;
  const int i0 = static_cast<int>(index % blocks.per_image) * blocks.rows;
  return {n0, std::min(N, n0 + blocks.images), i0, std::min(total_rows, i0 + blocks.rows)};
}

void run_row_block(const DensePass& pass, const RowBlockJob& job) {
  const auto [n0, n1, i0, i1] = job.block;
  const int pool = job.pool, step = pass.step(), out_step = pass.out_step();
  std::vector<int64_t> from, to;
  const float* panels = job.panels;
  for (int a = 0; a < pass.rows.phases(); ++a)
    for (int b = 0; b < pass.columns.phases(); ++b) {
      const int taps = pass.rows.taps(a), run = pass.columns.taps(b) * job.in_channels;
      const int row_end = std::min(i1, pass.rows.outputs_of(a, job.out_rows * pool));
      const int column_end = pass.columns.outputs_of(b, job.out_width * pool);
      const int window_rows = std::max(0, row_end - i0) / pool;
      const int window_columns = column_end / pool;
      const int first_row = pass.rows.first(a) - pass.row_reach.begin;
      const int first_column = pass.columns.first(b) - pass.column_reach.begin;
      to.resize(static_cast<size_t>(n1 - n0) * static_cast<size_t>(window_rows) *
                static_cast<size_t>(window_columns));
      from.resize(to.size() * static_cast<size_t>(pool * pool));
      int64_t *next_from = from.data(), *next_to = to.data();
      for (int n = n0; n < n1; ++n)
        for (int i = 0; i < window_rows; ++i)
          for (int j = 0; j < window_columns; ++j) {
            const int64_t row = int64_t{i} * pool * step + first_row;
            const int64_t column = int64_t{j} * pool * step + first_column;
            for (int y = 0; y < pool; ++y)
              for (int x = 0; x < pool; ++x)
                *next_from++ =
                    (n - n0) * job.staged_image +
                    ((row + y * step) * job.staged_width + column + x * step) * job.in_channels;
            const int64_t out_row = (int64_t{i0} / pool + i) * out_step + a;
            const int64_t out_column = int64_t{j} * out_step + b;
            *next_to++ = ((int64_t{n} * job.out_rows + out_row) * job.out_width + out_column) *
                         job.out_channels;
          }
      // Without taps (a stride larger than the filter) the product is the bias alone.
      const float* panel = panels;
      if (!from.empty())
        for_each_panel(job.out_channels, [&](int first, int width, int real) {
          const TileJob tiles{.a = job.staged,
                              .a_offset = from.data(),
                              .a_row = int64_t{job.staged_width} * job.in_channels,
                              .M = static_cast<int64_t>(from.size()),
                              .taps = taps,
                              .run = run,
                              .panel = panel,
                              .width = width,
                              .columns = real,
                              .bias = job.bias != nullptr ? job.bias + first : nullptr,
                              .out = job.out + first,
                              .out_offset = to.data(),
                              .accumulate = false,
                              .window = pool * pool,
                              .argmax = job.argmax != nullptr ? job.argmax + first : nullptr};
          ASSAY_ISA_CALL(tile_product, tiles);
          panel += int64_t{taps} * run * width;
        });
      panels += int64_t{taps} * run * padded_columns(job.out_channels);
    }
}

void sum_bias(const float* dz, int64_t pixels, int K, float* sum) {
  ASSAY_ISA_CALL(add_rows, pixels, K, dz, sum);
}

void sum_partials(Context& ctx, int64_t partials, int64_t size, float* sums) {
  parallel_blocks(ctx, size, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t partial = 1; partial < partials; ++partial) {
      const float* from = sums + partial * size;
      for (int64_t i = begin; i < end; ++i) sums[i] += from[i];
    }
  });
}

}  // namespace assay::cpu
