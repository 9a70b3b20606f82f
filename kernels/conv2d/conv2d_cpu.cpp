// Convolution on the CPU: direct, NHWC, no im2col. Every pass is a DensePass (dense_pass.h) over a
// picture staged with its padding in a band that fits in the cache, run by the microkernels of
// kernels/gemm/tile.h. The band is where everything is fused: dz is formed while it is staged, bias
// starts the accumulators, pooling and activation work on the band before it leaves the cache.
#include <algorithm>
#include <cstring>

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/dense_pass.h"
#include "kernels/gemm/tile.h"
#include "kernels/runtime/error.h"

namespace assay::cpu {
namespace {

constexpr int64_t kBandBytes = 384 << 10;  // staged source and result of a band: within a 1 MB L2
constexpr int kMostPartials = 16;          // copies of dw that are summed in order
constexpr int64_t kSlack = 64;             // floats readable behind a staged band (outer_product)

// ---- Staging: source rows [row, row + rows) with `left` columns of padding, zero outside
// ----------

struct Stage {
  int row, rows;    // source rows, may lie outside the picture
  int left, width;  // staged column 0 is source column -left
};

void stage_picture(const Stage& g, int H, int W, int C, const float* x, float* out) {
  for (int i = 0; i < g.rows; ++i) {
    float* row = out + int64_t{i} * g.width * C;
    const int h = g.row + i;
    if (h < 0 || h >= H) {
      std::memset(row, 0, sizeof(float) * static_cast<size_t>(g.width) * C);
      continue;
    }
    const int first = std::clamp(g.left, 0, g.width), last = std::clamp(g.left + W, 0, g.width);
    std::memset(row, 0, sizeof(float) * static_cast<size_t>(first) * C);
    if (last > first)
      std::memcpy(row + int64_t{first} * C, x + (int64_t{h} * W + first - g.left) * C,
                  sizeof(float) * static_cast<size_t>(last - first) * C);
    std::memset(row + int64_t{last} * C, 0,
                sizeof(float) * static_cast<size_t>(g.width - last) * C);
  }
}

// The same for dz of image n, formed from dy, y and argmax (conv2d.h).
void stage_dz(const Stage& g, const Conv2dShape& s, const Conv2dEpilogue& e,
              const Conv2dGrad<float>& grad, int n, float* out) {
  const int P = s.P(), Q = s.Q(), K = s.K, pool = e.pool, rows = P / pool, columns = Q / pool;
  const bool plain = e.activation == Activation::none && pool == 1;
  if (plain) {
    stage_picture(g, P, Q, K, grad.dy + int64_t{n} * P * Q * K, out);
    return;
  }
  std::memset(out, 0, sizeof(float) * static_cast<size_t>(g.rows) * g.width * K);
  const int first_column = std::max(0, -g.left / pool);
  const int i_begin = std::max(0, floor_div(g.row, pool));
  const int i_end = std::min(rows, floor_div(g.row + g.rows - 1, pool) + 1);
  for (int i = i_begin; i < i_end; ++i)
    for (int j = first_column; j < columns; ++j) {
      const int64_t at = ((int64_t{n} * rows + i) * columns + j) * K;
      const float* dy = grad.dy + at;
      const float* y = grad.y + at;
      if (pool == 1) {
        const int column = j + g.left;
        if (column < 0 || column >= g.width) continue;
        float* dz = out + (int64_t{i - g.row} * g.width + column) * K;
        for (int k = 0; k < K; ++k) dz[k] = dy[k] * activation_slope(e.activation, e.slope, y[k]);
        continue;
      }
      for (int k = 0; k < K; ++k) {
        const int position = grad.argmax[at + k];
        const int row = i * pool + position / pool - g.row;
        const int column = j * pool + position % pool + g.left;
        if (row < 0 || row >= g.rows || column < 0 || column >= g.width) continue;
        out[(int64_t{row} * g.width + column) * K + k] =
            e.activation == Activation::none
                ? dy[k]
                : dy[k] * activation_slope(e.activation, e.slope, y[k]);
      }
    }
}

// ---- A dense pass over one band
// -------------------------------------------------------------------

// A pass with its extent: the margins that its phases reach around the source.
struct Plan {
  DensePass pass;
  int low_row, high_row;  // source row of output row i, any tap: i*step + [low, high]
  int low_column, high_column;
};

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

Plan fprop_plan(const Conv2dShape& s) {
  DensePass pass;
  pass.step = s.stride;
  pass.out_step = s.upsample;
  pass.rows = fprop_axis(s.R, s.pad, s.upsample);
  pass.columns = fprop_axis(s.S, s.pad, s.upsample);
  return make_plan(std::move(pass));
}

Plan dgrad_plan(const Conv2dShape& s) {
  DensePass pass;
  pass.step = s.upsample;
  pass.out_step = s.stride;
  pass.rows = dgrad_axis(s.R, s.stride, s.pad, s.upsample);
  pass.columns = dgrad_axis(s.S, s.stride, s.pad, s.upsample);
  return make_plan(std::move(pass));
}

int64_t panels_size(const Plan& plan, int depth, int columns) {
  int64_t taps = 0;
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns)
      taps += static_cast<int64_t>(a.taps.size() * b.taps.size());
  return taps * depth * padded_columns(columns);
}

// Packs the filters of every phase: [phase][panel][tap row][tap column][depth][panel width].
// `value` gives w for (filter row, filter column, depth index, column).
template <class Value>
void pack_panels(const Plan& plan, int depth, int columns, const Value& value, float* out) {
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns) {
      if (a.taps.empty() || b.taps.empty()) continue;
      for_each_panel(columns, [&](int first, int width, int real) {
        for (const auto& rows : a.taps)
          for (const auto& cols : b.taps)
            for (int d = 0; d < depth; ++d, out += width)
              for (int k = 0; k < width; ++k) {
                float sum = 0;
                if (k < real)
                  for (const int r : rows)
                    for (const int t : cols) sum += value(r, t, d, first + k);
                out[k] = sum;
              }
      });
    }
}

