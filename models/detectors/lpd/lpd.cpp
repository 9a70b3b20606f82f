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

constexpr size_t kChunk = 32;           // images whose maps are in memory at once
constexpr double kMinDeviation = 1e-4;  // of a feature that is kept: grey images have no colour
constexpr double kHeatPercentile = 99.9;

Planes halved_image(std::span<const float> pixels, int side) {
  return halve({{pixels.begin(), pixels.end()}, side, side, 3});
}

}  // namespace

double aligned_share(const std::vector<float>& x, int64_t images, int64_t cells, int64_t C,
                     const std::vector<int>& counted) {
  double share = 0;
  for (const int c : counted) {
    double sum = 0, squares = 0, squares_of_means = 0;
    for (int64_t p = 0; p < cells; ++p) {
      double cell_sum = 0;
      for (int64_t i = 0; i < images; ++i) {
        const double v = x[(i * cells + p) * C + c];
        cell_sum += v;
        squares += v * v;
      }
      sum += cell_sum;
      const double mean = cell_sum / static_cast<double>(images);
      squares_of_means += mean * mean;
    }
    const auto n = static_cast<double>(images * cells);
    const double mean = sum / n;
    share += (squares_of_means / static_cast<double>(cells) - mean * mean) /
             std::max(squares / n - mean * mean, 1e-30);
  }
  return share / std::max(1.0, static_cast<double>(counted.size()));
}

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

void Lpd::standardise(std::vector<float>& all, int64_t rows) {
  const int channels = feature_channels(state_.filters.count);
  std::vector<double> mean(channels), squares(channels);
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < channels; ++c) mean[c] += all[r * channels + c];
  for (double& m : mean) m /= static_cast<double>(rows);
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < channels; ++c) {
      const double d = all[r * channels + c] - mean[c];
      squares[c] += d * d;
    }
  state_.channel.clear();
  state_.mean.clear();
  state_.deviation.clear();
  for (int c = 0; c < channels; ++c) {
    const double deviation = std::sqrt(squares[c] / static_cast<double>(rows - 1));
    if (deviation <= kMinDeviation) continue;
    state_.channel.push_back(c);
    state_.mean.push_back(static_cast<float>(mean[c]));
    state_.deviation.push_back(static_cast<float>(deviation + 1e-6));
  }
  ASSAY_CHECK_AS(DataError, !state_.channel.empty(),
                 "lpd: the good images are all of one colour; there is nothing to learn");
  all = standardised(all, rows);
}

std::vector<float> Lpd::standardised(const std::vector<float>& all, int64_t rows) const {
  const int channels = feature_channels(state_.filters.count);
  const size_t C = state_.channel.size();
  std::vector<float> out(rows * C);
  for (int64_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < C; ++c)
      out[r * C + c] =
          (all[r * channels + state_.channel[c]] - state_.mean[c]) / state_.deviation[c];
  return out;
}

void Lpd::fit_local_bank(Context& ctx, const std::vector<float>& x, int images) {
  const int64_t C = static_cast<int64_t>(state_.channel.size());
  LocalDensityShape& s = state_.shape;
  s = {.height = grid_height(),
       .width = grid_width(),
       .radius = options_.window / 2,
       .n = images,
       .m = 0,
       .C = static_cast<int>(C)};
  state_.bank.resize(x.size());
  parallel_for(ctx, s.cells(), [&](int64_t cell) {
    for (int64_t i = 0; i < images; ++i)
      for (int64_t c = 0; c < C; ++c)
        state_.bank[(cell * C + c) * images + i] = x[(i * s.cells() + cell) * C + c];
  });
  state_.image.resize(images);
  std::iota(state_.image.begin(), state_.image.end(), 0);
}

