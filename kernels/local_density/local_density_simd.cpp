#include "kernels/local_density/local_density_simd.h"

#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

// A panel is a copy of kWidth columns of a (C, n) matrix. A tile is the product of R rows of
// another matrix of C channels, read in place, with a panel; its sums are in registers:
//
//   rows (C, ld)             panel (C, kWidth)       per channel: 2 loads, R broadcasts,
//   .. r0 r1 ... r11 ..      b0 ... b15 b16 ... b31              2 R multiply-adds
constexpr int kWidth = 2 * kLanes;
constexpr int kRows = kLanes == 16 ? 12 : 6;

template <int R>
struct Tile {
  vf v[R][2];
};

template <int R>
ASSAY_INLINE void multiply(int C, const float* rows, int64_t ld, const float* panel,
                           Tile<R>& tile) {
  for (int c = 0; c < C; ++c, rows += ld, panel += kWidth) {
    const vf b0 = load(panel), b1 = load(panel + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const float a = rows[i];
      tile.v[i][0] += a * b0;
      tile.v[i][1] += a * b1;
    }
  }
}

/// Copies columns [first, first + kWidth) of (C, n), minus the centre unless it is null, to a
/// panel. Columns beyond n get the values behind the row, or zeros at the end; their results are
/// not used.
ASSAY_INLINE void copy_panel(int C, int64_t n, const float* matrix, int64_t first,
                             const float* centre, float* panel) {
  const float* const end = matrix + C * n;
  for (int c = 0; c < C; ++c, panel += kWidth) {
    const float* from = matrix + c * n + first;
    const vf shift = broadcast(centre != nullptr ? centre[c] : 0.0f);
    if (end - from >= kWidth) {
      store(panel, load(from) - shift);
      store(panel + kLanes, load(from + kLanes) - shift);
    } else {
      for (int j = 0; j < kWidth; ++j) panel[j] = j < end - from ? from[j] - shift[0] : 0;
    }
  }
}

/// Calls f.operator()<R>(first row) for tiles of R rows that have exactly `rows` rows together.
template <class F>
ASSAY_INLINE void for_each_tile(int rows, const F& f) {
  int i = 0;
  for (; i + kRows <= rows; i += kRows) f.template operator()<kRows>(i);
  if constexpr (kRows > 6)
    for (; i + 6 <= rows; i += 6) f.template operator()<6>(i);
  for (; i + 3 <= rows; i += 3) f.template operator()<3>(i);
  for (; i < rows; ++i) f.template operator()<1>(i);
}

/// Calls f.operator()<R>(first row) for the fewest tiles that cover `rows` rows.
template <class F>
ASSAY_INLINE void for_each_covering_tile(int rows, const F& f) {
  for (int i = 0; i < rows; i += kRows) {
    const int rest = rows - i;
    if (rest > 6 || (kRows == 6 && rest > 3))
      f.template operator()<kRows>(i);
    else if (rest > 3)
      f.template operator()<6>(i);
    else if (rest > 1)
      f.template operator()<3>(i);
    else
      f.template operator()<1>(i);
  }
}

// ---- The work space of a job ----

constexpr int kQueriesPadded = (kLocalQueries + kWidth - 1) / kWidth * kWidth;
constexpr int kQueryStride = kQueriesPadded + 4;  // rows start in different sets of the cache

struct Work {
  float* panel;    // (C, kWidth)
  float* query;    // (C, kQueryStride): q' = -2 M (q - c)
  float* offset;   // (kQueriesPadded): d^2 - (|b|^2 + q'.b)
  float* nearest;  // (kQueriesPadded, kWidth): lane by lane
  float* sum;      // (kQueriesPadded, kWidth): of exp(-scale (d - nearest)), lane by lane
  Work(int C, float* at)
      : panel(at),
        query(panel + int64_t{C} * kWidth),
        offset(query + int64_t{C} * kQueryStride),
        nearest(offset + kQueriesPadded),
        sum(nearest + kQueriesPadded * kWidth) {}
};

/// R channels of q' of a panel of queries q - c, and their share of the offsets, which is
/// (q - c)^T M (q - c) - q'.c = -q'.((q - c) / 2 + c).
template <int R>
__attribute__((noinline)) void transform_tile(int C, const float* metric, const float* panel,
                                              int row, const float* centre, float* query,
                                              vf (&offset)[2]) {
  Tile<R> tile = {};
  multiply<R>(C, metric + row, C, panel, tile);
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < 2; ++v) {
      const vf transformed = tile.v[i][v] * -2.0f;
      const vf q = load(panel + int64_t{row + i} * kWidth + v * kLanes);
      offset[v] -= transformed * (q * 0.5f + centre[row + i]);
      store(query + int64_t{row + i} * kQueryStride + v * kLanes, transformed);
    }
}