// Runs all phases for output rows that belong to phase rows [i0, i1), from a staged band to `out`,
// rows of out_width*columns floats whose row 0 is output row i0*out_step.
struct Band {
  const float* staged;
  int staged_width;
  int depth;  // channels of the source
  int i0, i1;
  int out_rows, out_width;  // of the whole output
  int columns;              // channels of the output
  const float* panels;
  const float* bias;
  float* out;
};

void run_band(const Plan& plan, const Band& band, std::vector<int64_t>& offsets) {
  const DensePass& pass = plan.pass;
  const float* panels = band.panels;
  for (const PhaseAxis& a : pass.rows)
    for (const PhaseAxis& b : pass.columns) {
      const int taps = static_cast<int>(a.taps.size()), run = static_cast<int>(b.taps.size());
      const int row_end =
          std::min(band.i1, (band.out_rows - a.out0 + pass.out_step - 1) / pass.out_step);
      const int column_end = (band.out_width - b.out0 + pass.out_step - 1) / pass.out_step;
      const int64_t M = int64_t{std::max(0, row_end - band.i0)} * std::max(0, column_end);
      if (M > 0) {
        offsets.resize(static_cast<size_t>(2 * M));
        int64_t* from = offsets.data();
        int64_t* to = from + M;
        for (int i = band.i0; i < row_end; ++i)
          for (int j = 0; j < column_end; ++j) {
            const int64_t row = (i - band.i0) * pass.step + a.first - plan.low_row;
            const int64_t column = j * pass.step + b.first - plan.low_column;
            *from++ = (row * band.staged_width + column) * band.depth;
            *to++ = (int64_t{(i - band.i0) * pass.out_step + a.out0} * band.out_width +
                     j * pass.out_step + b.out0) *
                    band.columns;
          }
        if (taps == 0 || run == 0) {  // a stride larger than the filter: nothing falls here
          for (int64_t m = 0; m < M; ++m)
            for (int k = 0; k < band.columns; ++k)
              band.out[offsets[static_cast<size_t>(M + m)] + k] =
                  band.bias != nullptr ? band.bias[k] : 0.0f;
        } else {
          const float* panel = panels;
          for_each_panel(band.columns, [&](int first, int width, int real) {
            const TileJob job{.a = band.staged,
                              .a_offset = offsets.data(),
                              .a_row = int64_t{band.staged_width} * band.depth,
                              .M = M,
                              .taps = taps,
                              .run = run * band.depth,
                              .panel = panel,
                              .width = width,
                              .columns = real,
                              .bias = band.bias != nullptr ? band.bias + first : nullptr,
                              .out = band.out + first,
                              .out_offset = offsets.data() + M,
                              .accumulate = false};
            ASSAY_ISA_CALL(tile_product, job);
            panel += int64_t{taps} * run * band.depth * width;
          });
        }
      }
      panels += int64_t{taps} * run * band.depth * padded_columns(band.columns);
    }
}

