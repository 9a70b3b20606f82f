#include "models/detectors/lpd/place_density.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "kernels/runtime/error.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/philox.h"
#include "kernels/runtime/transfer.h"
#include "models/detectors/lpd/planes.h"
#include "models/detectors/model_reader.h"
#include "models/evaluation/statistics.h"
#include "models/run/csv.h"

namespace assay {
namespace {

constexpr double kMinDeviation = 1e-4;  // of a feature that is kept: grey images have no colour
constexpr double kHeatPercentile = 99.9;

/// Values of the host where a context's kernels find them: on the CPU they stay where they are, for
/// a CUDA device they are copied. On the CPU the vector outlives this. T may be const.
template <class T>
class OnDevice {
 public:
  OnDevice(Context& ctx, std::span<T> values) : ctx_(ctx), values_(values) {
    if (!ctx.device.is_cuda()) return;
    copy_ = Scratch(ctx, values.size_bytes());
    copy_bytes(ctx, copy_.as<void>(), ctx.device, values.data(), Device::cpu(),
               values.size_bytes());
  }
  T* get() const { return ctx_.device.is_cuda() ? copy_.as<T>() : values_.data(); }
  /// Copies what a kernel has written back to the host.
  void fetch() const {
    if (ctx_.device.is_cuda())
      copy_bytes(ctx_, values_.data(), Device::cpu(), get(), ctx_.device, values_.size_bytes());
  }

 private:
  Context& ctx_;
  std::span<T> values_;
  Scratch copy_;
};

void fit_metric(Context& ctx, const LocalDensityShape& s, double ridge,
                const std::vector<float>& bank, std::vector<float>& centre,
                std::vector<float>& metric) {
  centre.resize(int64_t{s.cells()} * s.C);
  metric.resize(int64_t{s.cells()} * s.C * s.C);
  const OnDevice<const float> features(ctx, bank);
  const OnDevice<float> c(ctx, centre), m(ctx, metric);
  local_metric<float>(ctx, s, ridge, features.get(), c.get(), m.get());
  c.fetch();
  m.fetch();
}

void fit_norms(Context& ctx, const LocalDensityShape& s, const std::vector<float>& bank,
               const std::vector<float>& metric, const std::vector<float>& centre,
               std::vector<float>& norms) {
  norms.resize(int64_t{s.cells()} * s.window() * s.n);
  const OnDevice<const float> features(ctx, bank), m(ctx, metric), c(ctx, centre);
  const OnDevice<float> n(ctx, norms);
  local_bank_norms<float>(ctx, s, features.get(), m.get(), c.get(), n.get());
  n.fetch();
}

}  // namespace

/// A fitted bank as a context's kernels find it.
struct PlaceDensity::ResidentBank {
  ResidentBank(Context& ctx, const PlaceDensityState& s)
      : context(&ctx),
        features(ctx, s.bank),
        metric(ctx, s.metric),
        centre(ctx, s.centre),
        norms(ctx, s.norms),
        image(ctx, s.image) {}
  LocalBank<float> view() const {
    return {features.get(), metric.get(), centre.get(), norms.get(), image.get()};
  }
  const Context* context;
  OnDevice<const float> features, metric, centre, norms;
  OnDevice<const int> image;
};

std::shared_ptr<const PlaceDensity::ResidentBank> PlaceDensity::resident(Context& ctx) const {
  if (!ctx.device.is_cuda()) return std::make_shared<ResidentBank>(ctx, state_);
  if (resident_ == nullptr || resident_->context != &ctx)
    resident_ = std::make_shared<ResidentBank>(ctx, state_);
  return resident_;
}

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

void PlaceDensity::standardise(std::vector<float>& all, int64_t rows) {
  const int channels = static_cast<int>(static_cast<int64_t>(all.size()) / rows);
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
                 "the good images are all of one colour; there is nothing to learn");
  all = standardised(all, rows);
}

std::vector<float> PlaceDensity::standardised(const std::vector<float>& all, int64_t rows) const {
  const int channels = static_cast<int>(static_cast<int64_t>(all.size()) / rows);
  const size_t C = state_.channel.size();
  std::vector<float> out(rows * C);
  for (int64_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < C; ++c)
      out[r * C + c] =
          (all[r * channels + state_.channel[c]] - state_.mean[c]) / state_.deviation[c];
  return out;
}

