#include "models/detectors/lpd/features.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/detectors/eigen.h"
#include "models/detectors/lpd/pose.h"

namespace assay {
namespace {

constexpr int kPatches = 60'000;  // of each scale
constexpr int kIcaSteps = 40;
constexpr int kArea = kFilterSide * kFilterSide;

/// Converts r, g, b to (r + g + b) / 3, r - g, b - (r + g) / 2.
Planes opponent(const Planes& rgb) {
  Planes out = rgb;
  for (size_t i = 0; i < out.values.size(); i += 3) {
    const float r = rgb.values[i], g = rgb.values[i + 1], b = rgb.values[i + 2];
    out.values[i] = (r + g + b) / 3;
    out.values[i + 1] = r - g;
    out.values[i + 2] = b - (r + g) / 2;
  }
  return out;
}

/// The scales of each crop: pyramids[crop][scale].
std::vector<std::vector<Planes>> pyramids(Context& ctx, std::span<const Planes> crops) {
  std::vector<std::vector<Planes>> all(crops.size());
  parallel_for(ctx, static_cast<int64_t>(crops.size()), [&](int64_t i) {
    all[i].push_back(opponent(crops[i]));
    for (int scale = 1; scale < kScales; ++scale) all[i].push_back(halve(all[i].back()));
  });
  return all;
}

/// Samples patches (kPatches, 75) of one scale, each (channel, y, x), without their mean per
/// channel.
std::vector<float> draw_patches(std::span<const std::vector<Planes>> images, int scale,
                                uint64_t seed) {
  const Planes& first = images.front()[scale];
  ASSAY_CHECK(first.height >= kFilterSide && first.width >= kFilterSide,
              "lpd: crops of {} x {} pixels are smaller than a filter at a quarter of their size",
              images.front()[0].height, images.front()[0].width);
  RandomSequence random(seed, RandomStream::patches, 1 + scale);
  std::vector<float> patches(size_t{kPatches} * kPatchValues);
  for (float* out = patches.data(); out < patches.data() + patches.size(); out += kPatchValues) {
    const Planes& p = images[random.below(static_cast<uint32_t>(images.size()))][scale];
    // Every second position, so that neighbouring patches overlap by about a half.
    const uint32_t rows = (p.height - kFilterSide) / 2 + 1,
                   columns = (p.width - kFilterSide) / 2 + 1;
    const uint32_t y = 2 * random.below(rows), x = 2 * random.below(columns);
    for (int c = 0; c < 3; ++c) {
      float sum = 0;
      for (int i = 0; i < kArea; ++i) {
        const float v = p.values[((y + i / kFilterSide) * p.width + x + i % kFilterSide) * 3 + c];
        out[c * kArea + i] = v;
        sum += v;
      }
      for (int i = 0; i < kArea; ++i) out[c * kArea + i] -= sum / kArea;
    }
  }
  return patches;
}

/// X^T Y / n of X (n,a) and Y (n,b); blocks of rows are summed in double.
std::vector<double> mean_product(Context& ctx, int n, int a, int b, const float* x,
                                 const float* y) {
  constexpr int kBlock = 2000;
  std::vector<double> mean(static_cast<size_t>(a) * b);
  std::vector<float> part(mean.size());
  for (int64_t i = 0; i < n; i += kBlock) {
    const GemmShape s{a, b, static_cast<int>(std::min<int64_t>(kBlock, n - i)), true, false};
    gemm<float>(ctx, s, {}, x + i * a, y + i * b, nullptr, part.data());
    for (size_t k = 0; k < mean.size(); ++k) mean[k] += static_cast<double>(part[k]) / n;
  }
  return mean;
}

/// The orthogonal matrix nearest to B (K,K): B (B^T B)^(-1/2).
std::vector<double> nearest_orthogonal(const std::vector<double>& B, int K) {
  std::vector<double> square(B.size()), root(B.size()), out(B.size());
  for (int i = 0; i < K; ++i)
    for (int j = 0; j < K; ++j)
      for (int k = 0; k < K; ++k) square[i * K + j] += B[k * K + i] * B[k * K + j];
  const SymmetricEigen e = symmetric_eigen(square, K);
  for (int i = 0; i < K; ++i)
    for (int j = 0; j < K; ++j)
      for (int k = 0; k < K; ++k)
        root[i * K + j] +=
            e.vectors[k * K + i] * e.vectors[k * K + j] / std::sqrt(std::max(e.values[k], 1e-300));
  for (int i = 0; i < K; ++i)
    for (int j = 0; j < K; ++j)
      for (int k = 0; k < K; ++k) out[i * K + j] += B[i * K + k] * root[k * K + j];
  return out;
}

double normal(RandomSequence& random) {
  const double u = 1 - static_cast<double>(random.uniform()), v = random.uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

/// Rotates the rows of `basis` (K,75), which whiten the patches, so that the responses are as far
/// from normal as possible (contrast log cosh).
std::vector<double> independent_rows(Context& ctx, const std::vector<float>& patches,
                                     const std::vector<double>& basis, int K, uint64_t seed) {
  const std::vector<float> whitening(basis.begin(), basis.end());
  std::vector<float> z(size_t{kPatches} * K), response(z.size());
  gemm<float>(ctx, {kPatches, K, kPatchValues, false, true}, {}, patches.data(), whitening.data(),
              nullptr, z.data());
  RandomSequence random(seed, RandomStream::patches, 100);
  std::vector<double> B(static_cast<size_t>(K) * K);
  for (double& b : B) b = normal(random);
  B = nearest_orthogonal(B, K);
  for (int step = 0; step < kIcaSteps; ++step) {
    const std::vector<float> turn(B.begin(), B.end());
    gemm<float>(ctx, {kPatches, K, K}, {}, z.data(), turn.data(), nullptr, response.data());
    parallel_blocks(ctx, static_cast<int64_t>(response.size()), 1 << 14,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) response[i] = std::tanh(response[i]);
                    });
    std::vector<double> slope(K);  // mean of 1 - tanh^2 of each component
    for (size_t i = 0; i < response.size(); ++i)
      slope[i % K] += (1 - double{response[i]} * response[i]) / kPatches;
    std::vector<double> next = mean_product(ctx, kPatches, K, K, z.data(), response.data());
    for (int i = 0; i < K; ++i)
      for (int j = 0; j < K; ++j) next[i * K + j] -= B[i * K + j] * slope[j];
    B = nearest_orthogonal(next, K);
  }
  std::vector<double> rows(basis.size());
  for (int i = 0; i < K; ++i)
    for (int k = 0; k < K; ++k)
      for (int v = 0; v < kPatchValues; ++v)
        rows[i * kPatchValues + v] += B[k * K + i] * basis[k * kPatchValues + v];
  return rows;
}

/// Filters (K,75) of length 1, each (channel, y, x).
std::vector<double> filter_rows(Context& ctx, std::span<const std::vector<Planes>> images,
                                int scale, const FeatureOptions& options, uint64_t seed) {
  const int K = options.count;
  std::vector<double> rows;
  if (options.filters == "random") {
    RandomSequence random(seed, RandomStream::patches, 1 + scale);
    for (int i = 0; i < K * kPatchValues; ++i) rows.push_back(normal(random));
  } else {
    const std::vector<float> patches = draw_patches(images, scale, seed);
    const SymmetricEigen e = symmetric_eigen(
        mean_product(ctx, kPatches, kPatchValues, kPatchValues, patches.data(), patches.data()),
        kPatchValues);
    rows.assign(e.vectors.begin(), e.vectors.begin() + int64_t{K} * kPatchValues);
    if (options.filters == "ica") {
      for (int i = 0; i < K; ++i)
        for (int v = 0; v < kPatchValues; ++v)
          rows[i * kPatchValues + v] /= std::sqrt(std::max(e.values[i], 1e-9));
      rows = independent_rows(ctx, patches, rows, K, seed);
    }
  }
  for (int i = 0; i < K; ++i) {
    double* const row = rows.data() + int64_t{i} * kPatchValues;
    const auto remove_means = [&] {
      for (double* channel = row; channel < row + kPatchValues; channel += kArea) {
        double mean = 0;
        for (int v = 0; v < kArea; ++v) mean += channel[v] / kArea;
        for (int v = 0; v < kArea; ++v) channel[v] -= mean;
      }
    };
    // Before normalising, because removing the mean shortens random vectors.
    if (options.filters == "random") remove_means();
    double length = 0;
    for (int v = 0; v < kPatchValues; ++v) length += row[v] * row[v];
    for (int v = 0; v < kPatchValues; ++v) row[v] /= std::sqrt(length);
    remove_means();
  }
  return rows;
}

/// Resamples a map that is reduced by 2^`scale` to the grid of cells: pooled, blurred, and averaged
/// over the diagonal of each 2 x 2.
Planes to_grid(const Planes& x, int scale) {
  if (scale == 2) return blur(x, gaussian(0.8, 2), Edge::repeat);
  const Planes soft = blur(scale == 0 ? halve(x) : x, gaussian(1.0, 3), Edge::repeat);
  Planes out{{}, soft.height / 2, soft.width / 2, soft.channels};
  out.values.reserve(static_cast<size_t>(out.height) * out.width * out.channels);
  for (int y = 0; y < out.height; ++y)
    for (int i = 0; i < out.width; ++i) {
      const float* upper =
          soft.values.data() + (int64_t{2 * y} * soft.width + 2 * i) * soft.channels;
      const float* lower = upper + int64_t{soft.width + 1} * soft.channels;
      for (int c = 0; c < soft.channels; ++c)
        out.values.push_back(0.5f * upper[c] + 0.5f * lower[c]);
    }
  return out;
}

/// The crops of one scale as (n, H+4, W+4, 3), their edges repeated by half a filter.
std::vector<float> padded(Context& ctx, std::span<const std::vector<Planes>> images, int scale) {
  constexpr int kPad = kFilterSide / 2;
  const int H = images.front()[scale].height, W = images.front()[scale].width;
  const int64_t row = 3 * (int64_t{W} + 2 * kPad), size = row * (H + 2 * kPad);
  std::vector<float> out(images.size() * size);
  parallel_for(ctx, static_cast<int64_t>(images.size()), [&](int64_t n) {
    const float* from = images[n][scale].values.data();
    for (int y = 0; y < H + 2 * kPad; ++y) {
      const float* line = from + int64_t{std::clamp(y - kPad, 0, H - 1)} * W * 3;
      float* to = out.data() + n * size + y * row;
      for (int x = 0; x < W + 2 * kPad; ++x)
        std::copy_n(line + 3 * std::clamp(x - kPad, 0, W - 1), 3, to + 3 * x);
    }
  });
  return out;
}

}  // namespace

