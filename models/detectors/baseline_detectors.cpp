#include "models/detectors/baseline_detectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "kernels/gemm/gemm.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/parallel.h"
#include "models/detectors/eigen.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

constexpr int kBlurRadius = 4;
constexpr int kThumbnail = 16;       // pixels a side
constexpr double kMinSpread = 0.01;  // 2.5 grey levels: smaller deviations are quantisation
constexpr size_t kMaxGramImages = 500;

/// images (n,H,W,C) as numbers in [0,1], one image after another.
std::vector<float> values_of(const ImageStore& store, const std::vector<size_t>& images) {
  std::vector<float> values;
  for (const size_t i : images)
    for (const uint8_t v : store.pixels(i)) values.push_back(static_cast<float>(v) / 255.0f);
  return values;
}

void check_count(size_t images) {
  ASSAY_CHECK_AS(DataError, images >= 2, "a baseline needs two good images to fit to, not {}",
                 images);
}

/// Means of each value over n rows of D values, summed in double.
std::vector<double> column_means(const std::vector<float>& rows, int64_t D) {
  std::vector<double> sums(static_cast<size_t>(D));
  for (size_t i = 0; i < rows.size(); ++i) sums[i % D] += rows[i];
  for (double& sum : sums) sum *= static_cast<double>(D) / static_cast<double>(rows.size());
  return sums;
}

/// Every `step`-th image, so that at most `most` are left.
std::vector<size_t> thinned(const std::vector<size_t>& images, size_t most) {
  const size_t n = std::min(images.size(), most);
  std::vector<size_t> kept;
  for (size_t i = 0; i < n; ++i) kept.push_back(images[i * images.size() / n]);
  return kept;
}

/// The mean over the channels of the squares, of each of `pixels` pixels.
std::vector<float> squared_map(std::span<const float> difference, int C) {
  std::vector<float> map(difference.size() / C);
  for (size_t i = 0; i < difference.size(); ++i)
    map[i / C] += difference[i] * difference[i] / static_cast<float>(C);
  return map;
}

/// Means over the boxes of side / 16 pixels; image (side,side,C) -> (16,16,C).
template <class T>
std::vector<float> thumbnail(std::span<const T> image, int side, int C, double unit) {
  const int box = side / kThumbnail;
  std::vector<double> sums(static_cast<size_t>(kThumbnail) * kThumbnail * C);
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < C; ++c)
        sums[((y / box) * kThumbnail + x / box) * C + c] +=
            static_cast<double>(image[(int64_t{y} * side + x) * C + c]);
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum * unit / (box * box)));
  return means;
}

}  // namespace

void check_baseline_options(const RunConfig& config) {
  ASSAY_CHECK_AS(UsageError,
                 config.image_size >= kThumbnail && config.image_size <= 1024 &&
                     config.image_size % kThumbnail == 0,
                 "{}: the image size {} must be a multiple of {} from {} to 1024", config.model,
                 config.image_size, kThumbnail, kThumbnail);
  ASSAY_CHECK_AS(UsageError, config.device == "cpu", "{}: runs on the CPU; leave out --device {}",
                 config.model, config.device);
}

std::vector<float> box_blurred(std::span<const float> map, int H, int W) {
  // Along rows, then along columns; double sums, so that the order of adding does not show.
  const auto pass = [](const std::vector<double>& in, int lines, int length, int64_t line_stride,
                       int64_t stride) {
    std::vector<double> out(in.size());
    for (int line = 0; line < lines; ++line)
      for (int i = 0; i < length; ++i) {
        const int first = std::max(0, i - kBlurRadius),
                  last = std::min(length - 1, i + kBlurRadius);
        double sum = 0;
        for (int k = first; k <= last; ++k) sum += in[line * line_stride + k * stride];
        out[line * line_stride + i * stride] = sum / (last - first + 1);
      }
    return out;
  };
  const std::vector<double> wide(map.begin(), map.end());
  const std::vector<double> blurred = pass(pass(wide, H, W, W, 1), W, H, 1, W);
  return {blurred.begin(), blurred.end()};
}

