#include "kernels/conv2d/cpu/row_blocks.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/conv2d/cpu/dz_simd.h"

namespace assay::cpu {
namespace {

constexpr int64_t kBandBytes = 640 << 10;  // staged source and result: within a 1 MB L2
constexpr int kLeastParts = 8;             // of a call, where the shape allows it

size_t bytes(int64_t floats) {
  return sizeof(float) * static_cast<size_t>(floats);
}

void extent(const std::vector<PhaseAxis>& phases, int& low, int& high) {
  low = INT32_MAX;
  high = INT32_MIN;
  for (const PhaseAxis& a : phases) {
    if (a.taps.empty()) continue;
    low = std::min(low, a.first);
    high = std::max(high, a.first + static_cast<int>(a.taps.size()) - 1);
  }
  if (low > high) low = high = 0;
}

Plan make_plan(DensePass pass) {
  Plan plan{std::move(pass), 0, 0, 0, 0};
  extent(plan.pass.rows, plan.low_row, plan.high_row);
  extent(plan.pass.columns, plan.low_column, plan.high_column);
  return plan;
}

// Zeroes the columns of a staged row that lie outside a picture of `columns` columns.
void zero_margins(const Stage& g, int columns, int C, float* row) {
  const int first = std::clamp(g.left, 0, g.width);
  const int last = std::clamp(g.left + columns, 0, g.width);
  std::memset(row, 0, bytes(int64_t{first} * C));
  std::memset(row + int64_t{last} * C, 0, bytes(int64_t{g.width - last} * C));
}

}  // namespace

void stage_picture(const Stage& g, int H, int W, int C, const float* x, float* out) {
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
  // Windows that reach into the staged columns.
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

Plan fprop_plan(const Conv2dShape& s) {
  return make_plan({.step = s.stride,
                    .out_step = s.upsample,
                    .rows = fprop_axis(s.R, s.pad, s.upsample),
                    .columns = fprop_axis(s.S, s.pad, s.upsample)});
}

Plan dgrad_plan(const Conv2dShape& s) {
  return make_plan({.step = s.upsample,
                    .out_step = s.stride,
                    .rows = dgrad_axis(s.R, s.stride, s.pad, s.upsample),
                    .columns = dgrad_axis(s.S, s.stride, s.pad, s.upsample)});
}

int64_t panels_size(const Plan& plan, int depth, int columns) {
  int64_t taps = 0;
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns)
      taps += static_cast<int64_t>(a.taps.size() * b.taps.size());
  return taps * depth * padded_columns(columns);
}

Cut cut_work(int N, int total_rows, int64_t bytes_per_row, int unit) {
  const auto round_up = [unit](int64_t rows) { return (rows + unit - 1) / unit * unit; };
  const int64_t fit = std::max<int64_t>(unit, kBandBytes / bytes_per_row / unit * unit);
  const int64_t spread = round_up((int64_t{N} * total_rows + kLeastParts - 1) / kLeastParts);
  Cut cut{};
  cut.rows = static_cast<int>(std::min({fit, spread, round_up(total_rows)}));
  cut.bands = (total_rows + cut.rows - 1) / cut.rows;
  cut.images = 1;
  if (cut.bands == 1)
    cut.images = static_cast<int>(std::clamp<int64_t>(kBandBytes / (bytes_per_row * cut.rows), 1,
                                                      std::max(1, N / kLeastParts)));
  cut.parts = int64_t{(N + cut.images - 1) / cut.images} * cut.bands;
  return cut;
}

Part part_of(const Cut& cut, int N, int total_rows, int64_t index) {
  const int n0 = static_cast<int>(index / cut.bands) * cut.images;
  const int i0 = static_cast<int>(index % cut.bands) * cut.rows;
  return {n0, std::min(N, n0 + cut.images), i0, std::min(total_rows, i0 + cut.rows)};
}

void run_band(const Plan& plan, const Band& band) {
  const DensePass& pass = plan.pass;
  const auto [n0, n1, i0, i1] = band.part;
  const int pool = band.pool;
  static thread_local std::vector<int64_t> from, to;
  const float* panels = band.panels;
  for (const PhaseAxis& a : pass.rows)
    for (const PhaseAxis& b : pass.columns) {
      const int taps = static_cast<int>(a.taps.size()), run = static_cast<int>(b.taps.size());
      const int row_end =
          std::min(i1, (band.out_rows * pool - a.out0 + pass.out_step - 1) / pass.out_step);
      const int column_end = (band.out_width * pool - b.out0 + pass.out_step - 1) / pass.out_step;
      const int window_rows = std::max(0, row_end - i0) / pool;
      const int window_columns = std::max(0, column_end) / pool;
      to.resize(static_cast<size_t>(n1 - n0) * static_cast<size_t>(window_rows) *
                static_cast<size_t>(window_columns));
      from.resize(to.size() * static_cast<size_t>(pool * pool));
      int64_t *next_from = from.data(), *next_to = to.data();
      for (int n = n0; n < n1; ++n)
        for (int i = 0; i < window_rows; ++i)
          for (int j = 0; j < window_columns; ++j) {
            const int64_t row = int64_t{i} * pool * pass.step + a.first - plan.low_row;
            const int64_t column = int64_t{j} * pool * pass.step + b.first - plan.low_column;
            for (int y = 0; y < pool; ++y)
              for (int x = 0; x < pool; ++x)
                *next_from++ =
                    (n - n0) * band.staged_image +
                    ((row + y * pass.step) * band.staged_width + column + x * pass.step) *
                        band.depth;
            const int64_t out_row = (int64_t{i0} / pool + i) * pass.out_step + a.out0;
            const int64_t out_column = int64_t{j} * pass.out_step + b.out0;
            *next_to++ = ((int64_t{n} * band.out_rows + out_row) * band.out_width + out_column) *
                         band.columns;
          }
      // Without taps (a stride larger than the filter) the product is the bias alone.
      const float* panel = panels;
      if (!from.empty())
        for_each_panel(band.columns, [&](int first, int width, int real) {
          const TileJob job{.a = band.staged,
                            .a_offset = from.data(),
                            .a_row = int64_t{band.staged_width} * band.depth,
                            .M = static_cast<int64_t>(from.size()),
                            .taps = taps,
                            .run = run * band.depth,
                            .panel = panel,
                            .width = width,
                            .columns = real,
                            .bias = band.bias != nullptr ? band.bias + first : nullptr,
                            .out = band.out + first,
                            .out_offset = to.data(),
                            .accumulate = false,
                            .window = pool * pool,
                            .argmax = band.argmax != nullptr ? band.argmax + first : nullptr};
          ASSAY_ISA_CALL(tile_product, job);
          panel += int64_t{taps} * run * band.depth * width;
        });
      panels += int64_t{taps} * run * band.depth * padded_columns(band.columns);
    }
}

void sum_bias(const float* dz, int64_t pixels, int K, float* sum) {
  ASSAY_ISA_CALL(add_rows, pixels, K, dz, sum);
}

void sum_partials(Context& ctx, int64_t parts, int64_t size, float* partials) {
  parallel_blocks(ctx, size, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t part = 1; part < parts; ++part) {
      const float* from = partials + part * size;
      for (int64_t i = begin; i < end; ++i) partials[i] += from[i];
    }
  });
}

}  // namespace assay::cpu