Filters fit_filters(Context& ctx, std::span<const Planes> crops, const FeatureOptions& options,
                    uint64_t seed) {
  std::vector<std::vector<Planes>> images;
  if (options.filters != "random")
    images = pyramids(ctx, crops.first(std::min(kFitImages, crops.size())));
  Filters filters{.count = options.count, .weights = {}};
  for (int scale = 0; scale < kScales; ++scale) {
    const std::vector<double> rows = filter_rows(ctx, images, scale, options, seed);
    std::vector<float> weights(rows.size());  // (K, 5, 5, 3)
    for (int k = 0; k < options.count; ++k)
      for (int c = 0; c < 3; ++c)
        for (int i = 0; i < kArea; ++i)
          weights[(k * kArea + i) * 3 + c] =
              static_cast<float>(rows[k * kPatchValues + c * kArea + i]);
    filters.weights.push_back(std::move(weights));
  }
  return filters;
}

std::vector<float> features(Context& ctx, std::span<const Planes> crops, const Filters& filters,
                            const FeatureOptions& options) {
  if (crops.empty()) return {};
  const int K = filters.count, channels = feature_channels(K);
  const int64_t cells = int64_t{crops[0].height / kCell} * (crops[0].width / kCell);
  const auto images = pyramids(ctx, crops);
  std::vector<float> out(crops.size() * cells * channels);
  for (int scale = 0; scale < kScales; ++scale) {
    const int H = images[0][scale].height, W = images[0][scale].width;
    const int first = scale * (2 * K + 3);
    const std::vector<float> x = padded(ctx, images, scale);
    std::vector<float> response(crops.size() * H * W * K);  // (n, H, W, K)
    const Conv2dShape s{.N = static_cast<int>(crops.size()),
                        .H = H + kFilterSide - 1,
                        .W = W + kFilterSide - 1,
                        .C = 3,
                        .K = K,
                        .R = kFilterSide,
                        .S = kFilterSide};
    conv2d_fprop<float>(ctx, s, {}, x.data(), filters.weights[scale].data(), nullptr,
                        response.data(), nullptr);
    parallel_for(ctx, static_cast<int64_t>(crops.size()), [&](int64_t n) {
      Planes signs{std::vector<float>(int64_t{H} * W * 2 * K), H, W, 2 * K};
      const float* r = response.data() + n * H * W * K;
      float* to = signs.values.data();
      for (int64_t i = 0; i < int64_t{H} * W; ++i, r += K, to += 2 * K)
        for (int k = 0; k < K; ++k) {
          to[k] = std::max(r[k], 0.0f);
          to[K + k] = std::max(-r[k], 0.0f);
        }
      const Planes pooled = to_grid(signs, scale);
      const Planes colour = to_grid(blur(images[n][scale], gaussian(0.7, 2), Edge::repeat), scale);
      const auto floor = static_cast<float>(options.floor),
                 power = static_cast<float>(options.power);
      for (int64_t cell = 0; cell < cells; ++cell) {
        float* at = out.data() + (n * cells + cell) * channels + first;
        for (int k = 0; k < 2 * K; ++k)
          at[k] = std::pow(pooled.values[cell * 2 * K + k] + floor, power);
        std::copy_n(colour.values.data() + cell * 3, 3, at + 2 * K);
      }
    });
  }
  return out;
}

}  // namespace assay