BaselineDetector::BaselineDetector(RunConfig config, const std::string& component)
    : Detector(std::move(config)) {
  scoring_.component_names = {component};
  scoring_.components_in_score = 1;
}

void BaselineDetector::save(const RunFolder& folder) const {
  SafeTensors file = state();
  file.metadata.merge(metadata());
  write_checked(folder.model(), std::move(file));
}

void BaselineDetector::load(const RunFolder& folder) {
  const SafeTensors file = read_model(folder);
  const std::string name = folder.model().string();
  set_state(ModelReader(file, name));
}

void MeanDetector::fit(const ImageStore& good, const std::vector<size_t>& images) {
  check_count(images.size());
  const std::vector<float> x = values_of(good, images);
  const std::vector<double> mean = column_means(x, values());
  std::vector<double> squares(mean.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - mean[i % mean.size()];
    squares[i % mean.size()] += d * d;
  }
  mean_.assign(mean.begin(), mean.end());
  deviation_.clear();
  for (const double sum : squares)
    deviation_.push_back(
        static_cast<float>(std::sqrt(sum / static_cast<double>(images.size() - 1))));
}

Prediction MeanDetector::predict(const Tensor& x) {
  const std::vector<float> images = x.to_floats();
  const int64_t N = x.dim(0), D = values();
  const int side = config_.image_size;
  Prediction prediction;
  prediction.components.resize(N);
  prediction.heat.resize(N * pixels());
  prediction.reconstruction.resize(N * D);
  parallel_for(current_context(), N, [&](int64_t n) {
    std::vector<float> z(D);
    for (int64_t i = 0; i < D; ++i)
      z[i] = static_cast<float>((images[n * D + i] - mean_[i]) / (deviation_[i] + kMinSpread));
    std::vector<float> map = squared_map(z, config_.channels());
    for (float& v : map) v = std::sqrt(v);
    const std::vector<float> heat = box_blurred(map, side, side);
    prediction.components[n] = {*std::max_element(heat.begin(), heat.end())};
    std::copy(heat.begin(), heat.end(), prediction.heat.begin() + n * pixels());
    std::copy(mean_.begin(), mean_.end(), prediction.reconstruction.begin() + n * D);
  });
  return prediction;
}

double MeanDetector::max_heat() const {
  return 1 / kMinSpread;
}

SafeTensors MeanDetector::state() const {
  const Shape shape = {config_.image_size, config_.image_size, config_.channels()};
  SafeTensors file;
  file.tensors["mean"] = stored(shape, mean_);
  file.tensors["deviation"] = stored(shape, deviation_);
  return file;
}

void MeanDetector::set_state(const ModelReader& read) {
  const Shape shape = {config_.image_size, config_.image_size, config_.channels()};
  mean_ = read.floats("mean", shape);
  deviation_ = read.floats("deviation", shape);
  ASSAY_CHECK_AS(CheckpointError,
                 std::all_of(deviation_.begin(), deviation_.end(), [](float v) { return v >= 0; }),
                 "{}: has a deviation below 0; train again with --force", read.name());
}