void PlaceDensity::fit_local_bank(Context& ctx, const std::vector<float>& x, int images) {
  const int64_t C = static_cast<int64_t>(state_.channel.size());
  LocalDensityShape& s = state_.shape;
  s = {.height = state_.height,
       .width = state_.width,
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
void PlaceDensity::fit_global_bank(Context& ctx, const std::vector<float>& x, int images) {
  constexpr int64_t kCandidates = 10'000;
  const int64_t C = static_cast<int64_t>(state_.channel.size());
  const int64_t cells = int64_t{state_.height} * state_.width, total = images * cells;
  RandomSequence random(options_.seed, RandomStream::patches, 200);
  std::vector<int64_t> rows(total);
  std::iota(rows.begin(), rows.end(), 0);
  random.shuffle(rows);
  const int64_t n = std::min(kCandidates, total);
  rows.resize(n);
  std::sort(rows.begin(), rows.end());
  std::vector<float> candidates(C * n), centre, metric, norms;  // (C, n)
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < C; ++c) candidates[c * n + i] = x[rows[i] * C + c];
  LocalDensityShape s{.height = 1,
                      .width = 1,
                      .radius = 0,
                      .n = static_cast<int>(n),
                      .m = 0,
                      .C = static_cast<int>(C)};
  fit_metric(ctx, s, options_.ridge, candidates, centre, metric);
  fit_norms(ctx, s, candidates, metric, centre, norms);
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

LocalKernel PlaceDensity::kernel() const {
  if (state_.s == 0) return {};
  return {LocalKernel::Kind::log_sum_exp, state_.s};
}

// x (images, cells, C) -> (images, cells) squared distances.
std::vector<float> PlaceDensity::distances(Context& ctx, const LocalKernel& kernel,
                                           const std::vector<float>& x, int images,
                                           bool leave_one_out) const {
  const int64_t C = state_.shape.C, cells = int64_t{state_.height} * state_.width;
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
  const auto bank = resident(ctx);
  const OnDevice<const float> q(ctx, queries);
  const OnDevice<const int> own(ctx, query_image);
  const OnDevice<float> result(ctx, scores);
  local_density<float>(ctx, s, kernel, bank->view(), q.get(), leave_one_out ? own.get() : nullptr,
                       result.get());
  result.fetch();
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t j = 0; j < s.m; ++j) out[row_of(g, j)] = scores[g * s.m + j];
  return out;
}

// Maximises the likelihood of the first 32 good images, each given all others, under a Gaussian of
// width s in C dimensions around each bank feature.
double PlaceDensity::choose_bandwidth(Context& ctx, const std::vector<float>& x, int images) const {
  constexpr int kImages = 32, kValues = 12;
  const int C = state_.shape.C, some = std::min(kImages, images);
  const int64_t cells = int64_t{state_.height} * state_.width;
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

CellScores PlaceDensity::smoothed(Context& ctx, std::vector<float> distances, int images) const {
  const int height = state_.height, width = state_.width;
  const int64_t cells = int64_t{height} * width;
  CellScores out{std::move(distances), std::vector<double>(images)};
  parallel_for(ctx, images, [&](int64_t i) {
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

CellScores PlaceDensity::fit(Context& ctx, std::vector<float> features, int images, int height,
                             int width, const std::function<bool(int channel)>& counts) {
  state_ = {};
  resident_ = nullptr;
  state_.height = height;
  state_.width = width;
  const int64_t cells = int64_t{height} * width;
  standardise(features, images * cells);
  std::vector<int> counted;
  for (size_t c = 0; c < state_.channel.size(); ++c)
    if (counts(state_.channel[c])) counted.push_back(static_cast<int>(c));
  state_.aligned_share =
      aligned_share(features, images, cells, static_cast<int64_t>(state_.channel.size()), counted);
  state_.local = options_.bank == "local" ||
                 (options_.bank == "auto" && state_.aligned_share >= kMinAlignedShare);
  if (state_.local)
    fit_local_bank(ctx, features, images);
  else
    fit_global_bank(ctx, features, images);
  const LocalDensityShape& s = state_.shape;
  if (state_.local) fit_metric(ctx, s, options_.ridge, state_.bank, state_.centre, state_.metric);
  fit_norms(ctx, s, state_.bank, state_.metric, state_.centre, state_.norms);
  if (options_.bandwidth == "loo")
    state_.s = choose_bandwidth(ctx, features, images);
  else if (options_.bandwidth != "nearest")
    state_.s = std::strtod(options_.bandwidth.c_str(), nullptr);
  return smoothed(ctx, distances(ctx, kernel(), features, images, true), images);
}

CellScores PlaceDensity::score(Context& ctx, const std::vector<float>& features, int images) const {
  const std::vector<float> x =
      standardised(features, int64_t{images} * state_.height * state_.width);
  return smoothed(ctx, distances(ctx, kernel(), x, images, false), images);
}

PlaceDensity::Nearest PlaceDensity::nearest(const std::vector<float>& features, int cell) const {
  const std::vector<float> x = standardised(features, int64_t{state_.height} * state_.width);
  const LocalDensityShape& s = state_.shape;
  const int64_t C = s.C;
  const float* q = x.data() + cell * C;
  const int bank_cell = state_.local ? cell : 0;
  const float* metric = state_.metric.data() + bank_cell * C * C;
  Nearest out{.image = 0, .cell = 0, .distance = std::numeric_limits<double>::infinity()};
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
      out = {.image = state_.image[i],
             .cell = state_.local ? from : state_.place[i],
             .distance = std::sqrt(std::max(0.0, d))};
    }
  }
  return out;
}

void PlaceDensity::save(SafeTensors& file) const {
  const PlaceDensityState& s = state_;
  const int64_t C = s.shape.C, cells = s.shape.cells(), n = s.shape.n;
  file.metadata["local"] = std::to_string(int{s.local});
  file.metadata["window"] = std::to_string(2 * s.shape.radius + 1);
  file.metadata["bank"] = std::to_string(n);
  file.metadata["bandwidth"] = csv_number(s.s);
  file.metadata["aligned_share"] = csv_number(s.aligned_share);
  file.tensors["channel"] = stored(s.channel);
  file.tensors["mean"] = stored({C}, s.mean);
  file.tensors["deviation"] = stored({C}, s.deviation);
  file.tensors["features"] = stored({cells, C, n}, s.bank);
  file.tensors["image"] = stored(s.image);
  file.tensors["place"] = stored(s.place);
  file.tensors["centre"] = stored({cells, C}, s.centre);
  file.tensors["metric"] = stored({cells, C, C}, s.metric);
  file.tensors["norms"] = stored({cells, s.shape.window(), n}, s.norms);
}

void PlaceDensity::load(const SafeTensors& file, const std::string& source, int height, int width,
                        int channels) {
  const ModelReader read(file, source);
  constexpr int kMaxBank = 1 << 20;
  PlaceDensityState s;
  s.height = height;
  s.width = width;
  s.local = read.whole("local", 0, 1) == 1;
  s.s = read.number("bandwidth", 0, 1e6);
  s.aligned_share = read.number("aligned_share", -1, 2);
  s.channel = read.indices("channel", channels);
  const auto C = static_cast<int64_t>(s.channel.size());
  s.shape = {.height = s.local ? height : 1,
             .width = s.local ? width : 1,
             .radius = read.whole("window", 1, 9) / 2,
             .n = read.whole("bank", 1, kMaxBank),
             .m = 0,
             .C = static_cast<int>(C)};
  const int64_t cells = s.shape.cells(), n = s.shape.n;
  s.mean = read.floats("mean", {C});
  s.deviation = read.floats("deviation", {C});
  s.bank = read.floats("features", {cells, C, n});
  s.image = read.indices("image", kMaxBank);
  s.place = read.indices("place", height * width);
  ASSAY_CHECK_AS(CheckpointError,
                 C > 0 && static_cast<int64_t>(s.image.size()) == n &&
                     static_cast<int64_t>(s.place.size()) == (s.local ? 0 : n),
                 "{}: its bank has features without an image or place; train again with --force",
                 source);
  s.centre = read.floats("centre", {cells, C});
  s.metric = read.floats("metric", {cells, C, C});
  s.norms = read.floats("norms", {cells, s.shape.window(), n});
  ASSAY_CHECK_AS(CheckpointError,
                 std::all_of(s.norms.begin(), s.norms.end(), [](float v) { return v >= 0; }),
                 "{}: 'norms' has a squared length below 0; train again with --force", source);
  state_ = std::move(s);
  resident_ = nullptr;
}

double heat_scale_of(const CellScores& good) {
  const std::vector<double> heat(good.cells.begin(), good.cells.end());
  return std::max(1e-9, 2 * percentile(heat, kHeatPercentile));
}

float value_between_cells(std::span<const float> cells, int height, int width, double row,
                          double column) {
  const double gx = std::clamp(column, 0.0, width - 1.0), gy = std::clamp(row, 0.0, height - 1.0);
  const int x0 = static_cast<int>(gx), y0 = static_cast<int>(gy);
  const int x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
  const auto fx = static_cast<float>(gx - x0), fy = static_cast<float>(gy - y0);
  const auto at = [&](int r, int c) { return cells[r * width + c]; };
  const float upper = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
  const float lower = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
  return upper + fy * (lower - upper);
}

}  // namespace assay
