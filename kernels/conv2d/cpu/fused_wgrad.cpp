// wgrad of the CPU's third step, `fused`. Each row block stages x and dz and adds their outer
// products to a partial dw. The number of partials depends on the shape alone; they are added in
// order, and the sum is unfolded into KRSC.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/algorithms.h"
#include "kernels/conv2d/cpu/row_blocks.h"

namespace assay::cpu::fused {
namespace {

constexpr int kMaxPartials = 16;
constexpr int64_t kPartialFloats = 3 << 19;  // at most, all partials: 6 MB to clear and to add
constexpr int64_t kSlack = 64;               // floats that outer_product may read behind a block
constexpr int kMinTasks = 8;
constexpr int kWidestVector = 16;

int64_t round_up(int64_t n) {
  return (n + kOuterColumns - 1) / kOuterColumns * kOuterColumns;
}

// One row of taps of phase (a,b), and where its block stands in a partial: (S'*C, K), or (K, S'*C)
// where the filters are too few to fill a vector.
struct TapRow {
  int a, b, tap;
  int run;  // S'*C
  int64_t at;
};

struct Layout {
  bool vector_is_k;
  std::vector<TapRow> tap_rows;
  int64_t bias_at, size;
};

Layout partial_layout(const DensePass& pass, const Conv2dShape& s) {
  Layout l{.vector_is_k = s.K >= 8, .tap_rows = {}, .bias_at = 0, .size = 0};
  for (int a = 0; a < pass.rows.phases(); ++a)
    for (int b = 0; b < pass.columns.phases(); ++b)
      for (int tap = 0; tap < pass.rows.taps(a); ++tap) {
        const int run = pass.columns.taps(b) * s.C;
        l.tap_rows.push_back({a, b, tap, run, l.size});
        l.size += l.vector_is_k ? run * round_up(s.K) : s.K * round_up(run);
      }
  l.bias_at = l.size;
  l.size += s.K;
  return l;
}

struct Staged {
  const float *x, *dz;
  int64_t x_image, dz_image;
  int x_width;
};

// Where the pixels of one phase stand in the staged x and dz.
struct Pixels {
  std::vector<int64_t> x, z;

  void list(const DensePass& pass, const TapRow& t, const Conv2dShape& s, const RowBlock& block,
            const Staged& staged) {
    const int Q = s.Q(), u = s.upsample;
    const int row_end = std::min(block.i1, pass.rows.outputs_of(t.a, s.P()));
    const int column_end = pass.columns.outputs_of(t.b, Q);
    const int first_row = pass.rows.first(t.a) - pass.row_reach.begin;
    const int first_column = pass.columns.first(t.b) - pass.column_reach.begin;
    const auto M = static_cast<size_t>(block.n1 - block.n0) *
                   static_cast<size_t>(std::max(0, row_end - block.i0)) *
                   static_cast<size_t>(column_end);
    x.resize(M);
    z.resize(M);
    int64_t *to_x = x.data(), *to_z = z.data();
    for (int n = 0; n < block.n1 - block.n0; ++n)
      for (int i = 0; i < row_end - block.i0; ++i)
        for (int j = 0; j < column_end; ++j) {
          const int64_t row = i * s.stride + first_row, column = j * s.stride + first_column;
          *to_x++ = n * staged.x_image + (row * staged.x_width + column) * s.C;
          *to_z++ = n * staged.dz_image + ((int64_t{i} * u + t.a) * Q + j * u + t.b) * s.K;
        }
  }
};

// partial += the products of one tap row over the pixels of a block.
void sum_products(const Layout& l, const TapRow& t, const Conv2dShape& s, const Staged& staged,
                  const Pixels& pixels, float* partial) {
  OuterJob job{.a = staged.x + int64_t{t.tap} * staged.x_width * s.C,
               .a_offset = pixels.x.data(),
               .b = staged.dz,
               .b_offset = pixels.z.data(),
               .M = static_cast<int64_t>(pixels.x.size()),
               .I = t.run,
               .J = s.K,
               .out = partial + t.at,
               .out_row = round_up(s.K)};
  if (!l.vector_is_k) {
    std::swap(job.a, job.b);
    std::swap(job.a_offset, job.b_offset);
    std::swap(job.I, job.J);
    job.out_row = round_up(t.run);
  }
  ASSAY_ISA_CALL(outer_product, job);
}

// Adds the gradient of each tap to all filter rows and columns that the tap summed: dw (K,R,S,C).
void unfold(Context& ctx, const DensePass& pass, const Layout& l, const Conv2dShape& s,
            const float* sum, float* dw) {
  constexpr int kFilters = 16;  // per task: one cache line of a (run, K) block
  const int64_t filter_size = int64_t{s.R} * s.S * s.C;
  parallel_blocks(ctx, s.K, kFilters, [&](int64_t k0, int64_t k1) {
    std::fill_n(dw + k0 * filter_size, (k1 - k0) * filter_size, 0.0f);
    for (const TapRow& t : l.tap_rows) {
      const int64_t row = round_up(l.vector_is_k ? s.K : t.run);
      const int64_t j_step = l.vector_is_k ? row : 1, k_step = l.vector_is_k ? 1 : row;
      const Range rows = pass.rows.summed(t.a, t.tap);
      for (int tap = 0; tap < pass.columns.taps(t.b); ++tap) {
        const Range columns = pass.columns.summed(t.b, tap);
        for (int r = rows.begin; r < rows.end; ++r)
          for (int column = columns.begin; column < columns.end; ++column)
            for (int c = 0; c < s.C; ++c) {
              const float* from = sum + t.at + (int64_t{tap} * s.C + c) * j_step;
              float* to = dw + (int64_t{r} * s.S + column) * s.C + c;
              for (int64_t k = k0; k < k1; ++k) to[k * filter_size] += from[k * k_step];
            }
      }
    }
  });
}

}  // namespace

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  const int P = s.P(), Q = s.Q(), u = s.upsample;
  const DensePass pass = fprop_pass(s);
  const Layout layout = partial_layout(pass, s);
  const int total = (P + u - 1) / u, phase_columns = (Q + u - 1) / u;
  const int width = pass.staged_width(phase_columns);
  const int64_t row_bytes = 4 * (int64_t{width} * s.C * s.stride + int64_t{Q} * s.K * u);
  const RowBlocks blocks = row_blocks_of(s.N, total, row_bytes, 1);
  const int64_t partials = std::clamp<int64_t>(kPartialFloats / layout.size, 1,
                                               std::min<int64_t>(kMaxPartials, blocks.count));
  // A big dw has few partials; to occupy many cores each task takes some of the tap rows.
  const auto tap_rows = static_cast<int64_t>(layout.tap_rows.size());
  const int64_t slices = std::min(tap_rows, (kMinTasks + partials - 1) / partials);