void PcaDetector::fit(const ImageStore& good, const std::vector<size_t>& images) {
  check_count(images.size());
  const std::vector<size_t> used = thinned(images, kMaxGramImages);
  std::vector<float> x = values_of(good, used);
  const int64_t D = values();
  const int n = static_cast<int>(used.size());
  const std::vector<double> mean = column_means(x, D);
  mean_.assign(mean.begin(), mean.end());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(x[i] - mean[i % D]);

  std::vector<float> gram(static_cast<size_t>(n) * n);
  Context& ctx = current_context();
  gemm<float>(ctx, {.M = n, .N = n, .K = static_cast<int>(D), .transpose_b = true}, {}, x.data(),
              x.data(), nullptr, gram.data());
  std::vector<double> symmetric(gram.size());
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      symmetric[i * n + j] = 0.5 * (double{gram[i * n + j]} + gram[j * n + i]);
  const SymmetricEigen eigen = symmetric_eigen(std::move(symmetric), n);

  // A direction below this share of the largest is rounding of the float product.
  constexpr double kMinShare = 1e-5;
  int K = 0;
  while (K < std::min(n - 1, config_.own<int>("components")) &&
         eigen.values[K] > kMinShare * eigen.values[0] && eigen.values[0] > 0)
    ++K;
  // Axis k is the sum over the images of eigenvector k's entries times the image, of length 1.
  const std::vector<float> weights(eigen.vectors.begin(), eigen.vectors.begin() + int64_t{K} * n);
  axes_.assign(K * D, 0.0f);
  if (K > 0)
    gemm<float>(ctx, {.M = K, .N = static_cast<int>(D), .K = n}, {}, weights.data(), x.data(),
                nullptr, axes_.data());
  for (int k = 0; k < K; ++k) {
    double squares = 0;
    for (int64_t i = k * D; i < (k + 1) * D; ++i) squares += double{axes_[i]} * axes_[i];
    for (int64_t i = k * D; i < (k + 1) * D; ++i)
      axes_[i] = static_cast<float>(axes_[i] / std::sqrt(squares));
  }
}

Prediction PcaDetector::predict(const Tensor& x) {
  const std::vector<float> images = x.to_floats();
  const int64_t N = x.dim(0), D = values(), K = components();
  const int side = config_.image_size, C = config_.channels();
  std::vector<float> centred(N * D);
  for (int64_t i = 0; i < N * D; ++i) centred[i] = images[i] - mean_[i % D];
  std::vector<float> coefficients(N * K);
  Prediction prediction;
  prediction.reconstruction.assign(N * D, 0.0f);
  const int rows = static_cast<int>(N), axes = static_cast<int>(K), columns = static_cast<int>(D);
  Context& ctx = current_context();
  if (K > 0) {
    gemm<float>(ctx, {.M = rows, .N = axes, .K = columns, .transpose_b = true}, {}, centred.data(),
                axes_.data(), nullptr, coefficients.data());
    gemm<float>(ctx, {.M = rows, .N = columns, .K = axes}, {}, coefficients.data(), axes_.data(),
                nullptr, prediction.reconstruction.data());
  }
  prediction.components.resize(N);
  prediction.heat.resize(N * pixels());
  parallel_for(ctx, N, [&](int64_t n) {
    std::vector<float> residual(D);
    double squares = 0;
    for (int64_t i = 0; i < D; ++i) {
      residual[i] = centred[n * D + i] - prediction.reconstruction[n * D + i];
      squares += double{residual[i]} * residual[i];
      prediction.reconstruction[n * D + i] =
          std::clamp(prediction.reconstruction[n * D + i] + mean_[i], 0.0f, 1.0f);
    }
    prediction.components[n] = {squares / static_cast<double>(D)};
    const std::vector<float> heat = box_blurred(squared_map(residual, C), side, side);
    std::copy(heat.begin(), heat.end(), prediction.heat.begin() + n * pixels());
  });
  return prediction;
}

double PcaDetector::max_heat() const {
  // A projection is no farther from the mean than the image is, so a residual can exceed 1.
  return std::numeric_limits<double>::max();
}

SafeTensors PcaDetector::state() const {
  SafeTensors file;
  file.tensors["mean"] = stored({values()}, mean_);
  file.tensors["axes"] = stored({components(), values()}, axes_);
  file.metadata["components"] = std::to_string(components());
  return file;
}

void PcaDetector::set_state(const ModelReader& read) {
  mean_ = read.floats("mean", {values()});
  axes_ = read.floats("axes", {read.whole("components", 0, kMaxGramImages), values()});
}