// Phase rows per band: as many as fit, a multiple of `unit`, at least one unit.
int band_rows(int64_t bytes_per_row, int total, int unit) {
  const int64_t fit = std::max<int64_t>(1, kBandBytes / std::max<int64_t>(1, bytes_per_row * unit));
  return static_cast<int>(std::min<int64_t>(fit * unit, (total + unit - 1) / unit * unit));
}

// z band (rows, Q, K) -> y rows: max over windows, argmax, activation.
void pool_band(const Conv2dEpilogue& e, int rows, int Q, int K, const float* z, float* y,
               uint8_t* argmax) {
  const int columns = Q / e.pool;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      float* out = y + (int64_t{i} * columns + j) * K;
      uint8_t* position = argmax != nullptr ? argmax + (int64_t{i} * columns + j) * K : nullptr;
      const float* window = z + (int64_t{i} * e.pool * Q + int64_t{j} * e.pool) * K;
      std::memcpy(out, window, sizeof(float) * static_cast<size_t>(K));
      if (position != nullptr) std::memset(position, 0, static_cast<size_t>(K));
      for (int a = 0; a < e.pool; ++a)
        for (int b = 0; b < e.pool; ++b) {
          if (a + b == 0) continue;
          const float* v = window + (int64_t{a} * Q + b) * K;
          const auto here = static_cast<uint8_t>(a * e.pool + b);
          if (position != nullptr) {
            for (int k = 0; k < K; ++k) {
              const bool larger = v[k] > out[k];
              out[k] = larger ? v[k] : out[k];
              position[k] = larger ? here : position[k];
            }
          } else {
            for (int k = 0; k < K; ++k) out[k] = v[k] > out[k] ? v[k] : out[k];
          }
        }
    }
  ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{rows} * columns * K, y);
}

// A pass with both a stride and an upsampling is nobody's layer; it runs on the upsampled picture.
bool needs_upsampled_copy(const Conv2dShape& s) {
  return s.upsample > 1 && s.stride > 1;
}

Conv2dShape upsampled(Conv2dShape s) {
  s.H *= s.upsample;
  s.W *= s.upsample;
  s.upsample = 1;
  return s;
}

void upsample_into(const Conv2dShape& s, const float* x, float* out) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int h = 0; h < s.H * s.upsample; ++h)
      for (int w = 0; w < s.W * s.upsample; ++w, out += s.C)
        std::memcpy(out, x + ((n * s.H + h / s.upsample) * s.W + w / s.upsample) * s.C,
                    sizeof(float) * static_cast<size_t>(s.C));
}

enum PackedKind : uint32_t { kPackedFprop = 0x100, kPackedDgrad = 0x200 };

// Weights are packed differently for different geometries and instruction sets.
uint32_t packed_kind(PackedKind kind, const Conv2dShape& s) {
  return kind | static_cast<uint32_t>(active_isa()) | static_cast<uint32_t>(s.upsample) << 12 |
         static_cast<uint32_t>(s.stride) << 16 | static_cast<uint32_t>(s.pad) << 24;
}

}  // namespace