// Greedy k-centre (Gonzalez 1985) among 10,000 random candidates: the next feature is the one
// farthest from those taken, in the metric of all candidates.
void Lpd::fit_global_bank(Context& ctx, const std::vector<float>& x, int images) {
  constexpr int64_t kCandidates = 10'000;
  const int64_t C = static_cast<int64_t>(state_.channel.size());
  const int64_t cells = int64_t{grid_height()} * grid_width(), total = images * cells;
  RandomSequence random(options_.seed, RandomStream::patches, 200);
  std::vector<int64_t> rows(total);
  std::iota(rows.begin(), rows.end(), 0);
  random.shuffle(rows);
  const int64_t n = std::min(kCandidates, total);
  rows.resize(n);
  std::sort(rows.begin(), rows.end());
  std::vector<float> candidates(C * n), centre(C), metric(C * C), norms(n);  // (C, n)
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < C; ++c) candidates[c * n + i] = x[rows[i] * C + c];
  LocalDensityShape s{.height = 1,
                      .width = 1,
                      .radius = 0,
                      .n = static_cast<int>(n),
                      .m = 0,
                      .C = static_cast<int>(C)};
  local_metric<float>(ctx, s, options_.ridge, candidates.data(), centre.data(), metric.data());
  local_bank_norms<float>(ctx, s, candidates.data(), metric.data(), centre.data(), norms.data());
  const int64_t size = std::min<int64_t>(options_.bank_size, n);
  std::vector<float> nearest(n, std::numeric_limits<float>::infinity());
  std::vector<int64_t> taken = {0};
  std::vector<float> transformed(C);
  constexpr int64_t kGrain = 1024;
  while (static_cast<int64_t>(taken.size()) < size) {
    const int64_t last = taken.back();
    double own = 0;  // -q'.c, part of the constant term of d^2 (local_density.h), of the newest one
    for (int64_t c = 0; c < C; ++c) {
      float sum = 0;
      for (int64_t d = 0; d < C; ++d)
        sum += metric[c * C + d] * (candidates[d * n + last] - centre[d]);
      transformed[c] = -2 * sum;
      own += 2.0 * sum * centre[c];
    }
    const auto offset = static_cast<float>(norms[last] + own);
    parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
      float d[kGrain];
      for (int64_t i = begin; i < end; ++i) d[i - begin] = norms[i] + offset;
      for (int64_t c = 0; c < C; ++c)
        for (int64_t i = begin; i < end; ++i)
          d[i - begin] += transformed[c] * candidates[c * n + i];
      for (int64_t i = begin; i < end; ++i) nearest[i] = std::min(nearest[i], d[i - begin]);
    });
    nearest[last] = -1;
    taken.push_back(std::max_element(nearest.begin(), nearest.end()) - nearest.begin());
  }
  std::sort(taken.begin(), taken.end());
  state_.bank.assign(C * size, 0);
  state_.image.clear();
  state_.place.clear();
  for (int64_t k = 0; k < size; ++k) {
    const int64_t row = rows[taken[k]];
    for (int64_t c = 0; c < C; ++c) state_.bank[c * size + k] = x[row * C + c];
    state_.image.push_back(static_cast<int>(row / cells));
    state_.place.push_back(static_cast<int>(row % cells));
  }
  state_.shape = s;
  state_.shape.n = static_cast<int>(size);
  // The metric of the candidates: k-centre picks outliers, so the bank's own covariance would be
  // too large.
  state_.centre = std::move(centre);
  state_.metric = std::move(metric);
}

LocalBank<float> Lpd::bank_view() const {
  return {state_.bank.data(), state_.metric.data(), state_.centre.data(), state_.norms.data(),
          state_.image.data()};
}

LocalKernel Lpd::kernel() const {
  if (state_.s == 0) return {};
  return {LocalKernel::Kind::log_sum_exp, state_.s};
}

