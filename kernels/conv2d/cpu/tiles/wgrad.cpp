// wgrad by tiles: row blocks of dz and x are staged, multiplied, and their sums added in a fixed
// order.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/tiles/memory.h"
#include "kernels/conv2d/cpu/tiles/plan.h"
#include "kernels/conv2d/cpu/tiles/tiles.h"
#include "kernels/conv2d/cpu/tiles/wgrad_simd.h"

namespace assay::cpu::tiles {
namespace {

constexpr int kBlockPixels = 1024;         // of a phase
constexpr int kWindowBlockPixels = 8192;   // of Reduction::window, whose x is small
constexpr int64_t kManyWeights = 1 << 18;  // above, tasks are channels of x and not pixels
constexpr int kMaxPartials = 8;
constexpr int kChannelGroup = tile::kColumns;  // a tile of B has 16 channels
constexpr int64_t kTileFloats = tile::kRows * tile::kColumns;

int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

class Wgrad {
 public:
  Wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
        const Conv2dGrad<bf16>& g)
      : ctx_(ctx),
        s_(s),
        plan_(fprop_plan(s)),
        x_(source_of_x(s, x)),
        dz_(source_of_dz(s, e, g)),
        phase_rows_(divide_up(s.P(), s.upsample)),
        phase_columns_(divide_up(s.Q(), s.upsample)),
        pairs_(divide_up(phase_columns_, 2)),
        images_(images_side_by_side()),
        rows_(block_rows(e.pool)),
        steps_(divide_up(pairs_ * images_, tile::kRows)),
        filter_tiles_(divide_up(plan_.out_channels(), tile::kRows)),
        groups_(divide_up(window_values(), kChannelGroup)),
        filter_floats_(int64_t{groups_} * kChannelGroup * (of_windows() ? 1 : places())),
        product_floats_(filter_floats_ * filter_tiles_ * tile::kRows),
        staged_(staged_layout()) {
    for (int n = 0; n < s.N; n += images_)
      for (int i = 0; i < phase_rows_; i += rows_)
        blocks_.push_back({.n0 = n,
                           .real_images = std::min(images_, s.N - n),
                           .i0 = i,
                           .i1 = std::min(phase_rows_, i + rows_),
                           .images = images_,
                           .columns = phase_columns_,
                           .pairs = pairs_,
                           .steps = steps_});
  }

  void run(float* dw, float* dbias) const {
    if (partial_floats() > kManyWeights && !of_windows())
      by_channels(dw, dbias);
    else
      by_pixels(dw, dbias);
  }

 private:
  // ---- Sizes ----

  bool of_windows() const { return plan_.reduction == Reduction::window; }
  int places() const { return plan_.window_rows() * plan_.window_columns(); }
  /// Values that stand side by side in B: channels, or those of a whole window.
  int window_values() const { return of_windows() ? places() * s_.C : s_.C; }

  /// The fewest images that waste least of the reduction, and more where they are small.
  int images_side_by_side() const {
    const auto waste = [&](int n) {
      return static_cast<double>(divide_up(pairs_ * n, tile::kRows) * tile::kRows) / (pairs_ * n);
    };
    int images = 1;
    for (int n = 2; n <= s_.N && n <= kMaxImages; n *= 2)
      if (waste(n) < waste(images) - 0.05 || phase_rows_ * phase_columns_ * n <= kBlockPixels)
        images = n;
    return images;
  }
  /// Whole windows.
  int block_rows(int pool) const {
    const int pixels =
        of_windows() ? kWindowBlockPixels : kBlockPixels / (plan_.merged ? 1 : s_.upsample);
    const int rows = std::clamp(pixels / (phase_columns_ * images_), 1, phase_rows_);
    return std::max(rows / pool, 1) * pool;
  }

  int64_t filter_bytes() const { return int64_t{rows_} * steps_ * tile::kBytes; }
  int64_t product_bytes() const { return filter_tiles_ * filter_bytes(); }
  int64_t gradient_bytes() const { return plan_.products() * product_bytes(); }
  int64_t bias_floats() const { return int64_t{plan_.products()} * filter_tiles_ * kTileFloats; }
  /// A partial: sums (product; k; r,t,c), then those of the bias (product; tile of filters; k, 16).
  int64_t partial_floats() const { return plan_.products() * product_floats_ + bias_floats(); }

  StagedPixels staged_layout() const {
    const int step = plan_.step();
    const int shifted = of_windows() ? 0 : (plan_.window_columns() - 1) / step;  // columns
    StagedPixels b{.reduction = plan_.reduction,
                   .step = step,
                   .first_column = plan_.column_reach.begin,
                   .window_rows = plan_.window_rows(),
                   .window_columns = plan_.window_columns(),
                   .shifts = shifted > 0 ? 2 : 1,
                   .pair = images_ * tile::kRowBytes};
    b.row = steps_ * tile::kBytes + shifted / 2 * b.pair;
    b.positions = static_cast<int>(of_windows() ? pairs_ : b.row / b.pair);
    b.shift = b.row * (of_windows() ? rows_ : (rows_ - 1) * step + b.window_rows);
    b.remainder = b.shift * b.shifts;
    b.group = b.remainder * (of_windows() ? 1 : step);
    return b;
  }