void NearestDetector::fit(const ImageStore& good, const std::vector<size_t>& images) {
  check_count(images.size());
  images_.clear();
  names_.clear();
  for (const size_t i : images) {
    images_.insert(images_.end(), good.pixels(i).begin(), good.pixels(i).end());
    names_.push_back(good.sample(i).path);
  }
  make_thumbnails();
}

void NearestDetector::make_thumbnails() {
  thumbnails_.clear();
  for (size_t at = 0; at < images_.size(); at += values()) {
    const std::vector<float> small =
        thumbnail(std::span(std::as_const(images_)).subspan(at, values()), config_.image_size,
                  config_.channels(), 1.0 / 255);
    thumbnails_.insert(thumbnails_.end(), small.begin(), small.end());
  }
}

NearestDetector::Match NearestDetector::nearest(std::span<const float> image) const {
  const std::vector<float> small = thumbnail(image, config_.image_size, config_.channels(), 1);
  Match best{0, std::numeric_limits<double>::max()};
  for (size_t i = 0; i * small.size() < thumbnails_.size(); ++i) {
    double squares = 0;
    for (size_t k = 0; k < small.size(); ++k) {
      const double d = double{small[k]} - thumbnails_[i * small.size() + k];
      squares += d * d;
    }
    if (squares < best.distance) best = {i, squares};
  }
  best.distance = std::sqrt(best.distance / static_cast<double>(small.size()));
  return best;
}

Prediction NearestDetector::predict(const Tensor& x) {
  const std::vector<float> images = x.to_floats();
  const int64_t N = x.dim(0), D = values();
  const int side = config_.image_size, C = config_.channels();
  Prediction prediction;
  prediction.components.resize(N);
  prediction.heat.resize(N * pixels());
  prediction.reconstruction.resize(N * D);
  parallel_for(current_context(), N, [&](int64_t n) {
    const std::span<const float> image = std::span(images).subspan(n * D, D);
    const Match match = nearest(image);
    prediction.components[n] = {match.distance};
    std::vector<float> difference(D);
    for (int64_t i = 0; i < D; ++i) {
      const float v = static_cast<float>(images_[match.image * D + i]) / 255.0f;
      prediction.reconstruction[n * D + i] = v;
      difference[i] = image[i] - v;
    }
    const std::vector<float> heat = box_blurred(squared_map(difference, C), side, side);
    std::copy(heat.begin(), heat.end(), prediction.heat.begin() + n * pixels());
  });
  return prediction;
}

std::optional<Explanation> NearestDetector::explain(std::span<const float> image) const {
  const Match match = nearest(image);
  const double side = config_.image_size, middle = (side - 1) / 2;
  const Patch whole{middle, middle, side};
  return Explanation{.patch = whole,
                     .nearest_image = names_.at(match.image),
                     .nearest = whole,
                     .distance = match.distance};
}

SafeTensors NearestDetector::state() const {
  SafeTensors file;
  file.tensors["images"] = {StoredType::u8,
                            {static_cast<int64_t>(names_.size()), config_.image_size,
                             config_.image_size, config_.channels()},
                            images_};
  file.metadata["images"] = fmt::format("{}", fmt::join(names_, "\n"));
  return file;
}

void NearestDetector::set_state(const ModelReader& read) {
  images_ = read.bytes("images", {config_.image_size, config_.image_size, config_.channels()});
  names_.clear();
  std::istringstream names(read.text("images"));
  for (std::string name; std::getline(names, name);) names_.push_back(name);
  ASSAY_CHECK_AS(
      CheckpointError,
      static_cast<int64_t>(names_.size()) * values() == static_cast<int64_t>(images_.size()),
      "{}: names {} of its {} images; train again with --force", read.name(), names_.size(),
      static_cast<int64_t>(images_.size()) / values());
  make_thumbnails();
}

}  // namespace assay
