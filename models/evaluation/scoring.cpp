#include "models/evaluation/scoring.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "kernels/runtime/error.h"
#include "kernels/runtime/transfer.h"
#include "models/evaluation/metrics.h"
#include "models/run/csv.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

const char* label_of(bool defective) {
  return defective ? "defective" : "good";
}

std::vector<uint8_t> labels_of(const std::vector<ScoredImage>& images) {
  std::vector<uint8_t> labels;
  for (const ScoredImage& image : images) labels.push_back(image.defective);
  return labels;
}

Json calibration_json(const Scoring& scoring) {
  Json json;
  for (size_t p = 0; p < scoring.deciding; ++p) {
    const MeanDeviation& part = scoring.calibration.parts[p];
    json[scoring.part_names[p]] = {{"mean", part.mean}, {"deviation", part.deviation}};
  }
  json["images"] = scoring.calibration.parts.front().count;
  json["percentile99"] = scoring.calibration.percentile99;
  return json;
}

/// F1 at another threshold, and the AUROC of each part alone.
void add_alternatives(Json& json, const Scoring& scoring, const std::vector<ScoredImage>& test,
                      const std::vector<Level>& levels, const std::vector<uint8_t>& labels) {
  if (scoring.rule == Scoring::Rule::deviations) {
    const double percentile99 = scoring.calibration.percentile99;
    json["threshold_percentile99"] = percentile99;
    json["f1_percentile99"] = json_of(confusion_at(levels, percentile99).f1());
  }
  for (size_t p = 0; p < scoring.part_names.size(); ++p) {
    std::vector<double> values;
    for (const ScoredImage& image : test) values.push_back(image.parts[p]);
    json["auroc_" + scoring.part_names[p]] = json_of(auroc(rank_scores(values, labels)));
  }
}

std::string number(const Json& value) {
  return value.is_null() ? "n/a" : fmt::format("{:.3f}", value.get<double>());
}

std::string interval(const Json& value) {
  return value.is_null() ? "" : fmt::format(" [{}, {}]", number(value[0]), number(value[1]));
}

/// Why there is no AUROC.
std::string missing_kind(const Json& m) {
  const bool defective = m["tp"].get<int64_t>() + m["fn"].get<int64_t>() > 0;
  return fmt::format(": the test set has no {} picture", defective ? "good" : "defective");
}

}  // namespace

Json json_of(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}
Json json_of(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json(nullptr);
}

void Scoring::judge(ScoredImage& image) const {
  if (rule == Rule::deviations) {
    image.score = calibration.score(std::span(image.parts).first(deciding));
  } else {
    image.score = std::accumulate(image.parts.begin(), image.parts.end(), 0.0) /
                  static_cast<double>(image.parts.size());
  }
  image.predicted_defective = image.score > threshold;
}

void write_scores(const std::filesystem::path& file, const std::vector<ScoredImage>& images,
                  const Scoring& scoring) {
  std::vector<std::string> header = {"path", "label", "defect", "score", "predicted"};
  header.insert(header.end(), scoring.part_names.begin(), scoring.part_names.end());
  header.push_back("set");
  std::string text = csv_row(header);
  for (const ScoredImage& image : images) {
    std::vector<std::string> row = {image.path, label_of(image.defective), image.defect,
                                    csv_number(image.score), label_of(image.predicted_defective)};
    for (const double part : image.parts) row.push_back(csv_number(part));
    row.push_back(image.set);
    text += csv_row(row);
  }
  write_file(file, text);
}