void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  if (needs_upsampled_copy(s)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copy(ctx, sizeof(float) * static_cast<size_t>(big.N) * big.H * big.W * big.C);
    upsample_into(s, x, copy.as<float>());
    return conv2d_fprop(ctx, big, e, copy.as<float>(), w, bias, y, argmax);
  }
  const int P = s.P(), Q = s.Q();
  const Plan plan = fprop_plan(s);
  const float* panels = ctx.weights->get(
      w, packed_kind(kPackedFprop, s),
      sizeof(float) * static_cast<size_t>(panels_size(plan, s.C, s.K)), [&](float* out) {
        pack_panels(
            plan, s.C, s.K,
            [&](int r, int t, int c, int k) {
              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
            },
            out);
      });
  const int total = (P + s.upsample - 1) / s.upsample;  // phase rows
  const int phase_columns = (Q + s.upsample - 1) / s.upsample;
  const int width = (phase_columns - 1) * s.stride + plan.high_column - plan.low_column + 1;
  const int64_t row_bytes = 4 * (int64_t{width} * s.C * s.stride + int64_t{Q} * s.K * s.upsample);
  const int rows = band_rows(row_bytes, total, e.pool);
  const int bands = (total + rows - 1) / rows;
  const int staged_rows = (rows - 1) * s.stride + plan.high_row - plan.low_row + 1;
  const int pooled_rows = P / e.pool, pooled_columns = Q / e.pool;

  parallel_for(ctx, int64_t{s.N} * bands, [&](int64_t part) {
    const int64_t n = part / bands;
    const int i0 = static_cast<int>(part % bands) * rows, i1 = std::min(total, i0 + rows);
    const int p0 = i0 * s.upsample, p1 = std::min(P, i1 * s.upsample);
    const int64_t staged_size = int64_t{staged_rows} * width * s.C;
    const int64_t z_size = e.pool > 1 ? int64_t{p1 - p0} * Q * s.K : 0;
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged_size + z_size));
    float* staged = scratch.as<float>();
    stage_picture({.row = i0 * s.stride + plan.low_row,
                   .rows = (i1 - i0 - 1) * s.stride + plan.high_row - plan.low_row + 1,
                   .left = -plan.low_column,
                   .width = width},
                  s.H, s.W, s.C, x + n * s.H * s.W * s.C, staged);
    const int y0 = p0 / e.pool, y1 = std::min(pooled_rows, p1 / e.pool);
    float* out = y + (n * pooled_rows + y0) * int64_t{pooled_columns} * s.K;
    float* z = e.pool > 1 ? staged + staged_size : out;
    static thread_local std::vector<int64_t> offsets;
    run_band(plan,
             {.staged = staged,
              .staged_width = width,
              .depth = s.C,
              .i0 = i0,
              .i1 = i1,
              .out_rows = P,
              .out_width = Q,
              .columns = s.K,
              .panels = panels,
              .bias = bias,
              .out = z},
             offsets);
    if (e.pool > 1) {
      pool_band(e, y1 - y0, Q, s.K, z, out, argmax != nullptr ? argmax + (out - y) : nullptr);
    } else {
      ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{p1 - p0} * Q * s.K, out);
    }
  });
}

void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                  Weights<float> w, float* dx) {
  if (needs_upsampled_copy(s)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copy(ctx, sizeof(float) * static_cast<size_t>(big.N) * big.H * big.W * big.C);
    conv2d_dgrad(ctx, big, e, g, w, copy.as<float>());
    std::fill_n(dx, int64_t{s.N} * s.H * s.W * s.C, 0.0f);
    const float* from = copy.as<float>();
    for (int64_t n = 0; n < s.N; ++n)
      for (int h = 0; h < big.H; ++h)
        for (int v = 0; v < big.W; ++v, from += s.C)
          for (int c = 0; c < s.C; ++c)
            dx[((n * s.H + h / s.upsample) * s.W + v / s.upsample) * s.C + c] += from[c];
    return;
  }
  const Plan plan = dgrad_plan(s);
  const float* panels = ctx.weights->get(
      w, packed_kind(kPackedDgrad, s),
      sizeof(float) * static_cast<size_t>(panels_size(plan, s.K, s.C)), [&](float* out) {
        pack_panels(
            plan, s.K, s.C,
            [&](int r, int t, int k, int c) {
              return w.data[((int64_t{k} * s.R + r) * s.S + t) * s.C + c];
            },
            out);
      });
  const int step = s.upsample;
  const int total = (s.H + s.stride - 1) / s.stride;
  const int phase_columns = (s.W + s.stride - 1) / s.stride;
  const int width = (phase_columns - 1) * step + plan.high_column - plan.low_column + 1;
  const int64_t row_bytes = 4 * (int64_t{width} * s.K * step + int64_t{s.W} * s.C * s.stride);
  const int rows = band_rows(row_bytes, total, 1);
  const int bands = (total + rows - 1) / rows;
  const int staged_rows = (rows - 1) * step + plan.high_row - plan.low_row + 1;

  parallel_for(ctx, int64_t{s.N} * bands, [&](int64_t part) {
    const int n = static_cast<int>(part / bands);
    const int i0 = static_cast<int>(part % bands) * rows, i1 = std::min(total, i0 + rows);
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged_rows) * width * s.K);
    stage_dz({.row = i0 * step + plan.low_row,
              .rows = (i1 - i0 - 1) * step + plan.high_row - plan.low_row + 1,
              .left = -plan.low_column,
              .width = width},
             s, e, g, n, scratch.as<float>());
    static thread_local std::vector<int64_t> offsets;
    run_band(plan,
             {.staged = scratch.as<float>(),
              .staged_width = width,
              .depth = s.K,
              .i0 = i0,
              .i1 = i1,
              .out_rows = s.H,
              .out_width = s.W,
              .columns = s.C,
              .panels = panels,
              .bias = nullptr,
              .out = dx + (int64_t{n} * s.H + int64_t{i0} * s.stride) * s.W * s.C},
             offsets);
  });
}