// x (images, cells, C) -> (images, cells) squared distances.
std::vector<float> Lpd::distances(Context& ctx, const LocalKernel& kernel,
                                  const std::vector<float>& x, int images,
                                  bool leave_one_out) const {
  const int64_t C = state_.shape.C, cells = int64_t{grid_height()} * grid_width();
  LocalDensityShape s = state_.shape;
  std::vector<float> queries(x.size()), scores(images * cells), out(scores.size());
  std::vector<int> query_image;
  // Queries have the bank's layout: all images of a cell, or all cells of all images.
  s.m = static_cast<int>(state_.local ? images : images * cells);
  const int64_t groups = state_.local ? cells : 1;
  const auto row_of = [&](int64_t group, int64_t j) {
    return state_.local ? j * cells + group : j;
  };
  parallel_for(ctx, groups, [&](int64_t g) {
    for (int64_t j = 0; j < s.m; ++j)
      for (int64_t c = 0; c < C; ++c) queries[(g * C + c) * s.m + j] = x[row_of(g, j) * C + c];
  });
  if (leave_one_out)
    for (int64_t j = 0; j < s.m; ++j)
      query_image.push_back(static_cast<int>(state_.local ? j : j / cells));
  local_density<float>(ctx, s, kernel, bank_view(), queries.data(),
                       leave_one_out ? query_image.data() : nullptr, scores.data());
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t j = 0; j < s.m; ++j) out[row_of(g, j)] = scores[g * s.m + j];
  return out;
}

// Maximises the likelihood of the first 32 good images, each given all others, under a Gaussian of
// width s in C dimensions around each bank feature.
double Lpd::choose_bandwidth(Context& ctx, const std::vector<float>& x, int images) const {
  constexpr int kImages = 32, kValues = 12;
  const int C = state_.shape.C, some = std::min(kImages, images);
  const int64_t cells = int64_t{grid_height()} * grid_width();
  const std::vector<float> first(x.begin(), x.begin() + some * cells * C);
  std::vector<float> nearest = distances(ctx, {}, first, some, true);
  std::nth_element(nearest.begin(), nearest.begin() + nearest.size() / 2, nearest.end());
  // Points of a Gaussian in C dimensions lie at a distance of about s sqrt(C) from its mean.
  const double unit = std::sqrt(std::max(1e-12, double{nearest[nearest.size() / 2]}) / C);
  double best = unit, best_likelihood = -std::numeric_limits<double>::infinity();
  for (int v = 0; v < kValues; ++v) {
    const double s = unit * 0.25 * std::pow(16.0, v / (kValues - 1.0));  // .25 to 4 times
    double likelihood = -C * std::log(s) * static_cast<double>(nearest.size());
    for (const float d : distances(ctx, {LocalKernel::Kind::log_sum_exp, s}, first, some, true))
      likelihood -= d / (2 * s * s);
    if (likelihood > best_likelihood) {
      best_likelihood = likelihood;
      best = s;
    }
  }
  return best;
}

LpdMaps Lpd::maps(Context& ctx, std::vector<float> distances, std::vector<Pose> poses) const {
  const int height = grid_height(), width = grid_width();
  const int64_t cells = int64_t{height} * width;
  const auto n = static_cast<int64_t>(poses.size());
  LpdMaps out{std::move(distances), std::move(poses), std::vector<double>(n)};
  parallel_for(ctx, n, [&](int64_t i) {
    float* const map = out.cells.data() + i * cells;
    for (int64_t p = 0; p < cells; ++p) map[p] = std::sqrt(std::max(0.0f, map[p]));
    if (options_.smoothing > 0) {
      const int radius = std::max(1, static_cast<int>(4 * options_.smoothing + 0.5));
      const Planes smooth = blur({{map, map + cells}, height, width, 1},
                                 gaussian(options_.smoothing, radius), Edge::mirror);
      std::copy(smooth.values.begin(), smooth.values.end(), map);
    }
    out.score[i] = *std::max_element(map, map + cells);
  });
  return out;
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
  standardise(x, rows);

  std::vector<int> responses;
  for (size_t c = 0; c < state_.channel.size(); ++c)
    if (is_response(state_.channel[c], state_.filters.count))
      responses.push_back(static_cast<int>(c));
  state_.aligned_share =
      aligned_share(x, images, cells, static_cast<int64_t>(state_.channel.size()), responses);
  state_.local = options_.bank == "local" ||
                 (options_.bank == "auto" && state_.aligned_share >= kMinAlignedShare);
  if (state_.local)
    fit_local_bank(ctx, x, images);
  else
    fit_global_bank(ctx, x, images);
  const LocalDensityShape& s = state_.shape;
  if (state_.local) {
    state_.centre.resize(int64_t{s.cells()} * s.C);
    state_.metric.resize(int64_t{s.cells()} * s.C * s.C);
    local_metric<float>(ctx, s, options_.ridge, state_.bank.data(), state_.centre.data(),
                        state_.metric.data());
  }
  state_.norms.resize(int64_t{s.cells()} * s.window() * s.n);
  local_bank_norms<float>(ctx, s, state_.bank.data(), state_.metric.data(), state_.centre.data(),
                          state_.norms.data());
  if (options_.bandwidth == "loo")
    state_.s = choose_bandwidth(ctx, x, images);
  else if (options_.bandwidth != "nearest")
    state_.s = std::strtod(options_.bandwidth.c_str(), nullptr);

  LpdMaps out = maps(ctx, distances(ctx, kernel(), x, images, true), std::move(poses));
  state_.threshold = percentile(out.score, 100 * options_.quantile);
  std::vector<double> heat(out.cells.begin(), out.cells.end());
  state_.heat_scale = std::max(1e-9, 2 * percentile(heat, kHeatPercentile));
  return out;
}

