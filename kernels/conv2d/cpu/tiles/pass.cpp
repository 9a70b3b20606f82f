// fprop and dgrad by tiles: a pass is cut into row blocks, each staged and multiplied by all panels
// of filters.
#include "kernels/conv2d/cpu/tiles/pass.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/tiles/memory.h"
#include "kernels/conv2d/cpu/tiles/tiles.h"

namespace assay::cpu::tiles {
namespace {

constexpr int64_t kBlockBytes = 512 << 10;  // staged, half of a second-level cache
constexpr int kMinBlocks = 4;               // per call, if it has as many rows
constexpr int kMinTasks = 8;
constexpr int64_t kManyPanels = 1 << 20;      // bytes: above, few blocks read them, and prefetch
constexpr int64_t kStreamedBytes = 64 << 20;  // of an output: above, it goes past the caches

constexpr int kFewFilters = 8;  // of a pooled layer, for dgrad

/// How a pass is cut, by its shape alone: `rows` phase rows of one image a block, or `images` whole
/// images side by side.
struct Blocks {
  int images, rows, per_image;
  int64_t count;
};

class Pass {
 public:
  Pass(Context& ctx, const Plan& plan, const Source& source, const Output& output)
      : ctx_(ctx), plan_(plan), source_(source), output_(output) {
    const int step = plan.out_step();
    phase_rows_ = (output.rows + step - 1) / step;
    phase_columns_ = (output.columns + step - 1) / step;
    blocks_ = blocks();
    const int64_t bytes = int64_t{plan.conv.N} * output.rows * output.columns * plan.conv.K *
                          static_cast<int64_t>(sizeof(bf16)) /
                          (output.epilogue.pool * output.epilogue.pool);
    streamed_ = bytes > kStreamedBytes && plan.conv.K % tile::kDepth == 0 &&
                reinterpret_cast<uintptr_t>(output.out) % tile::kRowBytes == 0;
    if (output.bias != nullptr) {
      bias_.resize(static_cast<size_t>(plan.panels()) * static_cast<size_t>(plan.panel_width()));
      for (int k = 0; k < plan.out_channels(); ++k)
        bias_[static_cast<size_t>(k)] = output.bias[k % plan.conv.K];
    }
  }

  void run(const bf16* panels) const {
    const int64_t size = staged_block(0).bytes + slack();
    // Where blocks are few, a task takes some of the panels.
    const int splits = static_cast<int>(
        std::min<int64_t>(plan_.panels(), std::max<int64_t>(1, kMinTasks / blocks_.count)));
    if (splits == 1)
      return parallel_for(ctx_, blocks_.count, [&](int64_t index) {
        const TileScratch<char> staged(ctx_, size);
        stage(index, staged.get());
        multiply(index, staged.get(), panels, 0, plan_.panels());
      });
    const TileScratch<char> staged(ctx_, size * blocks_.count);
    parallel_for(ctx_, blocks_.count,
                 [&](int64_t index) { stage(index, staged.get() + index * size); });
    parallel_for(ctx_, blocks_.count * splits, [&](int64_t task) {
      const int64_t index = task / splits, part = task % splits;
      multiply(index, staged.get() + index * size, panels,
               static_cast<int>(part * plan_.panels() / splits),
               static_cast<int>((part + 1) * plan_.panels() / splits));
    });
  }

 private:
  bool of_windows() const { return plan_.reduction == Reduction::window; }
  /// Bytes behind a block that the tile of its last pixel may reach into.
  int64_t slack() const {
    const int64_t pixel = staged_block(0).pixel;
    return (2 * tile::kRows * pixel + 2 * tile::kRowBytes + 63) / 64 * 64;
  }
  int images_of(int64_t index) const {
    return std::min(blocks_.images, plan_.conv.N - first_image(index));
  }
  int first_image(int64_t index) const {
    return static_cast<int>(index / blocks_.per_image) * blocks_.images;
  }
  int first_row(int64_t index) const {
    return static_cast<int>(index % blocks_.per_image) * blocks_.rows;
  }
  int rows_of(int64_t index) const {
    return std::min(blocks_.rows, phase_rows_ - first_row(index));
  }

