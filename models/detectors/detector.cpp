#include "models/detectors/detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "data/findings.h"
#include "models/run/csv.h"
#include "models/run/reader.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

constexpr const char* kVersion = "1";
constexpr double kScalePercentile = 99.9;

class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& entries, const std::string& source)
      : entries_(entries), source_(source) {}
  const std::string& text(const std::string& key) const {
    const auto found = entries_.find(key);
    ASSAY_CHECK_AS(CheckpointError, found != entries_.end(),
                   "{}: its metadata say no '{}'; it was not written by 'assay train'", source_,
                   key);
    return found->second;
  }
  /// A finite number >= `min`.
  double number(const std::string& key,
                double min = -std::numeric_limits<double>::infinity()) const {
    const std::string& digits = text(key);
    const std::optional<double> value = parse_number(digits);
    ASSAY_CHECK_AS(CheckpointError, value && *value >= min,
                   "{}: its metadata say {} '{:.40}', which cannot be; train again with --force",
                   source_, key, digits);
    return *value;
  }
  int64_t count(const std::string& key, double min) const {
    const double value = number(key, min);
    ASSAY_CHECK_AS(CheckpointError, value <= 1e9 && value == std::floor(value),
                   "{}: its metadata say {} {}, which is no count; train again with --force",
                   source_, key, value);
    return static_cast<int64_t>(value);
  }
  /// Finite numbers with spaces between them.
  std::vector<double> numbers(const std::string& key) const {
    std::vector<double> values;
    std::istringstream in(text(key));
    for (double value; in >> value;) values.push_back(value);
    ASSAY_CHECK_AS(CheckpointError, in.eof() && !values.empty(),
                   "{}: its metadata say {} that are no numbers; train again with --force", source_,
                   key);
    return values;
  }
  /// Refuses a model file that does not fit the config.json beside it.
  void expect(const std::string& key, const std::string& wanted) const {
    ASSAY_CHECK_AS(CheckpointError, text(key) == wanted,
                   "{}: is of {} {}, but config.json beside it says {}", source_, key, text(key),
                   wanted);
  }

 private:
  const std::map<std::string, std::string>& entries_;
  const std::string& source_;
};

/// Deviation of the reconstructions from image to image, root mean square over their values.
double output_deviation(const std::vector<Prediction>& predictions) {
  size_t N = 0, values = 0;
  for (const Prediction& p : predictions) N += p.components.size();
  for (const Prediction& p : predictions) values = p.reconstruction.size() / p.components.size();
  double variance = 0;
  for (size_t i = 0; i < values; ++i) {
    double sum = 0, squares = 0;
    for (const Prediction& p : predictions)
      for (size_t at = i; at < p.reconstruction.size(); at += values) {
        sum += p.reconstruction[at];
        squares += double{p.reconstruction[at]} * p.reconstruction[at];
      }
    const double mean = sum / static_cast<double>(N);
    variance += std::max(0.0, squares / static_cast<double>(N) - mean * mean);
  }
  return std::sqrt(variance / static_cast<double>(values));
}

}  // namespace

void Detector::calibrate_on(const std::vector<Prediction>& held_out_good) {
  std::vector<std::vector<double>> components(scoring_.component_names.size());
  std::vector<double> heat;
  for (const Prediction& prediction : held_out_good) {
    for (const std::vector<double>& image : prediction.components)
      for (size_t p = 0; p < components.size(); ++p) components[p].push_back(image[p]);
    heat.insert(heat.end(), prediction.heat.begin(), prediction.heat.end());
  }
  scoring_.calibration = calibrate(std::span(components).first(scoring_.components_in_score));
  std::vector<double> scores;
  for (const Prediction& prediction : held_out_good)
    for (const std::vector<double>& image : prediction.components)
      scores.push_back(
          scoring_.calibration.score(std::span(image).first(scoring_.components_in_score)));
  keep_good_scores(std::move(scores));
  set_threshold(threshold_rule(config_));
  collapsed_ = config_.untrained    ? false  // there was nothing to learn
               : must_reconstruct() ? output_deviation(held_out_good) < kCollapsedDeviation
                                    : scoring_.calibration.is_constant(0);
  // Twice the 99.9th percentile, so that good images stay dark.
  heat_scale_ = std::clamp(2 * percentile(heat, kScalePercentile), 1e-9, max_heat());
}

