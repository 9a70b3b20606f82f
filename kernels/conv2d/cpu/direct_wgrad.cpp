// wgrad on the CPU: per band, x and dz are staged and their outer products summed into a partial
// dw. Partials are cut by shape alone and added in order; the sum is unfolded into KRSC.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/cpu/pooled_wgrad.h"
#include "kernels/conv2d/cpu/row_blocks.h"
#include "kernels/conv2d/cpu/special.h"
#include "kernels/conv2d/cpu/winograd/plain.h"

namespace assay::cpu {
namespace {

constexpr int kMostPartials = 16;
constexpr int64_t kPartialFloats = 3 << 19;  // of all partials: 6 MB, to be cleared and summed
constexpr int64_t kSlack = 64;               // floats readable behind a band (outer_product)
constexpr int kLeastTasks = 8;
constexpr int kWidestVector = 16;

int64_t round_up(int64_t n) {
  return (n + kOuterColumns - 1) / kOuterColumns * kOuterColumns;
}

// One row of taps of one phase, and its block (I, row) in a partial: (S'*C, K), or (K, S'*C) where
// the filters are too few to fill a vector.
struct TapRow {
  const PhaseAxis *rows, *columns;
  int r;
  int64_t at;
};

struct Layout {
  bool vector_is_k;
  std::vector<TapRow> tap_rows;
  int64_t bias_at, size;