void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Conv2dGrad<float> g, float* dw, float* dbias) {
  if (needs_upsampled_copy(s)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copy(ctx, sizeof(float) * static_cast<size_t>(big.N) * big.H * big.W * big.C);
    upsample_into(s, x, copy.as<float>());
    return conv2d_wgrad(ctx, big, e, copy.as<float>(), g, dw, dbias);
  }
  const int P = s.P(), Q = s.Q(), u = s.upsample;
  const Plan plan = fprop_plan(s);
  // The vectors run over k, or for few filters over the S*C values under a filter row.
  const bool vector_is_k = s.K >= 8;
  const auto round_up = [](int64_t n) {
    return (n + kOuterColumns - 1) / kOuterColumns * kOuterColumns;
  };
  // One partial: [phase][tap row] of (run, K) or (K, run), then the bias.
  int64_t partial_size = 0;
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns) {
      const int64_t run = static_cast<int64_t>(b.taps.size()) * s.C;
      partial_size += static_cast<int64_t>(a.taps.size()) *
                      (vector_is_k ? run * round_up(s.K) : s.K * round_up(run));
    }
  const int64_t bias_at = partial_size;
  partial_size += s.K;

  const int total = (P + u - 1) / u;
  const int phase_columns = (Q + u - 1) / u;
  const int width = (phase_columns - 1) * s.stride + plan.high_column - plan.low_column + 1;
  const int64_t row_bytes = 4 * (int64_t{width} * s.C * s.stride + int64_t{Q} * s.K * u);
  const int rows = band_rows(row_bytes, total, 1);
  const int bands = (total + rows - 1) / rows;
  const int64_t units = int64_t{s.N} * bands;
  const int64_t parts = std::min<int64_t>(kMostPartials, units);
  const int staged_rows = (rows - 1) * s.stride + plan.high_row - plan.low_row + 1;
  const int64_t staged_size = int64_t{staged_rows} * width * s.C + kSlack;
  const int64_t dz_size = int64_t{rows} * u * Q * s.K + kSlack;
  const Scratch partials(ctx, sizeof(float) * static_cast<size_t>(partial_size * parts));

  parallel_for(ctx, parts, [&](int64_t part) {
    float* partial = partials.as<float>() + part * partial_size;
    std::fill_n(partial, partial_size, 0.0f);
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(staged_size + dz_size));
    float* staged = scratch.as<float>();
    float* dz = staged + staged_size;
    std::fill_n(staged + staged_size - kSlack, kSlack, 0.0f);
    std::fill_n(dz + dz_size - kSlack, kSlack, 0.0f);
    static thread_local std::vector<int64_t> offsets;
    for (int64_t unit = units * part / parts; unit < units * (part + 1) / parts; ++unit) {
      const int n = static_cast<int>(unit / bands);
      const int i0 = static_cast<int>(unit % bands) * rows, i1 = std::min(total, i0 + rows);
      const int p0 = i0 * u, p1 = std::min(P, i1 * u);
      stage_picture({.row = i0 * s.stride + plan.low_row,
                     .rows = (i1 - i0 - 1) * s.stride + plan.high_row - plan.low_row + 1,
                     .left = -plan.low_column,
                     .width = width},
                    s.H, s.W, s.C, x + int64_t{n} * s.H * s.W * s.C, staged);
      stage_dz({.row = p0, .rows = p1 - p0, .left = 0, .width = Q}, s, e, g, n, dz);
      float* out = partial;
      for (const PhaseAxis& a : plan.pass.rows)
        for (const PhaseAxis& b : plan.pass.columns) {
          const int run = static_cast<int>(b.taps.size()) * s.C;
          const int row_end = std::min(i1, (P - a.out0 + u - 1) / u);
          const int column_end = (Q - b.out0 + u - 1) / u;
          const int64_t M = int64_t{std::max(0, row_end - i0)} * std::max(0, column_end);
          offsets.resize(static_cast<size_t>(2 * M));
          int64_t* from = offsets.data();
          int64_t* to = from + M;
          for (int i = i0; i < row_end; ++i)
            for (int j = 0; j < column_end; ++j) {
              *from++ = (int64_t{(i - i0) * s.stride + a.first - plan.low_row} * width +
                         j * s.stride + b.first - plan.low_column) *
                        s.C;
              *to++ = (int64_t{(i - i0) * u + a.out0} * Q + j * u + b.out0) * s.K;
            }
          for (size_t r = 0; r < a.taps.size(); ++r) {
            const float* source = staged + static_cast<int64_t>(r) * width * s.C;
            const int64_t* at_x = offsets.data();
            const int64_t* at_z = at_x + M;
            OuterJob job{.a = source,
                         .a_offset = at_x,
                         .b = dz,
                         .b_offset = at_z,
                         .M = M,
                         .I = run,
                         .J = s.K,
                         .out = out,
                         .out_row = round_up(s.K)};
            if (!vector_is_k)
              job = {.a = dz,
                     .a_offset = at_z,
                     .b = source,
                     .b_offset = at_x,
                     .M = M,
                     .I = s.K,
                     .J = run,
                     .out = out,
                     .out_row = round_up(run)};
            ASSAY_ISA_CALL(outer_product, job);
            out += job.I * job.out_row;
          }
        }
      if (dbias != nullptr)
        for (int64_t m = 0; m < int64_t{p1 - p0} * Q; ++m)
          for (int k = 0; k < s.K; ++k) partial[bias_at + k] += dz[m * s.K + k];
    }
  });

  // Partials are summed in part order into the first, which is then unfolded into KRSC.
  float* sum = partials.as<float>();
  parallel_blocks(ctx, partial_size, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t part = 1; part < parts; ++part) {
      const float* from = sum + part * partial_size;
      for (int64_t i = begin; i < end; ++i) sum[i] += from[i];
    }
  });
  parallel_for(ctx, s.K, [&](int64_t k) {
    float* filter = dw + k * s.R * s.S * s.C;
    std::fill_n(filter, int64_t{s.R} * s.S * s.C, 0.0f);
    const float* from = sum;
    for (const PhaseAxis& a : plan.pass.rows)
      for (const PhaseAxis& b : plan.pass.columns) {
        const int64_t run = static_cast<int64_t>(b.taps.size()) * s.C;
        const int64_t row = vector_is_k ? round_up(s.K) : round_up(run);
        for (const auto& filter_rows : a.taps) {
          for (size_t t = 0; t < b.taps.size(); ++t)
            for (const int r : filter_rows)
              for (const int column : b.taps[t])
                for (int c = 0; c < s.C; ++c) {
                  const int64_t j = static_cast<int64_t>(t) * s.C + c;
                  filter[(int64_t{r} * s.S + column) * s.C + c] +=
                      vector_is_k ? from[j * row + k] : from[k * row + j];
                }
          from += (vector_is_k ? run : s.K) * row;
        }
      }
    if (dbias != nullptr) dbias[k] = sum[bias_at + k];
  });
}

}  // namespace assay::cpu