void transform_queries(const LocalDensityJob& job, const Work& w) {
  for (int first = 0; first < job.queries; first += kWidth) {
    copy_panel(job.C, job.m, job.query, job.first + first, job.centre, w.panel);
    vf offset[2] = {};
    // The metric is symmetric, so its columns, which a tile reads, are its rows.
    for_each_tile(job.C, [&]<int R>(int row) {
      transform_tile<R>(job.C, job.metric, w.panel, row, job.centre, w.query + first, offset);
    });
    store(w.offset + first, offset[0]);
    store(w.offset + first + kLanes, offset[1]);
  }
}

/// One panel of the bank: its norms, and the image of each column.
struct Panel {
  vf norm[2];
  vi image[2];
};

/// Adds the distances of a tile without their offsets, |b|^2 + q'.b, to the state of each row and
/// lane.
template <int R, bool kMasked, bool kSums>
__attribute__((noinline)) void meet_tile(int C, const float* query, const float* panel,
                                         const Panel& p, const int* query_image, float scale,
                                         float* nearest, float* sum) {
  Tile<R> tile;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    tile.v[i][0] = p.norm[0];
    tile.v[i][1] = p.norm[1];
  }
  multiply<R>(C, query, kQueryStride, panel, tile);
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < 2; ++v) {
      vf d = tile.v[i][v];
      if constexpr (kMasked) d = select(p.image[v] == query_image[i], broadcast(kFarDistance), d);
      float* const best = nearest + i * kWidth + v * kLanes;
      const vf before = load(best);
      store(best, min(d, before));
      if constexpr (kSums) {
        // One exponential a distance: it scales the smaller of the two terms.
        float* const total = sum + i * kWidth + v * kLanes;
        const vf less = exp(absolute(d - before) * -scale), so_far = load(total);
        store(total, select(d < before, so_far * less + 1.0f, so_far + less));
      }
    }
}

/// Prefetches the rows of the next panel, some before each tile: all at once would stall the tiles.
class PanelPrefetch {
 public:
  ASSAY_INLINE PanelPrefetch(const LocalDensityJob& job, int k, int64_t first)
      : C_(job.C),
        n_(job.n),
        share_((job.C * kRows + job.queries - 1) / job.queries),
        panel_(first + kWidth < job.n ? job.features[k] + first + kWidth
               : k + 1 < job.window   ? job.features[k + 1]
                                      : nullptr) {}
  ASSAY_INLINE void step() {
    constexpr int kLine = 16;  // floats of a cache line
    if (panel_ == nullptr) return;
    for (const int end = row_ + share_; row_ < end && row_ < C_; ++row_)
      for (int j = 0; j <= kWidth; j += kLine) __builtin_prefetch(panel_ + row_ * n_ + j);
  }

 private:
  int C_;
  int64_t n_;
  int share_;
  const float* panel_;
  int row_ = 0;
};

template <bool kMasked, bool kSums>
void meet_bank(const LocalDensityJob& job, const Work& w) {
  int query_image[kQueriesPadded];
  for (int j = 0; kMasked && j < kQueriesPadded; ++j)
    query_image[j] = j < job.queries ? job.query_image[j] : -1;
  for (int64_t i = 0; i < int64_t{kQueriesPadded} * kWidth; i += kLanes) {
    store(w.nearest + i, broadcast(kFarDistance));
    if (kSums) store(w.sum + i, vf{});
  }
  for (int k = 0; k < job.window; ++k)
    for (int64_t first = 0; first < job.n; first += kWidth) {
      const int columns = static_cast<int>(job.n - first < kWidth ? job.n - first : kWidth);
      copy_panel(job.C, job.n, job.features[k], first, nullptr, w.panel);
      float norm[kWidth];
      int image[kWidth];
      for (int j = 0; j < kWidth; ++j) {
        norm[j] = j < columns ? job.norms[int64_t{k} * job.n + first + j] : kFarDistance;
        image[j] = j < columns ? job.image[first + j] : -2;
      }
      Panel p;
      for (int v = 0; v < 2; ++v) {
        p.norm[v] = load(norm + v * kLanes);
        for (int l = 0; l < kLanes; ++l) p.image[v][l] = image[v * kLanes + l];
      }
      PanelPrefetch next(job, k, first);
      for_each_covering_tile(job.queries, [&]<int R>(int row) {
        next.step();
        meet_tile<R, kMasked, kSums>(job.C, w.query + row, w.panel, p, query_image + row, job.scale,
                                     w.nearest + row * kWidth, w.sum + row * kWidth);
      });
    }
}

