#include "models/experiments/noise_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "data/noise.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/metrics.h"
#include "models/experiments/configure.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"
#include "models/run/data.h"

namespace assay {
namespace {

const std::vector<std::string> kSweepColumns = {
    "variance",         "share", "image_auroc", "image_auroc_low",
    "image_auroc_high", "f1",    "f1_low",      "f1_high"};

/// Scores of all images, every one with noise of this variance.
std::vector<double> noisy_scores(Detector& detector, const ImageStore& test, double variance) {
  RunConfig config = detector.config();
  config.noise_variance = variance;
  const std::vector<size_t> all = all_of(test);
  std::vector<double> scores;
  for_each_batch(config, test, all, variance > 0 ? all : std::vector<size_t>(),
                 [&](const Batch& batch) {
                   const Prediction prediction = detector.predict(batch.x);
                   for (size_t n = 0; n < batch.images.size(); ++n)
                     scores.push_back(scored(test.sample(batch.images[n]), "test",
                                             prediction.components[n], detector.scoring())
                                          .score);
                 });
  return scores;
}

/// Collects a metric over draws.
class DrawnSum {
 public:
  void add(double value) {
    metric_.mean += value;
    metric_.low = std::min(metric_.low, value);
    metric_.high = std::max(metric_.high, value);
    ++count_;
  }
  DrawnMetric metric() const { return {metric_.mean / count_, metric_.low, metric_.high}; }

 private:
  DrawnMetric metric_{0, std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
  int count_ = 0;
};

uint64_t seed_of_draw(uint64_t seed, int draw) {
  if (draw == 0) return seed;
  RandomSequence random(seed, RandomStream::noise, static_cast<uint64_t>(draw));
  const uint64_t high = random.bits();
  return high << 32 | random.bits();
}

}  // namespace

std::vector<NoisePoint> sweep_noise(Detector& detector, const ImageStore& test,
                                    const NoiseSweepOptions& options) {
  std::vector<uint8_t> labels;
  for (const Sample& sample : test.samples()) labels.push_back(sample.defective);
  const auto defective = std::count(labels.begin(), labels.end(), 1);
  if (defective == 0 || defective == static_cast<int64_t>(labels.size())) return {};
  const std::vector<double> clean = noisy_scores(detector, test, 0);
  const double threshold = detector.scoring().threshold;
  std::vector<NoisePoint> points;
  for (const double variance : options.variances) {
    const std::vector<double> noisy = variance > 0 ? noisy_scores(detector, test, variance) : clean;
    for (const double share : options.shares) {
      DrawnSum auroc_sum, f1_sum;
      const int draws = share > 0 && share < 1 ? options.draws : 1;
      for (int draw = 0; draw < draws; ++draw) {
        std::vector<double> scores = clean;
        for (const size_t i :
             draw_noisy_images(test.size(), seed_of_draw(detector.config().seed, draw), share))
          scores[i] = noisy[i];
        const std::vector<Level> levels = rank_scores(scores, labels);
        auroc_sum.add(auroc(levels).value());
        f1_sum.add(confusion_at(levels, threshold).f1().value());
      }
      points.push_back({variance, share, auroc_sum.metric(), f1_sum.metric()});
    }
  }
  return points;
}

std::vector<NoisePoint> sweep_noise(const RunConfig& config, const RunFolder& folder) {
  ASSAY_CHECK_AS(UsageError, !find_model(config.model).learns_from_defects,
                 "--noise-sweep: {} is cross-validated, so no test image is seen by one network "
                 "alone; sweep a model that learns from good images",
                 config.model);
  const std::unique_ptr<Detector> detector = load_detector(folder);
  const Dataset data = open_data_of(config, folder);
  const ImageStore test = read_images(config, data.test, false);
  std::vector<NoisePoint> points = sweep_noise(*detector, test);
  std::string text = csv_row(kSweepColumns);
  for (const NoisePoint& p : points) {
    std::vector<std::string> row;
    for (const double v : {p.variance, p.share, p.image_auroc.mean, p.image_auroc.low,
                           p.image_auroc.high, p.f1.mean, p.f1.low, p.f1.high})
      row.push_back(csv_number(v));
    text += csv_row(row);
  }
  write_file(folder.noise_sweep(), text);
  return points;
}

std::vector<NoisePoint> read_noise_sweep(const RunFolder& folder) {
  if (!std::filesystem::exists(folder.noise_sweep())) return {};
  const CsvTable table = read_csv(folder.noise_sweep());
  std::vector<std::vector<double>> columns;
  for (const std::string& name : kSweepColumns) columns.push_back(table.numbers(name));
  std::vector<NoisePoint> points;
  for (size_t i = 0; i < table.rows.size(); ++i)
    points.push_back({columns[0][i],
                      columns[1][i],
                      {columns[2][i], columns[3][i], columns[4][i]},
                      {columns[5][i], columns[6][i], columns[7][i]}});
  return points;
}

}  // namespace assay
