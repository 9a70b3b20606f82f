#include "models/detectors/lpd/lpd.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

constexpr size_t kChunk = 32;  // images whose maps are in memory at once

Planes halved_image(std::span<const float> pixels, int side) {
  return halve({{pixels.begin(), pixels.end()}, side, side, 3});
}

}  // namespace

Lpd::Crops Lpd::read_crops(Context& ctx, const LpdImages& images, size_t begin, size_t end,
                           const std::vector<Pose>& known) const {
  Crops out{std::vector<Planes>(end - begin), std::vector<Pose>(end - begin)};
  const int side = images.side;
  parallel_for(ctx, static_cast<int64_t>(end - begin), [&](int64_t i) {
    std::vector<float> pixels(int64_t{side} * side * 3);
    images.get(begin + i, pixels);
    if (!state_.posed) {
      out.crops[i] = halved_image(pixels, side);
      return;
    }
    const SquareImage image{pixels, side};
    out.poses[i] = known.empty() ? find_pose(image) : known[begin + i];
    Planes& p = out.crops[i];
    p = {std::vector<float>(int64_t{state_.crop.height} * state_.crop.width * 3),
         state_.crop.height, state_.crop.width, 3};
    crop(image, out.poses[i], state_.crop, p.values.data());
  });
  return out;
}

void Lpd::choose_pose(Context& ctx, const LpdImages& good, std::vector<Pose>& poses) {
  state_.side = good.side;
  state_.posed = options_.pose == "always";
  if (options_.pose == "auto") {
    std::vector<std::vector<uint8_t>> masks(std::min(kFitImages, good.count));
    parallel_for(ctx, static_cast<int64_t>(masks.size()), [&](int64_t i) {
      std::vector<float> pixels(int64_t{good.side} * good.side * 3);
      good.get(i, pixels);
      masks[i] = foreground({halved_image(pixels, good.side).values, good.side / 2});
    });
    state_.posed = are_posed(masks, good.side / 2);
  }
  if (!state_.posed) {
    state_.crop = {good.side / 2, good.side / 2};
    return;
  }
  poses.resize(good.count);
  parallel_for(ctx, static_cast<int64_t>(good.count), [&](int64_t i) {
    std::vector<float> pixels(int64_t{good.side} * good.side * 3);
    good.get(i, pixels);
    poses[i] = find_pose({pixels, good.side});
  });
  state_.crop = crop_size(poses);
}

LpdMaps Lpd::fit(Context& ctx, const LpdImages& good) {
  ASSAY_CHECK_AS(DataError, good.count >= 2,
                 "lpd: {} good images; leave-one-out needs two at least", good.count);
  state_ = {};
  std::vector<Pose> poses;
  choose_pose(ctx, good, poses);
  const int images = static_cast<int>(good.count);
  const int64_t cells = int64_t{grid_height()} * grid_width(), rows = images * cells;

  // Filters are fitted to kFitImages random images, which are read again with all others below.
  std::vector<size_t> order(good.count);
  std::iota(order.begin(), order.end(), size_t{0});
  RandomSequence random(options_.seed, RandomStream::patches);
  random.shuffle(order);
  order.resize(std::min(kFitImages, order.size()));
  const LpdImages some{order.size(), good.side,
                       [&](size_t i, std::span<float> out) { good.get(order[i], out); }};
  std::vector<Pose> some_poses;
  if (state_.posed)
    for (const size_t i : order) some_poses.push_back(poses[i]);
  state_.filters = fit_filters(ctx, read_crops(ctx, some, 0, some.count, some_poses).crops,
                               options_.features, options_.seed);

  std::vector<float> x;
  x.reserve(rows * feature_channels(state_.filters.count));
  for (size_t begin = 0; begin < good.count; begin += kChunk) {
    const size_t end = std::min(good.count, begin + kChunk);
    const std::vector<float> part = features(ctx, read_crops(ctx, good, begin, end, poses).crops,
                                             state_.filters, options_.features);
    x.insert(x.end(), part.begin(), part.end());
  }
  if (poses.empty()) poses.resize(good.count);
  state_.poses = poses;
  // Only filter responses are counted: colours look aligned in any class, because light falls on
  // the same side of every image.
  const CellScores scores =
      places_.fit(ctx, std::move(x), images, grid_height(), grid_width(),
                  [&](int channel) { return is_response(channel, state_.filters.count); });
  state_.threshold = percentile(scores.score, 100 * options_.quantile);
  state_.heat_scale = heat_scale_of(scores);
  return {scores, std::move(poses)};
}

LpdMaps Lpd::score(Context& ctx, const LpdImages& images) const {
  ASSAY_CHECK(images.side == state_.side,
              "lpd: images of {} pixels a side, but the model was fitted to {}", images.side,
              state_.side);
  LpdMaps out;
  for (size_t begin = 0; begin < images.count; begin += kChunk) {
    const size_t end = std::min(images.count, begin + kChunk);
    Crops crops = read_crops(ctx, images, begin, end, {});
    const CellScores part =
        places_.score(ctx, features(ctx, crops.crops, state_.filters, options_.features),
                      static_cast<int>(end - begin));
    out.cells.insert(out.cells.end(), part.cells.begin(), part.cells.end());
    out.poses.insert(out.poses.end(), crops.poses.begin(), crops.poses.end());
    out.score.insert(out.score.end(), part.score.begin(), part.score.end());
  }
  return out;
}

std::vector<float> Lpd::heat(std::span<const float> cells, const Pose& pose) const {
  const int side = state_.side, height = grid_height(), width = grid_width();
  std::vector<float> out(int64_t{side} * side);
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      double column = (x - 0.5) / 2, row = (y - 0.5) / 2;  // in the halved image
      if (state_.posed) {
        const CropPoint at = to_crop(pose, state_.crop, x, y);
        if (at.column < -0.5 || at.row < -0.5 || at.column > state_.crop.width - 0.5 ||
            at.row > state_.crop.height - 0.5)
          continue;
        column = at.column;
        row = at.row;
      }
      out[y * side + x] = value_between_cells(cells, height, width, (row + 0.5) / kCell - 0.5,
                                              (column + 0.5) / kCell - 0.5);
    }
  return out;
}

CropPoint Lpd::cell_in_image(int cell, const Pose& pose) const {
  const int grid_row = cell / grid_width(), grid_column = cell % grid_width();
  const double column = (grid_column + 0.5) * kCell - 0.5;
  const double row = (grid_row + 0.5) * kCell - 0.5;
  if (!state_.posed) return {2 * column + 0.5, 2 * row + 0.5};
  const double u = column - (state_.crop.width / 2.0 - 0.5);
  const double v = row - (state_.crop.height / 2.0 - 0.5);
  const double c = std::cos(pose.angle), s = std::sin(pose.angle);
  return {pose.x + u * c - v * s, pose.y + u * s + v * c};
}

Lpd::Explanation Lpd::explain(Context& ctx, std::span<const float> image) const {
  const LpdImages one{1, state_.side, [&](size_t, std::span<float> out) {
                        std::copy(image.begin(), image.end(), out.begin());
                      }};
  const Crops crops = read_crops(ctx, one, 0, 1, {});
  const std::vector<float> x = features(ctx, crops.crops, state_.filters, options_.features);
  const CellScores scores = places_.score(ctx, x, 1);
  const int cell = static_cast<int>(std::max_element(scores.cells.begin(), scores.cells.end()) -
                                    scores.cells.begin());
  return {.cell = cell, .nearest = places_.nearest(x, cell), .pose = crops.poses[0]};
}

}  // namespace assay
