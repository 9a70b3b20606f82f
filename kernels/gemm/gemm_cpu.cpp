// The matrix product on the CPU: B packed into panels (kept between calls while its version stays
// the same), A read where it is, one register tile of rows x panel at a time (tile.h).
#include <algorithm>
#include <vector>

#include "kernels/gemm/gemm_backends.h"
#include "kernels/gemm/tile.h"

namespace assay {

int padded_columns(int columns) {
  int sum = 0;
  for_each_panel(columns, [&](int, int width, int) { sum += width; });
  return sum;
}

namespace cpu {
namespace {

constexpr int kRowBlock = 96;      // rows of a part: a multiple of every register tile
constexpr int kColumnBlock = 128;  // columns of a part: a multiple of every full panel
constexpr uint32_t kPackedGemm = 0x300;

void pack_b(Context& ctx, const GemmShape& s, const float* b, float* out) {
  struct Panel {
    int first, width, real;
    int64_t at;
  };
  std::vector<Panel> panels;
  int64_t at = 0;
  for_each_panel(s.N, [&](int first, int width, int real) {
    panels.push_back({first, width, real, at});
    at += int64_t{width} * s.K;
  });
  parallel_for(ctx, static_cast<int64_t>(panels.size()), [&](int64_t i) {
    const Panel& p = panels[static_cast<size_t>(i)];
    for (int64_t k = 0; k < s.K; ++k)
      for (int n = 0; n < p.width; ++n)
        out[p.at + k * p.width + n] = n >= p.real     ? 0.0f
                                      : s.transpose_b ? b[int64_t{p.first + n} * s.K + k]
                                                      : b[k * s.N + p.first + n];
  });
}

}  // namespace

void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a, Weights<float> b,
          const float* bias, float* c) {
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
  const uint32_t kind =
      kPackedGemm | static_cast<uint32_t>(active_isa()) | (s.transpose_b ? 4u : 0u);
  const float* panels =
      ctx.weights->get(b, kind, sizeof(float) * static_cast<size_t>(s.K) * padded_columns(s.N),
                       [&](float* out) { pack_b(ctx, s, b.data, out); });

  const int64_t row_blocks = (s.M + kRowBlock - 1) / kRowBlock;
  const int64_t column_blocks = (s.N + kColumnBlock - 1) / kColumnBlock;
  parallel_for(ctx, row_blocks * column_blocks, [&](int64_t part) {
    const int64_t m0 = part / column_blocks * kRowBlock;
    const int64_t M = std::min<int64_t>(kRowBlock, s.M - m0);
    const int n0 = static_cast<int>(part % column_blocks) * kColumnBlock;
    const int columns = std::min(kColumnBlock, s.N - n0);
    int64_t a_offset[kRowBlock], out_offset[kRowBlock];
    for (int64_t m = 0; m < M; ++m) {
      a_offset[m] = (m0 + m) * s.K;
      out_offset[m] = (m0 + m) * s.N;
    }
    const float* panel = panels + int64_t{n0} * s.K;
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
