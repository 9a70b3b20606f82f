#include "models/detectors/lpd_detector.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "models/detectors/model_reader.h"
#include "models/run/csv.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

struct odd {
  void operator()(const std::string& flag, int value) const {
    ASSAY_CHECK_AS(UsageError, value >= 1 && value <= 9 && value % 2 == 1,
                   "{}: {} is none of 1, 3, 5, 7, 9", flag, value);
  }
};

struct between {
  double low, high;
  void operator()(const std::string& flag, double value) const {
    ASSAY_CHECK_AS(UsageError, value >= low && value <= high, "{}: {} is not from {} to {}", flag,
                   value, low, high);
  }
};

struct known_bandwidth {
  void operator()(const std::string& flag, const std::string& value) const {
    if (value == "nearest" || value == "loo") return;
    char* end = nullptr;
    const double s = std::strtod(value.c_str(), &end);
    ASSAY_CHECK_AS(UsageError, !value.empty() && *end == '\0' && s >= 1e-3 && s <= 1e3,
                   "{}: '{}' is neither nearest, loo nor a number from 0.001 to 1000", flag, value);
  }
};

LpdOptions options_of(const RunConfig& config) {
  return {.seed = config.seed,
          .features = {.filters = config.own<std::string>("filters"),
                       .count = config.own<int>("filter_count"),
                       .power = config.own<double>("power"),
                       .floor = config.own<double>("floor")},
          .places = {.seed = config.seed,
                     .bank = config.own<std::string>("bank"),
                     .bank_size = config.own<int>("bank_size"),
                     .window = config.own<int>("window"),
                     .ridge = config.own<double>("ridge"),
                     .bandwidth = config.own<std::string>("bandwidth"),
                     .smoothing = config.own<double>("smoothing")},
          .pose = config.own<std::string>("pose"),
          .quantile = config.own<double>("quantile")};
}

/// Converts one image (side,side,channels) to three channels.
void to_colour(const float* image, int channels, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = channels == 3 ? image[i] : image[i / 3];
}

}  // namespace