void Detector::note_sizes(const ImageStore& training) {
  training_size_ = typical_size(training.file_sizes());
}

void Detector::keep_good_scores(std::vector<double> scores) {
  std::sort(scores.begin(), scores.end());
  scoring_.good_scores = std::move(scores);
}

std::map<std::string, std::string> Detector::metadata() const {
  std::map<std::string, std::string> m = {{"version", kVersion},
                                          {"model", config_.model},
                                          {"preset", config_.preset},
                                          {"image_size", std::to_string(config_.image_size)},
                                          {"channels", std::to_string(config_.channels())},
                                          {"seed", std::to_string(config_.seed)},
                                          {"threshold", csv_number(scoring_.threshold)},
                                          {"collapsed", collapsed_ ? "1" : "0"}};
  if (training_size_.height > 0) {
    m["training_width"] = std::to_string(training_size_.width);
    m["training_height"] = std::to_string(training_size_.height);
  }
  if (!scoring_.good_scores.empty()) {
    std::vector<std::string> scores;
    for (const double score : scoring_.good_scores) scores.push_back(csv_number(score));
    m["good_scores"] = fmt::format("{}", fmt::join(scores, " "));
  }
  if (scoring_.rule == Scoring::Rule::mean) return m;
  m["percentile99"] = csv_number(scoring_.calibration.percentile99);
  m["calibration_images"] = std::to_string(scoring_.calibration.components.front().count);
  m["heat_scale"] = csv_number(heat_scale_);
  for (size_t p = 0; p < scoring_.components_in_score; ++p) {
    m[scoring_.component_names[p] + ".mean"] = csv_number(scoring_.calibration.components[p].mean);
    m[scoring_.component_names[p] + ".deviation"] =
        csv_number(scoring_.calibration.components[p].deviation);
  }
  return m;
}

void Detector::read_metadata(const std::map<std::string, std::string>& entries,
                             const std::string& source) {
  const Metadata m(entries, source);
  ASSAY_CHECK_AS(CheckpointError, m.text("version") == kVersion,
                 "{}: has version {:.40} of the format, and this program reads {}; use the program "
                 "that trained it",
                 source, m.text("version"), kVersion);
  m.expect("model", config_.model);
  m.expect("preset", config_.preset);
  m.expect("image_size", std::to_string(config_.image_size));
  m.expect("channels", std::to_string(config_.channels()));
  scoring_.threshold = m.number("threshold");
  scoring_.threshold_rule = threshold_rule(config_);
  if (entries.contains("training_width"))
    training_size_ = {static_cast<int>(m.number("training_width", 1)),
                      static_cast<int>(m.number("training_height", 1))};
  if (entries.contains("good_scores")) keep_good_scores(m.numbers("good_scores"));
  collapsed_ = m.text("collapsed") == "1";
  if (scoring_.rule == Scoring::Rule::mean) return;
  scoring_.calibration.percentile99 = m.number("percentile99");
  heat_scale_ = m.number("heat_scale", 1e-300);
  scoring_.calibration.components.clear();
  for (const std::string& component :
       std::span(scoring_.component_names).first(scoring_.components_in_score))
    scoring_.calibration.components.push_back({m.number(component + ".mean"),
                                               m.number(component + ".deviation", 0),
                                               m.count("calibration_images", 2)});
}

SafeTensors Detector::read_model(const RunFolder& folder) {
  const std::string file = folder.model().string();
  ASSAY_CHECK_AS(CheckpointError, is_there(file),
                 "{}: not there; the training has not ended, go on with --resume", file);
  SafeTensors model = read_checked(file);
  read_metadata(model.metadata, file);
  return model;
}

}  // namespace assay