  // ---- Staging ----

  void stage_dz(const PixelBlock& block, char* at) const {
    const int64_t row = int64_t{2} * pairs_ * s_.upsample * s_.K;
    const TileScratch<bf16> room(ctx_, s_.upsample * images_ * row);
    const StagedGradient staged{.upsample = s_.upsample,
                                .merged = plan_.merged,
                                .product_bytes = product_bytes(),
                                .filter_bytes = filter_bytes(),
                                .at = at,
                                .room = room.get()};
    ASSAY_TILES_CALL(stage_gradient, dz_, block, staged);
  }

  /// The groups [group0, group1) of 16 channels.
  void stage_x(const PixelBlock& block, int group0, int group1, char* at) const {
    StagedPixels staged = staged_;
    staged.first_row = block.i0 * staged.step + plan_.row_reach.begin;
    staged.group0 = group0;
    staged.group1 = group1;
    const TileScratch<bf16> room(ctx_, room_values(staged));
    staged.at = at;
    staged.room = room.get();
    ASSAY_TILES_CALL(stage_pixels, x_, block, staged);
  }
  int64_t room_values(const StagedPixels& staged) const {
    if (!of_windows()) return 0;
    const int64_t columns = (phase_columns_ - 1) * staged.step + staged.window_columns;
    const int64_t rows = (rows_ - 1) * staged.step + staged.window_rows;
    return columns * s_.C * (rows + staged.window_rows) + 3 * tile::kDepth;
  }

  // ---- Products ----

  /// The columns of dw that the groups [group0, group1) have part in, behind the bias's.
  std::vector<GradientColumn> columns_of(int product, int group0, int group1) const {
    std::vector<GradientColumn> columns;
    if (group0 == 0) columns.push_back({-1, 0, 0});
    if (of_windows()) {
      for (int group = group0; group < group1; ++group)
        columns.push_back({(group - group0) * staged_.group, staged_.row, group * kChannelGroup});
      return columns;
    }
    const int step = plan_.step();
    for (const Step& tap : plan_.steps[static_cast<size_t>(product)]) {
      if (tap.slice > 0) continue;
      const int shift = tap.column / step;
      const int64_t at = tap.column % step * staged_.remainder + shift % 2 * staged_.shift +
                         tap.row * staged_.row + shift / 2 * staged_.pair;
      const int64_t place = int64_t{tap.row} * plan_.window_columns() + tap.column;
      for (int group = group0; group < group1; ++group)
        columns.push_back({(group - group0) * staged_.group + at, step * staged_.row,
                           (place * groups_ + group) * kChannelGroup});
    }
    return columns;
  }

  void multiply(const PixelBlock& block, const char* dz, const char* x, int group0, int group1,
                bool first, float* sums, float* bias_sums) const {
    for (int product = 0; product < plan_.products(); ++product) {
      const std::vector<GradientColumn> columns = columns_of(product, group0, group1);
      const GradientProducts job{.dz = dz + product * product_bytes(),
                                 .x = x,
                                 .filter_bytes = filter_bytes(),
                                 .filter_tiles = filter_tiles_,
                                 .rows = block.i1 - block.i0,
                                 .steps = steps_,
                                 .columns = columns.data(),
                                 .column_count = static_cast<int>(columns.size()),
                                 .sums = sums + product * product_floats_,
                                 .filter_floats = filter_floats_,
                                 .bias_sums = bias_sums + product * filter_tiles_ * kTileFloats,
                                 .first = first};
      ASSAY_TILES_CALL(multiply_gradient, job);
    }
  }

  /// Tasks are pixels: each adds up some blocks in a partial of its own.
  void by_pixels(float* dw, float* dbias) const {
    const int64_t blocks = static_cast<int64_t>(blocks_.size());
    const int64_t partials = std::min<int64_t>(blocks, kMaxPartials);
    const TileScratch<float> sums(ctx_, partials * partial_floats());
    parallel_for(ctx_, partials, [&](int64_t partial) {
      const TileScratch<char> dz(ctx_, gradient_bytes()), x(ctx_, staged_.group * groups_);
      float* const own = sums.get() + partial * partial_floats();
      const int64_t begin = partial * blocks / partials, end = (partial + 1) * blocks / partials;
      for (int64_t i = begin; i < end; ++i) {
        const PixelBlock& block = blocks_[static_cast<size_t>(i)];
        stage_dz(block, dz.get());
        stage_x(block, 0, groups_, x.get());
        multiply(block, dz.get(), x.get(), 0, groups_, i == begin, own,
                 own + plan_.products() * product_floats_);
      }
    });
    unfold(sums.get(), partials, dw, dbias);
  }