/// Dot products of RX with RY rows of (C, n), lanes along n.
template <int RX, int RY>
ASSAY_INLINE void dot_tile(int C, int64_t n, const float* x, const float* y, float* out) {
  vf acc[RX][RY] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    vf b[RY];
#pragma GCC unroll 8
    for (int s = 0; s < RY; ++s) b[s] = load(y + s * n + i);
#pragma GCC unroll 8
    for (int r = 0; r < RX; ++r) {
      const vf a = load(x + r * n + i);
#pragma GCC unroll 8
      for (int s = 0; s < RY; ++s) acc[r][s] += a * b[s];
    }
  }
  for (int r = 0; r < RX; ++r)
    for (int s = 0; s < RY; ++s) {
      float dot = sum(acc[r][s]);
      for (int64_t k = i; k < n; ++k) dot += x[r * n + k] * y[s * n + k];
      out[r * int64_t{C} + s] = dot;
    }
}

template <int RX>
ASSAY_INLINE void dot_rows(int C, int64_t n, const float* features, int row, float* moments) {
  constexpr int kY = 4;
  int column = 0;
  const int end = row + RX;  // the lower triangle
  for (; column + kY <= end; column += kY)
    dot_tile<RX, kY>(C, n, features + row * n, features + column * n,
                     moments + row * int64_t{C} + column);
  for (; column < end; ++column)
    dot_tile<RX, 1>(C, n, features + row * n, features + column * n,
                    moments + row * int64_t{C} + column);
}

}  // namespace

int64_t local_density_work(int C) {
  return int64_t{C} * (kWidth + kQueryStride) + kQueriesPadded * (1 + 2 * kWidth);
}

void local_density_job(const LocalDensityJob& job) {
  const Work w(job.C, job.work);
  transform_queries(job, w);
  const bool masked = job.query_image != nullptr, sums = job.scale > 0;
  if (masked)
    sums ? meet_bank<true, true>(job, w) : meet_bank<true, false>(job, w);
  else
    sums ? meet_bank<false, true>(job, w) : meet_bank<false, false>(job, w);
  for (int j = 0; j < job.queries; ++j) {
    const float* lanes = w.nearest + j * kWidth;
    float best = lanes[0];
    for (int l = 1; l < kWidth; ++l) best = lanes[l] < best ? lanes[l] : best;
    const float d = best + w.offset[j];  // rounding may make it slightly negative
    job.nearest[j] = best >= kFarDistance ? kFarDistance : d > 0 ? d : 0;
    if (!sums) continue;
    double total = 0;
    for (int l = 0; l < kWidth; ++l)
      total += double{w.sum[j * kWidth + l]} *
               __builtin_exp(-double{job.scale} * (double{lanes[l]} - best));
    job.log_sum[j] = __builtin_log(total) - double{job.scale} * (double{best} + w.offset[j]);
  }
}

void local_norms(int C, int64_t n, const float* features, const float* metric, const float* centre,
                 float* panel, float* norms) {
  for (int64_t first = 0; first < n; first += kWidth) {
    copy_panel(C, n, features, first, centre, panel);
    vf norm[2] = {};
    for_each_tile(C, [&]<int R>(int row) {
      Tile<R> tile = {};
      multiply<R>(C, metric + row, C, panel, tile);
      const float* b = panel + row * kWidth;
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i)
        for (int v = 0; v < 2; ++v) norm[v] += tile.v[i][v] * load(b + i * kWidth + v * kLanes);
    });
    float lane[kWidth];
    store(lane, norm[0]);
    store(lane + kLanes, norm[1]);
    for (int j = 0; j < kWidth && first + j < n; ++j) norms[first + j] = lane[j];
  }
}

void local_moments(int C, int64_t n, const float* features, float* moments, float* sums) {
  int row = 0;
  for (; row + 4 <= C; row += 4) dot_rows<4>(C, n, features, row, moments);
  for (; row < C; ++row) dot_rows<1>(C, n, features, row, moments);
  for (int64_t c = 0; c < C; ++c) {
    for (int64_t d = 0; d < c; ++d) moments[d * C + c] = moments[c * C + d];
    vf total{};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) total += load(features + c * n + i);
    float rest = sum(total);
    for (; i < n; ++i) rest += features[c * n + i];
    sums[c] = rest;
  }
}

bool invert_positive_definite(int64_t C, double* a) {
  for (int64_t k = 0; k < C; ++k) {
    double* const pivot_row = a + k * C;
    const double pivot = pivot_row[k];
    if (!(pivot > 0) || !(pivot < __builtin_huge_val())) return false;
    pivot_row[k] = 1;
    for (int64_t j = 0; j < C; ++j) pivot_row[j] /= pivot;
    for (int64_t i = 0; i < C; ++i) {
      if (i == k) continue;
      double* const row = a + i * C;
      const double factor = row[k];
      row[k] = 0;
      for (int64_t j = 0; j < C; ++j) row[j] -= factor * pivot_row[j];
    }
  }
  return true;
}

}  // namespace assay::cpu::ASSAY_ISA
