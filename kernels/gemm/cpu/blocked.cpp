// The matrix product on the CPU: one register tile of rows x panel at a time (tile.h). A is read in
// place. B is packed into panels, which the weight cache keeps if B has a version.
#include <algorithm>
#include <vector>

#include "kernels/gemm/cpu/algorithms.h"
#include "kernels/gemm/cpu/tile.h"

namespace assay {

int padded_columns(int columns) {
  int sum = 0;
  for_each_panel(columns, [&](int, int width, int) { sum += width; });
  return sum;
}

namespace cpu {
namespace {

constexpr int kRowBlock = 96;      // rows of a task: a multiple of every register tile
constexpr int kColumnBlock = 128;  // columns of a task: a multiple of every full panel
constexpr int kFewTerms = 8;       // up to here a product takes the time of storing it

// Columns [first, first + real) of op(B), padded with zeros to a panel (K, width).
void copy_panel(const GemmShape& s, const float* b, int first, int width, int real, float* out) {
  if (real < width) std::fill_n(out, int64_t{s.K} * width, 0.0f);
  if (!s.transpose_b) {
    for (int64_t k = 0; k < s.K; ++k) std::copy_n(b + k * s.N + first, real, out + k * width);
    return;
  }
  constexpr int kBlock = 16;  // rows: a cache line of each column
  for (int k0 = 0; k0 < s.K; k0 += kBlock)
    for (int n = 0; n < real; ++n)
      for (int k = k0; k < std::min(k0 + kBlock, s.K); ++k)
        out[int64_t{k} * width + n] = b[int64_t{first + n} * s.K + k];
}

// Writes the panels of columns [first, first + columns), one behind the other.
void pack_columns(const GemmShape& s, const float* b, int first, int columns, float* out) {
  for_each_panel(columns, [&](int at, int width, int real) {
    copy_panel(s, b, first + at, width, real, out);
    ASSAY_ISA_CALL(interleave_panel, s.K, width, s.K, out);
    out += int64_t{s.K} * width;
  });
}

int columns_of(const GemmShape& s, int first) {
  return std::min(kColumnBlock, s.N - first);
}

void pack_all(Context& ctx, const GemmShape& s, const float* b, float* out) {
  parallel_for(ctx, (s.N + kColumnBlock - 1) / kColumnBlock, [&](int64_t block) {
    const int first = static_cast<int>(block) * kColumnBlock;
    pack_columns(s, b, first, columns_of(s, first), out + int64_t{first} * s.K);
  });
}

// Without packing, which would cost more than a product of few terms.
void gemm_few_terms(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                    const float* b, const float* bias, float* c) {
  constexpr int kColumns = 1024;  // of a task: 4 KB of each row of b and of c
  const int row_blocks = (s.M + kRowBlock - 1) / kRowBlock;
  const int column_blocks = (s.N + kColumns - 1) / kColumns;
  parallel_for(ctx, int64_t{row_blocks} * column_blocks, [&](int64_t part) {
    const int m0 = static_cast<int>(part / column_blocks) * kRowBlock;
    const int n0 = static_cast<int>(part % column_blocks) * kColumns;
    const FewTermsJob job{.a = a + int64_t{m0} * (s.transpose_a ? 1 : s.K),
                          .a_row = s.transpose_a ? 1 : s.K,
                          .a_term = s.transpose_a ? s.M : 1,
                          .b = b + n0,
                          .b_row = s.N,
                          .M = std::min(kRowBlock, s.M - m0),
                          .N = std::min(kColumns, s.N - n0),
                          .K = s.K,
                          .bias = bias != nullptr ? bias + n0 : nullptr,
                          .c = c + int64_t{m0} * s.N + n0,
                          .c_row = s.N,
                          .accumulate = e.accumulate};
    ASSAY_ISA_CALL(few_terms_product, job);
    if (e.activation != Activation::none)
      for (int m = 0; m < job.M; ++m)
        ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{job.N},
                       job.c + m * job.c_row);
  });
}

size_t panel_bytes(const GemmShape& s, int columns) {
  return sizeof(float) * static_cast<size_t>(s.K) * padded_columns(columns);
}

}  // namespace

void gemm_blocked(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                  Weights<float> b, const float* bias, float* c) {
  if (s.K <= kFewTerms && s.N >= kColumnBlock && !s.transpose_b)
    return gemm_few_terms(ctx, s, e, a, b.data, bias, c);
  Scratch transposed;
  if (s.transpose_a) {
    transposed = Scratch(ctx, sizeof(float) * static_cast<size_t>(s.M) * s.K);
    float* rows = transposed.as<float>();
    parallel_blocks(ctx, s.M, 16, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < s.K; ++k)
        for (int64_t m = begin; m < end; ++m) rows[m * s.K + k] = a[k * s.M + m];
    });
    a = rows;
  }
  const int64_t row_blocks = (s.M + kRowBlock - 1) / kRowBlock;
  const int64_t column_blocks = (s.N + kColumnBlock - 1) / kColumnBlock;
  // Without a version the panels serve this call alone. If there is a single row of blocks, only
  // one task needs each panel, and the task packs it.
  const float* panels = nullptr;
  Scratch of_call;
  if (b.version != 0) {
    const PackKind kind = s.transpose_b ? PackKind::gemm_transposed : PackKind::gemm;
    panels = ctx.weights->get(b, {.kind = kind, .isa = active_isa()}, panel_bytes(s, s.N),
                              [&](float* out) { pack_all(ctx, s, b.data, out); });
  } else if (row_blocks > 1) {
    of_call = Scratch(ctx, panel_bytes(s, s.N));
    pack_all(ctx, s, b.data, of_call.as<float>());
    panels = of_call.as<float>();
  }
  parallel_for(ctx, row_blocks * column_blocks, [&](int64_t part) {
    const int64_t m0 = part / column_blocks * kRowBlock;
    const int64_t M = std::min<int64_t>(kRowBlock, s.M - m0);
    const int n0 = static_cast<int>(part % column_blocks) * kColumnBlock;
    const int columns = columns_of(s, n0);
    int64_t a_offset[kRowBlock], out_offset[kRowBlock];
    for (int64_t m = 0; m < M; ++m) {
      a_offset[m] = (m0 + m) * s.K;
      out_offset[m] = (m0 + m) * s.N;
    }
    Scratch of_part;
    const float* panel = nullptr;
    if (panels != nullptr) {
      panel = panels + int64_t{n0} * s.K;
    } else {
      of_part = Scratch(ctx, panel_bytes(s, columns));
      pack_columns(s, b.data, n0, columns, of_part.as<float>());
      panel = of_part.as<float>();
    }
    for_each_panel(columns, [&](int first, int width, int real) {
      const TileJob job{.a = a,
                        .a_offset = a_offset,
                        .a_row = 0,
                        .M = M,
                        .taps = 1,
                        .run = s.K,
                        .panel = panel,
                        .width = width,
                        .columns = real,
                        .bias = bias != nullptr ? bias + n0 + first : nullptr,
                        .out = c + n0 + first,
                        .out_offset = out_offset,
                        .accumulate = e.accumulate};
      ASSAY_ISA_CALL(tile_product, job);
      panel += int64_t{width} * s.K;
    });
    if (e.activation != Activation::none)
      for (int64_t m = 0; m < M; ++m)
        ASSAY_ISA_CALL(activate_in_place, e.activation, e.slope, int64_t{columns},
                       c + out_offset[m] + n0);
  });
}

}  // namespace cpu
}  // namespace assay