  const int64_t x_image = int64_t{pass.staged_rows(blocks.rows)} * width * s.C;
  // dz is dy itself without activation and pool, if no vector reads beyond its end.
  const bool dz_is_dy = e.activation == Activation::none && e.pool == 1 && layout.vector_is_k &&
                        s.K % kWidestVector == 0;
  const int64_t dz_image = dz_is_dy ? int64_t{P} * Q * s.K : int64_t{blocks.rows} * u * Q * s.K;
  const int64_t x_size = blocks.images * x_image + kSlack,
                dz_size = dz_is_dy ? 0 : blocks.images * dz_image + kSlack;
  const Scratch sums(ctx, sizeof(float) * static_cast<size_t>(layout.size * partials));

  parallel_for(ctx, partials * slices, [&](int64_t task) {
    const int64_t index = task / slices, slice = task % slices;
    const int64_t t0 = tap_rows * slice / slices, t1 = tap_rows * (slice + 1) / slices;
    float* partial = sums.as<float>() + index * layout.size;
    const auto start = [&](int64_t t) {
      return t < tap_rows ? layout.tap_rows[static_cast<size_t>(t)].at : layout.bias_at;
    };
    std::fill(partial + start(t0), partial + start(t1), 0.0f);
    const bool with_bias = dbias != nullptr && slice == 0;
    if (slice == 0) std::fill_n(partial + layout.bias_at, s.K, 0.0f);
    const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(x_size + dz_size));
    float* staged_x = scratch.as<float>();
    float* staged_dz = staged_x + x_size;
    Pixels pixels;
    for (int64_t unit = blocks.count * index / partials;
         unit < blocks.count * (index + 1) / partials; ++unit) {
      const RowBlock block = row_block(blocks, s.N, total, unit);
      const int p0 = block.i0 * u, p1 = std::min(P, block.i1 * u);
      const float* dz = dz_is_dy ? g.dy + block.n0 * dz_image + int64_t{p0} * Q * s.K : staged_dz;
      for (int n = block.n0; n < block.n1; ++n) {
        stage_image(pass.stage(block.i0, block.i1, phase_columns), s.H, s.W, s.C,
                    x + int64_t{n} * s.H * s.W * s.C, staged_x + (n - block.n0) * x_image);
        const int64_t image = (n - block.n0) * dz_image;
        if (!dz_is_dy)
          stage_dz({.row = p0, .rows = p1 - p0, .left = 0, .width = Q}, s, e, g, n,
                   staged_dz + image);
        if (with_bias) sum_bias(dz + image, int64_t{p1 - p0} * Q, s.K, partial + layout.bias_at);
      }
      const Staged staged{staged_x, dz, x_image, dz_image, width};
      const TapRow* listed = nullptr;
      for (int64_t i = t0; i < t1; ++i) {
        const TapRow& t = layout.tap_rows[static_cast<size_t>(i)];
        if (listed == nullptr || listed->a != t.a || listed->b != t.b)
          pixels.list(pass, t, s, block, staged);
        listed = &t;
        sum_products(layout, t, s, staged, pixels, partial);
      }
    }
  });

  sum_partials(ctx, partials, layout.size, sums.as<float>());
  unfold(ctx, pass, layout, s, sums.as<float>(), dw);
  if (dbias != nullptr) std::copy_n(sums.as<float>() + layout.bias_at, s.K, dbias);
}

}  // namespace assay::cpu::fused