Json metrics_json(const RunConfig& config, const Scoring& scoring,
                  const std::vector<ScoredImage>& test, const std::optional<PixelMetrics>& pixels,
                  const RunFacts& facts) {
  const std::vector<uint8_t> labels = labels_of(test);
  std::vector<double> scores;
  for (const ScoredImage& image : test) scores.push_back(image.score);
  const std::vector<Level> levels = rank_scores(scores, labels);
  const ImageMetrics m = image_metrics(levels, scoring.threshold);
  const BootstrapIntervals intervals =
      bootstrap({scores, scoring.threshold}, labels, {.seed = config.seed});

  Json json = {{"model", config.model},
               {"preset", config.preset},
               {"class", config.object_class},
               {"data", config.data},
               {"synthetic", config.data == "builtin"},
               {"seed", config.seed},
               {"device", device_name(current_context().device)},
               {"precision", config.precision},
               {"conditions", {{"train", config.train_noise}, {"test", config.test_noise}}}};
  json["image_auroc"] = json_of(m.auroc);
  json["image_ap"] = json_of(m.average_precision);
  json["f1"] = json_of(m.confusion.f1());
  json["f1_all_positive"] = json_of(m.f1_all_positive);
  json["threshold"] = m.threshold;
  json["precision_score"] = json_of(m.confusion.precision());
  json["recall"] = json_of(m.confusion.recall());
  json["accuracy"] = json_of(m.confusion.accuracy());
  json["balanced_accuracy"] = json_of(m.confusion.balanced_accuracy());
  json["f1_max"] = m.f1_max ? Json(m.f1_max->f1) : Json(nullptr);
  json["threshold_f1_max"] = m.f1_max ? Json(m.f1_max->threshold) : Json(nullptr);
  json["fpr95"] = json_of(m.fpr95);
  json["tp"] = m.confusion.tp;
  json["fp"] = m.confusion.fp;
  json["tn"] = m.confusion.tn;
  json["fn"] = m.confusion.fn;
  const PixelMetrics none;
  const PixelMetrics& pixel = pixels ? *pixels : none;
  json["pixel_auroc"] = json_of(pixel.auroc);
  json["pixel_ap"] = json_of(pixel.average_precision);
  json["aupro"] = json_of(pixel.aupro);
  json["intervals"] = {{"image_auroc", json_of(intervals.auroc)}, {"f1", json_of(intervals.f1)}};
  add_alternatives(json, scoring, test, levels, labels);
  if (scoring.rule == Scoring::Rule::deviations) json["calibration"] = calibration_json(scoring);
  json["seconds_train"] = facts.seconds_train;
  json["epochs"] = facts.epochs;
  json["steps"] = facts.steps;
  json["best_epoch"] = facts.best_epoch;
  json["best_validation_loss"] = facts.best_validation_loss;
  json["images"] = {{"train", facts.train_images},
                    {"validation", facts.validation_images},
                    {"test", test.size()}};
  json["collapsed"] = facts.collapsed;
  return json;
}

std::string summary_of(const Json& m) {
  std::string text = fmt::format(
      "{} on {}{}, seed {}\n  image AUROC  {}{}{}\n  F1           {}{}  at s > {}; calling every "
      "image defective: {}\n  oracle F1    {}  (threshold chosen on the test images)\n",
      m["model"].get<std::string>(), m["class"].get<std::string>(),
      m["synthetic"].get<bool>() ? " (synthetic)" : "", m["seed"].get<uint64_t>(),
      number(m["image_auroc"]), interval(m["intervals"]["image_auroc"]),
      m["image_auroc"].is_null() ? missing_kind(m) : "  (95 % bootstrap interval)", number(m["f1"]),
      interval(m["intervals"]["f1"]), number(m["threshold"]), number(m["f1_all_positive"]),
      number(m["f1_max"]));
  if (!m["pixel_auroc"].is_null())
    text +=
        fmt::format("  pixel AUROC  {}, AUPRO {}\n", number(m["pixel_auroc"]), number(m["aupro"]));
  for (const auto& [key, value] : m.items())
    if (key.rfind("auroc_", 0) == 0)
      text += fmt::format("  AUROC of {} alone: {}\n", key.substr(6), number(value));
  return text;
}

}  // namespace assay