  Blocks blocks() const {
    const int N = plan_.conv.N, pool = output_.epilogue.pool;
    const bool many = plan_.all_panel_bytes() > kManyPanels;
    const auto bytes = [&](int images, int rows) { return layout(images, rows).bytes; };
    Blocks b{.images = 1, .rows = phase_rows_, .per_image = 1, .count = 0};
    const int min_blocks = many ? 2 : kMinBlocks;
    const int64_t max_bytes = many ? 2 * kBlockBytes : kBlockBytes;
    if (pool == 1 && !of_windows())
      while (b.images * 2 * min_blocks <= N && bytes(b.images * 2, phase_rows_) <= max_bytes)
        b.images *= 2;
    // Whole pairs of rows, which are multiplied together, and whole windows.
    const int unit = 2 * pool;
    const auto too_few = [&] { return (phase_rows_ + b.rows - 1) / b.rows * N < kMinBlocks; };
    while (b.images == 1 && b.rows > unit && (bytes(1, b.rows) > kBlockBytes || too_few()))
      b.rows = std::max(unit, (b.rows / 2 + unit - 1) / unit * unit);
    b.per_image = (phase_rows_ + b.rows - 1) / b.rows;
    b.count = int64_t{b.per_image} * ((N + b.images - 1) / b.images);
    return b;
  }

  /// The layout of a block of `rows` phase rows of `images` images.
  StagedBlock layout(int images, int rows) const {
    const int step = plan_.step();
    StagedBlock b{.reduction = plan_.reduction,
                  .images = images,
                  .first_column = plan_.column_reach.begin,
                  .step = step,
                  .slices = plan_.slices,
                  .window_rows = plan_.window_rows()};
    if (of_windows()) {
      b.rows = rows;
      b.columns = (phase_columns_ - 1) * step + plan_.window_columns();
      b.column =
          int64_t{plan_.window_rows()} * source_.channels * static_cast<int64_t>(sizeof(bf16));
      b.pixel = b.column * step;
      b.row = (b.columns * b.column + 2 * tile::kRowBytes - 1) / tile::kRowBytes * tile::kRowBytes;
      b.slice = tile::kRowBytes;
      b.bytes = rows * b.row;
      return b;
    }
    b.rows = (rows - 1) * step + plan_.window_rows();
    b.columns = phase_columns_ + (plan_.window_columns() - 1) / step;
    b.pixel = tile::kRowBytes;
    b.column = images * b.pixel;
    b.row = b.columns * b.column;
    b.remainder = b.rows * b.row;
    b.slice = b.remainder * step;
    b.bytes = b.slice * plan_.slices;
    return b;
  }
  StagedBlock staged_block(int64_t index) const {
    StagedBlock b = layout(images_of(index), rows_of(index));
    b.n0 = first_image(index);
    b.first_row = first_row(index) * plan_.step() + plan_.row_reach.begin;
    return b;
  }

  void stage(int64_t index, char* staged) const {
    StagedBlock b = staged_block(index);
    const int64_t row = int64_t{source_.columns} * source_.channels;
    const int64_t lines = of_windows() ? ((b.rows - 1) * b.step + b.window_rows) *
                                                 int64_t{b.columns} * source_.channels +
                                             tile::kDepth
                                       : 0;
    const TileScratch<bf16> room(ctx_, lines + row);
    b.at = staged;
    b.room = room.get();
    ASSAY_TILES_CALL(stage_block, source_, b);
  }

  /// The panels [panel0, panel1) of every product.
  void multiply(int64_t index, const char* staged, const bf16* panels, int panel0,
                int panel1) const {
    const StagedBlock b = staged_block(index);
    const char* panel = reinterpret_cast<const char*>(panels);
    std::vector<int64_t> offsets;
    for (int product = 0; product < plan_.products(); ++product) {
      offsets.clear();
      for (const Step& s : plan_.steps[static_cast<size_t>(product)])
        offsets.push_back(s.slice * b.slice + s.column % b.step * b.remainder + s.row * b.row +
                          s.column / b.step * b.column);
      BlockProducts job = products(index, b, product, panel0, panel1);
      job.staged = staged;
      job.offsets = offsets.data();
      job.steps = static_cast<int>(offsets.size());
      job.panels = panel + panel0 * plan_.panel_bytes(product);
      if (job.rows > 0 && job.pixels > 0) ASSAY_TILES_CALL(multiply_block, job);
      panel += plan_.panels() * plan_.panel_bytes(product);
    }
  }