std::vector<Option> lpd_options() {
  const auto text = [](const char* name, const char* initial, auto check, const char* help) {
    return own_option(name, std::string(initial), check, help);
  };
  return {
      text("filters", "pca", one_of{{"pca", "ica", "random"}},
           "pca | ica | random: where the filters come from; random ones are the control"),
      own_option("filter_count", 12, between{1, 75}, "filters of each scale"),
      own_option("power", 0.4, between{0.01, 4}, "power of a pooled filter response"),
      own_option("floor", 0.002, between{1e-9, 1}, "added to a response before the power"),
      text("pose", "auto", one_of{{"auto", "always", "never"}},
           "auto | always | never: crop objects in one pose"),
      text("bank", "auto", one_of{{"auto", "local", "global"}},
           "auto | local | global: compare with the same position, or with any"),
      own_option("bank_size", 2000, between{2, 10'000}, "features of a global bank"),
      own_option("window", 3, odd{},
                 "side of the window to compare with, in cells of 4 pixels of the crop"),
      own_option("ridge", 1.0, positive{}, "added to the covariance of each cell"),
      text("bandwidth", "nearest", known_bandwidth{},
           "bandwidth of the kernel density: nearest, loo or a number"),
      own_option("smoothing", 0.8, between{0, 10}, "deviation of the blur of the scores, cells"),
      own_option("quantile", 0.95, between{0, 1},
                 "quantile of the good images' leave-one-out scores that is the threshold"),
  };
}

void check_lpd_options(const RunConfig& config) {
  ASSAY_CHECK_AS(UsageError,
                 config.image_size >= 64 && config.image_size <= 1024 && config.image_size % 8 == 0,
                 "lpd: the image size {} must be a multiple of 8 from 64 to 1024",
                 config.image_size);
}

LpdDetector::LpdDetector(RunConfig config)
    : Detector(std::move(config)), lpd_(options_of(config_)) {
  scoring_.rule = Scoring::Rule::mean;  // the mean of the only component is that component
  scoring_.component_names = {"distance"};
  scoring_.components_in_score = 1;
}

double LpdDetector::max_heat() const {
  return std::numeric_limits<double>::max();
}

void LpdDetector::take_over(const LpdState& state) {
  scoring_.threshold = state.threshold;
  scoring_.own_rule = fmt::format("quantile {} of the leave-one-out scores of {} good images",
                                  lpd_.options().quantile, images_.size());
  heat_scale_ = state.heat_scale;
}

std::vector<double> LpdDetector::learn(const ImageStore& good, const std::vector<size_t>& images) {
  const LpdImages source{images.size(), config_.image_size, [&](size_t i, std::span<float> out) {
                           const auto pixels = good.pixels(images[i]);
                           const int channels = config_.channels();
                           for (size_t k = 0; k < out.size(); ++k)
                             out[k] =
                                 static_cast<float>(pixels[channels == 3 ? k : k / 3]) / 255.0f;
                         }};
  const LpdMaps maps = lpd_.fit(current_context(), source);
  images_.clear();
  for (const size_t i : images) images_.push_back(good.sample(i).path);
  take_over(lpd_.state());
  keep_good_scores(maps.score);
  set_threshold(threshold_rule(config_));
  const auto [min, max] = std::minmax_element(maps.score.begin(), maps.score.end());
  collapsed_ = *max - *min < 1e-6 * *max;
  return maps.score;
}

Prediction LpdDetector::predict(const Tensor& x) {
  const std::vector<float> values = x.to_floats();
  const int side = config_.image_size, channels = config_.channels();
  const int64_t pixels = int64_t{side} * side, N = x.dim(0);
  const LpdImages images{static_cast<size_t>(N), side, [&](size_t i, std::span<float> out) {
                           to_colour(values.data() + i * pixels * channels, channels, out);
                         }};
  Context& ctx = current_context();
  const LpdMaps maps = lpd_.score(ctx, images);
  const int64_t cells = int64_t{lpd_.grid_height()} * lpd_.grid_width();
  Prediction prediction;
  for (const double score : maps.score) prediction.components.push_back({score});
  prediction.heat.resize(N * pixels);
  parallel_for(ctx, N, [&](int64_t n) {
    const std::vector<float> heat =
        lpd_.heat(std::span(maps.cells).subspan(n * cells, cells), maps.poses[n]);
    std::copy(heat.begin(), heat.end(), prediction.heat.begin() + n * pixels);
  });
  return prediction;
}

std::optional<Explanation> LpdDetector::explain(std::span<const float> image) const {
  constexpr double kCells = 5;  // receptive field of the coarsest filters, in cells
  std::vector<float> colour(int64_t{config_.image_size} * config_.image_size * 3);
  to_colour(image.data(), config_.channels(), colour);
  const Lpd::Explanation why = lpd_.explain(current_context(), colour);
  const auto patch = [&](int cell, const Pose& pose) {
    const CropPoint at = lpd_.cell_in_image(cell, pose);
    return Patch{at.column, at.row, kCells * lpd_.cell_side()};
  };
  return Explanation{.patch = patch(why.cell, why.pose),
                     .nearest_image = images_.at(why.nearest.image),
                     .nearest = patch(why.nearest.cell, lpd_.state().poses.at(why.nearest.image)),
                     .distance = why.nearest.distance};
}

void LpdDetector::save(const RunFolder& folder) const {
  const LpdState& s = lpd_.state();
  SafeTensors file{{}, metadata()};
  file.metadata["heat_scale"] = csv_number(s.heat_scale);
  file.metadata["posed"] = std::to_string(int{s.posed});
  file.metadata["crop_height"] = std::to_string(s.crop.height);
  file.metadata["crop_width"] = std::to_string(s.crop.width);
  file.metadata["images"] = fmt::format("{}", fmt::join(images_, "\n"));
  for (int scale = 0; scale < kScales; ++scale)
    file.tensors[fmt::format("filters.{}", scale)] =
        stored({s.filters.count, kFilterSide, kFilterSide, 3}, s.filters.weights[scale]);
  std::vector<double> poses;
  for (const Pose& pose : s.poses) poses.insert(poses.end(), {pose.angle, pose.x, pose.y});
  file.tensors["poses"] = StoredTensor::of({static_cast<int64_t>(s.poses.size()), 3}, poses);
  lpd_.places().save(file);
  write_checked(folder.model(), std::move(file));
}

void LpdDetector::load(const RunFolder& folder) {
  const SafeTensors file = read_model(folder);
  const std::string name = folder.model().string();
  const ModelReader read(file, name);
  LpdState s;
  s.side = config_.image_size;
  s.threshold = scoring_.threshold;
  s.heat_scale = read.number("heat_scale", 1e-300, 1e300);
  s.posed = read.whole("posed", 0, 1) == 1;
  s.crop = {read.whole("crop_height", 4 * kCell, 4 * s.side),
            read.whole("crop_width", 4 * kCell, 4 * s.side)};
  ASSAY_CHECK_AS(CheckpointError, s.crop.height % kCell == 0 && s.crop.width % kCell == 0,
                 "{}: its crop of {} x {} is no grid of cells; train again with --force", name,
                 s.crop.height, s.crop.width);
  s.filters.count = lpd_.options().features.count;
  for (int scale = 0; scale < kScales; ++scale)
    s.filters.weights.push_back(read.floats(fmt::format("filters.{}", scale),
                                            {s.filters.count, kFilterSide, kFilterSide, 3}));
  images_.clear();
  std::istringstream lines(read.text("images"));
  for (std::string line; std::getline(lines, line);) images_.push_back(line);
  const std::vector<double> poses = read.doubles("poses");
  ASSAY_CHECK_AS(CheckpointError, poses.size() == 3 * images_.size(),
                 "{}: has {} poses of {} images; train again with --force", name, poses.size() / 3,
                 images_.size());
  for (size_t i = 0; i < images_.size(); ++i)
    s.poses.push_back({.angle = poses[3 * i], .x = poses[3 * i + 1], .y = poses[3 * i + 2]});
  PlaceDensity places(lpd_.options().places);
  places.load(file, name, s.crop.height / kCell, s.crop.width / kCell,
              feature_channels(s.filters.count));
  for (const int image : places.state().image)
    ASSAY_CHECK_AS(CheckpointError, image < static_cast<int>(images_.size()),
                   "{}: its bank has features without an image; train again with --force", name);
  take_over(s);
  lpd_.set_state(std::move(s), std::move(places));
}

}  // namespace assay