  /// Tasks are channels of x, because partials of so many weights would cost more than to stage dz
  /// for all of them.
  void by_channels(float* dw, float* dbias) const {
    // Where dw has the layout of the sums, they are formed in dw.
    const bool direct = plan_.products() == 1 && plan_.conv.phases() == 1 &&
                        s_.C % kChannelGroup == 0 && s_.K % tile::kRows == 0;
    const TileScratch<float> memory(ctx_, direct ? bias_floats() : partial_floats());
    float* const sums = direct ? dw : memory.get();
    float* const bias_sums = memory.get() + (direct ? 0 : plan_.products() * product_floats_);
    const int64_t blocks = static_cast<int64_t>(blocks_.size());
    const TileScratch<char> dz(ctx_, gradient_bytes() * blocks);
    parallel_for(ctx_, blocks, [&](int64_t i) {
      stage_dz(blocks_[static_cast<size_t>(i)], dz.get() + i * gradient_bytes());
    });
    constexpr int kGroups = 2;  // of a task
    parallel_for(ctx_, divide_up(groups_, kGroups), [&](int64_t task) {
      const int group0 = static_cast<int>(task) * kGroups;
      const int group1 = std::min(groups_, group0 + kGroups);
      const TileScratch<char> x(ctx_, staged_.group * kGroups);
      for (int64_t i = 0; i < blocks; ++i) {
        const PixelBlock& block = blocks_[static_cast<size_t>(i)];
        stage_x(block, group0, group1, x.get());
        multiply(block, dz.get() + i * gradient_bytes(), x.get(), group0, group1, i == 0, sums,
                 bias_sums);
      }
    });
    if (!direct) return unfold(memory.get(), 1, dw, dbias);
    for (int k = 0; dbias != nullptr && k < s_.K; ++k) dbias[k] = bias_sums[k * tile::kColumns];
  }

  // ---- From sums to dw ----

  /// Adds the partials and gives each sum to the taps that it stands for.
  void unfold(const float* partials, int64_t count, float* dw, float* dbias) const {
    const int64_t filter = int64_t{s_.R} * s_.S * s_.C;
    parallel_blocks(ctx_, s_.K, 8, [&](int64_t k0, int64_t k1) {
      std::vector<float> sum(static_cast<size_t>(filter_floats_));
      std::fill(dw + k0 * filter, dw + k1 * filter, 0.0f);
      for (int64_t k = k0; k < k1; ++k) {
        float bias = 0;
        for (int phase = 0; phase < plan_.conv.phases(); ++phase) {
          const int product = plan_.merged ? 0 : phase;
          const int64_t row = plan_.merged ? phase * s_.K + k : k;
          const int64_t at = product * product_floats_ + row * filter_floats_;
          const int64_t bias_at = plan_.products() * product_floats_ +
                                  product * filter_tiles_ * kTileFloats + row * tile::kColumns;
          std::copy_n(partials + at, filter_floats_, sum.data());
          bias += partials[bias_at];
          for (int64_t partial = 1; partial < count; ++partial) {
            const float* from = partials + partial * partial_floats();
            for (int64_t i = 0; i < filter_floats_; ++i)
              sum[static_cast<size_t>(i)] += from[at + i];
            bias += from[bias_at];
          }
          unfold_filter(phase, sum.data(), dw + k * filter);
        }
        if (dbias != nullptr) dbias[k] = bias;
      }
    });
  }

  /// Adds a phase's sums of one filter to dw (R,S,C).
  void unfold_filter(int phase, const float* sums, float* dw) const {
    const PhaseAxis &rows = plan_.conv.rows, &columns = plan_.conv.columns;
    const int a = phase / columns.phases(), b = phase % columns.phases();
    for (int i = 0; i < rows.taps(a); ++i)
      for (int j = 0; j < columns.taps(b); ++j) {
        const int row = rows.first(a) - plan_.row_reach.begin + i;
        const int column = columns.first(b) - plan_.column_reach.begin + j;
        const float* from =
            sums + (of_windows() ? (int64_t{column} * plan_.window_rows() + row) * s_.C
                                 : (int64_t{row} * plan_.window_columns() + column) * groups_ *
                                       kChannelGroup);
        const Range of_rows = rows.summed(a, i), of_columns = columns.summed(b, j);
        for (int r = of_rows.begin; r < of_rows.end; ++r)
          for (int t = of_columns.begin; t < of_columns.end; ++t)
            for (int c = 0; c < s_.C; ++c) dw[(r * s_.S + t) * s_.C + c] += from[c];
      }
  }

  Context& ctx_;
  Conv2dShape s_;
  Plan plan_;
  Source x_, dz_;
  int phase_rows_, phase_columns_;
  int pairs_;         // of columns of a phase
  int images_;        // side by side
  int rows_, steps_;  // of a block, at most; of a row
  int filter_tiles_;
  int groups_;             // of 16 channels, or of 16 values of the window
  int64_t filter_floats_;  // sums of one filter and phase
  int64_t product_floats_;
  StagedPixels staged_;  // the layout
  std::vector<PixelBlock> blocks_;
};

}  // namespace

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           Conv2dGrad<bf16> g, float* dw, float* dbias) {
  Wgrad(ctx, s, e, x, g).run(dw, dbias);
}

}  // namespace assay::cpu::tiles