  /// The products of a block without its operands.
  BlockProducts products(int64_t index, const StagedBlock& b, int product, int panel0,
                         int panel1) const {
    const int a0 = product / plan_.conv.columns.phases(),
              b0 = product % plan_.conv.columns.phases();
    const int pool = output_.epilogue.pool, step = plan_.out_step(), K = plan_.conv.K;
    const int row_end =
        std::min(first_row(index) + rows_of(index), plan_.conv.rows.outputs_of(a0, output_.rows));
    const int columns = plan_.conv.columns.outputs_of(b0, output_.columns);
    const int64_t y_row = int64_t{output_.columns / pool} * K;
    const int64_t y_image = output_.rows / pool * y_row;
    const int first_channel = panel0 * plan_.panel_width();
    const int64_t y_row0 = int64_t{first_row(index)} * step / pool + a0;
    const int64_t at = b.n0 * y_image + y_row0 * y_row + int64_t{b0} * K + first_channel;
    BlockProducts job{.pixel = b.pixel,
                      .row = b.row * (of_windows() ? 1 : b.step),
                      .rows = row_end - first_row(index),
                      .pixels = columns * b.images,
                      .panel_count = panel1 - panel0,
                      .width_tiles = plan_.width_tiles,
                      .prefetched_lines = 0,
                      .bias = bias_.empty() ? nullptr : bias_.data() + first_channel,
                      .activation = output_.epilogue.activation,
                      .slope = output_.epilogue.slope,
                      .pool = pool,
                      .out_channels = plan_.out_channels() - first_channel,
                      .out = output_.out + at,
                      .argmax = output_.argmax != nullptr ? output_.argmax + at : nullptr,
                      .images = b.images,
                      .out_image = y_image,
                      .out_pixel = int64_t{pool > 1 ? 1 : step} * K,
                      .out_row = (pool > 1 ? 1 : step) * y_row,
                      .merged_rows = plan_.merged ? step : 0,
                      .streamed = streamed_};
    if (plan_.all_panel_bytes() > kManyPanels) job.prefetched_lines = prefetched_lines(job);
    return job;
  }
  /// Lines to prefetch in each step, so that all products of a block together take the next panel.
  int prefetched_lines(const BlockProducts& job) const {
    const int across = plan_.width_tiles == 2 ? tile::kRows : 2 * tile::kRows;
    const int together = std::max(2, job.pool);
    const int products = (job.rows + together - 1) / together * (together / 2) *
                         ((job.pixels + across - 1) / across);
    const int lines = plan_.width_tiles * static_cast<int>(tile::kBytes / 64);  // of a step
    return products > 0 ? (lines + products - 1) / products : 0;
  }

  Context& ctx_;
  const Plan& plan_;
  Source source_;
  Output output_;
  int phase_rows_, phase_columns_;
  Blocks blocks_;
  bool streamed_;
  std::vector<float> bias_;  // of all output channels of the plan, padded to whole panels
};

}  // namespace

void run_pass(Context& ctx, const Plan& plan, const bf16* panels, const Source& source,
              const Output& output) {
  Pass(ctx, plan, source, output).run(panels);
}

const bf16* cached_panels(Context& ctx, const Conv2dShape& s, const Plan& plan, Weights<float> w,
                          const WeightStrides& strides, PackKind kind) {
  const PackKey key{.kind = kind, .stride = s.stride, .pad = s.pad, .upsample = s.upsample};
  return ctx.weights->get_as<bf16>(
      w, key, static_cast<size_t>(plan.all_panel_bytes()),
      [&](bf16* out) { pack_panels(ctx, plan, w.data, strides, out); });
}

// Measured on an Intel Xeon with AMX at batch 32.
Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (active_tiles() == Tiles::none)
    return Coverage::no("no tile instructions (AMX) on this machine, or ASSAY_AMX=off");
  if (s.upsample > 1 && (s.stride > 1 || e.pool > 1))
    return Coverage::no("an upsampling with a stride or a pool");
  if ((s.H == 1 && s.W == 1) || (s.P() == 1 && s.Q() == 1))
    return Coverage::but_slower("one pixel: each weight serves a few products, packing costs more");
  if (pass == ConvPass::dgrad && e.pool > 1 && s.K <= kFewFilters)
    return Coverage::but_slower("few filters, which leave most of a tile's depth empty");
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           Weights<float> w, const float* bias, bf16* y, uint8_t* argmax) {
  const int rows = s.P() / e.pool * e.pool, columns = s.Q() / e.pool * e.pool;
  if (rows == 0 || columns == 0) return;
  const Plan plan = fprop_plan(s);
  const PackKind kind = plan.merged ? PackKind::tiles_fprop_merged : PackKind::tiles_fprop;
  const bf16* panels = cached_panels(ctx, s, plan, w, fprop_strides(s), kind);
  run_pass(ctx, plan, panels, source_of_x(s, x), {bias, e, y, argmax, rows, columns});
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<bf16> g,
           Weights<float> w, bf16* dx) {
  const Plan plan = dgrad_plan(s);
  const PackKind kind = plan.merged ? PackKind::tiles_dgrad_merged : PackKind::tiles_dgrad;
  const bf16* panels = cached_panels(ctx, s, plan, w, dgrad_strides(s), kind);
  run_pass(ctx, plan, panels, source_of_dz(s, e, g), {nullptr, {}, dx, nullptr, s.H, s.W});
}

}  // namespace assay::cpu::tiles
