#include "models/evaluation/scoring.h"

#include <numeric>

#include "kernels/runtime/error.h"
#include "models/evaluation/intervals.h"
#include "models/evaluation/metrics.h"
#include "models/run/csv.h"

namespace assay {
namespace {

const char* label_of(bool defective) {
  return defective ? "defective" : "good";
}

std::vector<uint8_t> labels_of(const std::vector<ScoredImage>& images) {
  std::vector<uint8_t> labels;
  for (const ScoredImage& image : images) labels.push_back(image.defective);
  return labels;
}

CalibrationMetrics calibration_metrics(const Scoring& scoring, const std::vector<Level>& levels) {
  const Calibration& calibration = scoring.calibration;
  CalibrationMetrics metrics{
      .components = {},
      .images = calibration.components.front().count,
      .percentile99 = calibration.percentile99,
      .f1_percentile99 = confusion_at(levels, calibration.percentile99).f1()};
  for (size_t p = 0; p < scoring.components_in_score; ++p)
    metrics.components.push_back({scoring.component_names[p], calibration.components[p].mean,
                                  calibration.components[p].deviation});
  return metrics;
}

}  // namespace

void Scoring::set_threshold(const ThresholdRule& new_rule) {
  threshold_rule = new_rule;
  const auto check_scores = [&](const char* option) {
    ASSAY_CHECK_AS(UsageError, !good_scores.empty(),
                   "{}: the model keeps no scores of held-out good images (an earlier version "
                   "trained it); train it again, or give --threshold",
                   option);
  };
  switch (new_rule.kind) {
    case ThresholdRule::Kind::own:
      return;
    case ThresholdRule::Kind::fixed:
      threshold = new_rule.value;
      return;
    case ThresholdRule::Kind::deviations: {
      threshold = new_rule.value;  // a score in deviations
      if (rule == Rule::deviations) return;
      check_scores("--k");
      const MeanDeviation good = mean_deviation(good_scores);
      threshold = good.mean + new_rule.value * good.deviation;
      return;
    }
    case ThresholdRule::Kind::rate:
      check_scores("--target-fpr");
      threshold = promised_rate(good_scores, new_rule.value).threshold;
  }
}

std::string Scoring::threshold_text() const {
  const auto deviations = [&](double k) {
    return fmt::format("{} deviations above the mean of {} held-out good images", k,
                       rule == Rule::deviations ? calibration.components.front().count
                                                : static_cast<int64_t>(good_scores.size()));
  };
  switch (threshold_rule.kind) {
    case ThresholdRule::Kind::fixed:
      return "given by --threshold";
    case ThresholdRule::Kind::deviations:
      return deviations(threshold_rule.value);
    case ThresholdRule::Kind::rate:
      break;
    default:
      return own_rule.empty() ? deviations(threshold) : own_rule;
  }
  const PromisedRate promise = promised_rate(good_scores, threshold_rule.value);
  std::string text = fmt::format(
      "number {} of {} held-out good scores, from the highest: of good images at most {:.2g} % are "
      "called defective, for this draw of them {:.2g} to {:.2g} % (95 %)",
      promise.position, good_scores.size(), 100 * promise.rate, 100 * promise.interval.low,
      100 * promise.interval.high);
  if (!promise.kept)
    text += fmt::format("; {} images cannot promise the {:.2g} % asked for, {:.2g} % is the least",
                        good_scores.size(), 100 * threshold_rule.value, 100 * promise.rate);
  return text;
}

void Scoring::predict(ScoredImage& image) const {
  if (rule == Rule::deviations) {
    image.score = calibration.score(std::span(image.components).first(components_in_score));
  } else {
    image.score = std::accumulate(image.components.begin(), image.components.end(), 0.0) /
                  static_cast<double>(image.components.size());
  }
  image.predicted_defective = is_defective(image.score);
}

void write_scores(const std::filesystem::path& file, const std::vector<ScoredImage>& images,
                  const Scoring& scoring) {
  std::vector<std::string> header = {"path", "label", "defect", "score", "predicted"};
  header.insert(header.end(), scoring.component_names.begin(), scoring.component_names.end());
  header.push_back("set");
  std::string text = csv_row(header);
  for (const ScoredImage& image : images) {
    std::vector<std::string> row = {image.path, label_of(image.defective), image.defect,
                                    csv_number(image.score), label_of(image.predicted_defective)};
    for (const double component : image.components) row.push_back(csv_number(component));
    row.push_back(image.set);
    text += csv_row(row);
  }
  write_file(file, text);
}

void predict_again(const std::filesystem::path& file, const Scoring& scoring) {
  CsvTable table = read_csv(file);
  const std::vector<double> scores = table.numbers("score");
  const size_t predicted = table.column("predicted");
  std::string text = csv_row(table.columns);
  for (size_t i = 0; i < scores.size(); ++i) {
    table.rows[i][predicted] = label_of(scoring.is_defective(scores[i]));
    text += csv_row(table.rows[i]);
  }
  write_file(file, text);
}

DetectorMetrics detector_metrics(const RunConfig& config, const Scoring& scoring,
                                 const std::vector<ScoredImage>& test,
                                 const std::optional<PixelMetrics>& pixels, const RunFacts& facts) {
  const std::vector<uint8_t> labels = labels_of(test);
  std::vector<double> scores;
  for (const ScoredImage& image : test) scores.push_back(image.score);
  const std::vector<Level> levels = rank_scores(scores, labels);
  const ImageMetrics at_threshold = image_metrics(levels, scoring.threshold);
  const Confusion& confusion = at_threshold.confusion;
  const ScoredImages scored[] = {{scores, labels, scoring.threshold}};

  DetectorMetrics m;
  static_cast<CommonMetrics&>(m) = metrics_of(config);
  m.train_noise = config.train_noise;
  m.test_noise = config.test_noise;
  m.image_auroc = at_threshold.auroc;
  m.image_ap = at_threshold.average_precision;
  m.f1 = confusion.f1();
  m.f1_all_positive = at_threshold.f1_all_positive;
  m.threshold = at_threshold.threshold;
  m.threshold_rule = scoring.threshold_text();
  m.precision_at_threshold = confusion.precision();
  m.recall = confusion.recall();
  m.accuracy = confusion.accuracy();
  m.balanced_accuracy = confusion.balanced_accuracy();
  if (at_threshold.f1_max) {
    m.f1_max = at_threshold.f1_max->f1;
    m.threshold_f1_max = at_threshold.f1_max->threshold;
  }
  m.fpr95 = at_threshold.fpr95;
  m.tp = confusion.tp;
  m.fp = confusion.fp;
  m.tn = confusion.tn;
  m.fn = confusion.fn;
  if (pixels) {
    m.pixel_auroc = pixels->auroc;
    m.pixel_ap = pixels->average_precision;
    m.aupro = pixels->aupro;
    if (pixels->auroc_error) {
      m.pixel_auroc_error = pixels->auroc_error;
      m.pixel_auroc_degrees = pixels->auroc_degrees;
      const PixelValue seeds[] = {{*pixels->auroc, *pixels->auroc_error, pixels->auroc_degrees}};
      if (const auto sure = pixel_estimate(seeds, m.defective_images()))
        m.pixel_auroc_interval = sure->interval;
    }
  }
  if (const auto sure = estimate(ScoreMetric::auroc, scored)) m.auroc_interval = sure->interval;
  if (const auto sure = estimate(ScoreMetric::f1, scored)) m.f1_interval = sure->interval;
  for (size_t p = 0; p < scoring.component_names.size(); ++p) {
    std::vector<double> values;
    for (const ScoredImage& image : test) values.push_back(image.components[p]);
    m.components.push_back({scoring.component_names[p], auroc(rank_scores(values, labels))});
  }
  if (scoring.rule == Scoring::Rule::deviations)
    m.calibration = calibration_metrics(scoring, levels);
  m.seconds_train = facts.seconds_train;
  m.epochs = facts.epochs;
  m.steps = facts.steps;
  m.best_epoch = facts.best_epoch;
  m.best_validation_loss = facts.best_validation_loss;
  m.train_images = facts.train_images;
  m.validation_images = facts.validation_images;
  m.test_images = static_cast<int64_t>(test.size());
  m.has_collapsed = facts.collapsed;
  return m;
}

}  // namespace assay