LpdMaps Lpd::score(Context& ctx, const LpdImages& images) const {
  ASSAY_CHECK(images.side == state_.side,
              "lpd: images of {} pixels a side, but the model was fitted to {}", images.side,
              state_.side);
  LpdMaps out;
  for (size_t begin = 0; begin < images.count; begin += kChunk) {
    const size_t end = std::min(images.count, begin + kChunk);
    Crops crops = read_crops(ctx, images, begin, end, {});
    const int n = static_cast<int>(end - begin);
    const std::vector<float> x =
        standardised(features(ctx, crops.crops, state_.filters, options_.features),
                     n * int64_t{grid_height()} * grid_width());
    const LpdMaps part = maps(ctx, distances(ctx, kernel(), x, n, false), std::move(crops.poses));
    out.cells.insert(out.cells.end(), part.cells.begin(), part.cells.end());
    out.poses.insert(out.poses.end(), part.poses.begin(), part.poses.end());
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
      const double gx = std::clamp((column + 0.5) / kCell - 0.5, 0.0, width - 1.0);
      const double gy = std::clamp((row + 0.5) / kCell - 0.5, 0.0, height - 1.0);
      const int x0 = static_cast<int>(gx), y0 = static_cast<int>(gy);
      const int x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
      const auto fx = static_cast<float>(gx - x0), fy = static_cast<float>(gy - y0);
      const auto at = [&](int r, int c) { return cells[r * width + c]; };
      const float upper = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
      const float lower = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
      out[y * side + x] = upper + fy * (lower - upper);
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
  const int64_t cells = int64_t{grid_height()} * grid_width(), C = state_.shape.C;
  const std::vector<float> x =
      standardised(features(ctx, crops.crops, state_.filters, options_.features), cells);
  const LpdMaps scored = maps(ctx, distances(ctx, kernel(), x, 1, false), crops.poses);
  const int cell = static_cast<int>(std::max_element(scored.cells.begin(), scored.cells.end()) -
                                    scored.cells.begin());
  const float* q = x.data() + cell * C;
  const LocalDensityShape& s = state_.shape;
  const int bank_cell = state_.local ? cell : 0;
  Explanation out{.image = 0,
                  .distance = std::numeric_limits<double>::infinity(),
                  .cell = cell,
                  .nearest_cell = 0,
                  .pose = crops.poses[0]};
  const float* metric = state_.metric.data() + bank_cell * C * C;
  for (int k = 0; k < s.window(); ++k) {
    const int from = s.neighbour(bank_cell, k);
    for (int i = 0; i < s.n; ++i) {
      double d = 0;
      for (int64_t a = 0; a < C; ++a) {
        double row = 0;
        for (int64_t b = 0; b < C; ++b)
          row += double{metric[a * C + b]} * (double{q[b]} - state_.bank[(from * C + b) * s.n + i]);
        d += (double{q[a]} - state_.bank[(from * C + a) * s.n + i]) * row;
      }
      if (std::sqrt(std::max(0.0, d)) >= out.distance) continue;
      out.distance = std::sqrt(std::max(0.0, d));
      out.image = state_.image[i];
      out.nearest_cell = state_.local ? from : state_.place[i];
    }
  }
  return out;
}

}  // namespace assay