  int run(const TapRow& t, int C) const { return static_cast<int>(t.columns->taps.size()) * C; }
};

Layout partial_layout(const Plan& plan, const Conv2dShape& s) {
  Layout l{.vector_is_k = s.K >= 8, .tap_rows = {}, .bias_at = 0, .size = 0};
  for (const PhaseAxis& a : plan.pass.rows)
    for (const PhaseAxis& b : plan.pass.columns)
      for (size_t r = 0; r < a.taps.size(); ++r) {
        l.tap_rows.push_back({&a, &b, static_cast<int>(r), l.size});
        const int64_t run = l.run(l.tap_rows.back(), s.C);
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

  void list(const Plan& plan, const TapRow& t, const Conv2dShape& s, const Part& part,
            const Staged& staged) {
    const int P = s.P(), Q = s.Q(), u = s.upsample;
    const int row_end = std::min(part.i1, (P - t.rows->out0 + u - 1) / u);
    const int column_end = std::max(0, (Q - t.columns->out0 + u - 1) / u);
    const auto M = static_cast<size_t>(part.n1 - part.n0) *
                   static_cast<size_t>(std::max(0, row_end - part.i0)) *
                   static_cast<size_t>(column_end);
    x.resize(M);
    z.resize(M);
    int64_t *to_x = x.data(), *to_z = z.data();
    for (int n = 0; n < part.n1 - part.n0; ++n)
      for (int i = 0; i < row_end - part.i0; ++i)
        for (int j = 0; j < column_end; ++j) {
          const int64_t row = i * s.stride + t.rows->first - plan.low_row;
          const int64_t column = j * s.stride + t.columns->first - plan.low_column;
          *to_x++ = n * staged.x_image + (row * staged.x_width + column) * s.C;
          *to_z++ = n * staged.dz_image +
                    ((int64_t{i} * u + t.rows->out0) * Q + j * u + t.columns->out0) * s.K;
        }
  }
};

// partial += the products of one tap row over the pixels of a band.
void sum_products(const Layout& l, const TapRow& t, const Conv2dShape& s, const Staged& staged,
                  const Pixels& pixels, float* partial) {
  const int run = l.run(t, s.C);
  OuterJob job{.a = staged.x + int64_t{t.r} * staged.x_width * s.C,
               .a_offset = pixels.x.data(),
               .b = staged.dz,
               .b_offset = pixels.z.data(),
               .M = static_cast<int64_t>(pixels.x.size()),
               .I = run,
               .J = s.K,
               .out = partial + t.at,
               .out_row = round_up(s.K)};
  if (!l.vector_is_k) {
    std::swap(job.a, job.b);
    std::swap(job.a_offset, job.b_offset);
    std::swap(job.I, job.J);
    job.out_row = round_up(run);
  }
  ASSAY_ISA_CALL(outer_product, job);
}

// The sum -> dw (K,R,S,C): a tap of a phase goes to all filter rows and columns that it summed.
void unfold(Context& ctx, const Layout& l, const Conv2dShape& s, const float* sum, float* dw) {
  constexpr int kFilters = 16;  // at a time: one cache line of a (run, K) block
  const int64_t filter_size = int64_t{s.R} * s.S * s.C;
  parallel_blocks(ctx, s.K, kFilters, [&](int64_t k0, int64_t k1) {
    std::fill_n(dw + k0 * filter_size, (k1 - k0) * filter_size, 0.0f);
    for (const TapRow& t : l.tap_rows) {
      const int64_t row = round_up(l.vector_is_k ? s.K : l.run(t, s.C));
      const int64_t j_step = l.vector_is_k ? row : 1, k_step = l.vector_is_k ? 1 : row;
      for (size_t tap = 0; tap < t.columns->taps.size(); ++tap)
        for (const int r : t.rows->taps[static_cast<size_t>(t.r)])
          for (const int column : t.columns->taps[tap])
            for (int c = 0; c < s.C; ++c) {
              const float* from = sum + t.at + (static_cast<int64_t>(tap) * s.C + c) * j_step;
              float* to = dw + (int64_t{r} * s.S + column) * s.C + c;
              for (int64_t k = k0; k < k1; ++k) to[k * filter_size] += from[k * k_step];
            }
    }
  });
}

}  // namespace

void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Conv2dGrad<float> g, float* dw, float* dbias) {
  if (needs_upsampled_copy(s, e)) {
    const Conv2dShape big = upsampled(s);
    const Scratch copy(ctx, sizeof(float) * static_cast<size_t>(big.N) * big.H * big.W * big.C);
    upsample(ctx, s, s.C, x, copy.as<float>());
    return conv2d_wgrad(ctx, big, e, copy.as<float>(), g, dw, dbias);
  }
  if (is_pixelwise_behind_upsampling(s, e)) {
    const Scratch dz(ctx, sizeof(float) * static_cast<size_t>(s.N) * s.P() * s.Q() * s.K);
    const Scratch small(ctx, sizeof(float) * static_cast<size_t>(s.N) * s.H * s.W * s.K);
    whole_dz(ctx, s, e, g, dz.as<float>());
    sum_copies(ctx, s, s.K, dz.as<float>(), small.as<float>());
    return conv2d_wgrad(ctx, without_upsampling(s), {}, x, {small.as<float>()}, dw, dbias);
  }
  if (is_dense(s) && e.pool == 1) return dense_wgrad(ctx, s, e, x, g, dw, dbias);
  if (pooled_wgrad_applies(ctx, s, e)) return pooled_wgrad(ctx, s, e, x, g, dw, dbias);
  if (winograd_applies_to_wgrad(ctx, s, e)) return winograd_wgrad(ctx, s, e, x, g, dw, dbias);
  if (winograd_strided_applies(ctx, s, e))
    return winograd_strided_wgrad(ctx, s, e, x, g, dw, dbias);

  const int P = s.P(), Q = s.Q(), u = s.upsample;
  const Plan plan = fprop_plan(s);
  const Layout layout = partial_layout(plan, s);
  const int total = (P + u - 1) / u, phase_columns = (Q + u - 1) / u;
  const int width = plan.staged_width(phase_columns);
  const int64_t row_bytes = 4 * (int64_t{width} * s.C * s.stride + int64_t{Q} * s.K * u);
  const Cut cut = cut_work(s.N, total, row_bytes, 1);
  const int64_t partials = std::clamp<int64_t>(kPartialFloats / layout.size, 1,
                                               std::min<int64_t>(kMostPartials, cut.parts));
  // Too few partials for many cores (a big dw): tasks take some of the tap rows each.
  const auto tap_rows = static_cast<int64_t>(layout.tap_rows.size());
  const int64_t slices = std::min(tap_rows, (kLeastTasks + partials - 1) / partials);

  const int64_t x_image = int64_t{plan.staged_rows(cut.rows)} * width * s.C;
  // dz is dy itself where nothing is between them and no vector reads beyond its end.
  const bool dz_is_dy = e.activation == Activation::none && e.pool == 1 && layout.vector_is_k &&
                        s.K % kWidestVector == 0;
  const int64_t dz_image = dz_is_dy ? int64_t{P} * Q * s.K : int64_t{cut.rows} * u * Q * s.K;
  const int64_t x_size = cut.images * x_image + kSlack,
                dz_size = dz_is_dy ? 0 : cut.images * dz_image + kSlack;
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
    for (int64_t unit = cut.parts * index / partials; unit < cut.parts * (index + 1) / partials;
         ++unit) {
      const Part part = part_of(cut, s.N, total, unit);
      const int p0 = part.i0 * u, p1 = std::min(P, part.i1 * u);
      const float* dz = dz_is_dy ? g.dy + part.n0 * dz_image + int64_t{p0} * Q * s.K : staged_dz;
      for (int n = part.n0; n < part.n1; ++n) {
        stage_picture(plan.stage(part.i0, part.i1, phase_columns), s.H, s.W, s.C,
                      x + int64_t{n} * s.H * s.W * s.C, staged_x + (n - part.n0) * x_image);
        const int64_t image = (n - part.n0) * dz_image;
        if (!dz_is_dy)
          stage_dz({.row = p0, .rows = p1 - p0, .left = 0, .width = Q}, s, e, g, n,
                   staged_dz + image);
        if (with_bias) sum_bias(dz + image, int64_t{p1 - p0} * Q, s.K, partial + layout.bias_at);
      }
      const Staged staged{staged_x, dz, x_image, dz_image, width};
      static thread_local Pixels pixels;
      const TapRow* listed = nullptr;
      for (int64_t i = t0; i < t1; ++i) {
        const TapRow& t = layout.tap_rows[static_cast<size_t>(i)];
        if (listed == nullptr || listed->rows != t.rows || listed->columns != t.columns)
          pixels.list(plan, t, s, part, staged);
        listed = &t;
        sum_products(layout, t, s, staged, pixels, partial);
      }
    }
  });

  sum_partials(ctx, partials, layout.size, sums.as<float>());
  unfold(ctx, layout, s, sums.as<float>(), dw);
  if (dbias != nullptr) std::copy_n(sums.as<float>() + layout.bias_at, s.K, dbias);
}

}  // namespace assay::cpu
