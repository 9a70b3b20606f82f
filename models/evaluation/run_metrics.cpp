#include "models/evaluation/run_metrics.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/runtime/error.h"
#include "kernels/runtime/transfer.h"
#include "models/run/reader.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Interval> read_interval(const JsonReader& in, const char* key) {
  if (in.is_null(key)) return std::nullopt;
  const std::vector<double> ends = in.numbers(key);
  if (ends.size() != 2 || !(0 <= ends[0] && ends[0] <= ends[1] && ends[1] <= 1))
    in.refuse(key, "is no interval [low, high] from 0 to 1");
  return Interval{ends[0], ends[1]};
}

std::optional<SeedSummary> read_summary(const JsonReader& in, const char* key) {
  if (in.is_null(key)) return std::nullopt;
  const JsonReader of = in.object(key);
  return SeedSummary{of.number("mean"), of.metric("deviation"), 0};
}

constexpr const char* kAurocPrefix = "auroc_";

void read_common(const JsonReader& in, CommonMetrics& m) {
  m.model = in.text("model");
  m.preset = in.text("preset");
  m.object_class = in.text("class");
  m.data = in.text("data");
  m.is_synthetic = in.flag("synthetic");
  m.seed = in.unsigned_count("seed");
  m.device = in.text("device");
  m.precision = in.text("precision");
  m.seconds_train = in.number("seconds_train");
  m.epochs = in.count("epochs");
  m.steps = in.count("steps");
  const JsonReader images = in.object("images");
  m.train_images = images.count("train");
  m.validation_images = images.count("validation");
  if (images.has("sizes")) m.image_sizes = images.text("sizes");
  m.has_collapsed = in.flag("collapsed");
}

Json begin_json(const CommonMetrics& m) {
  return {{"model", m.model},   {"preset", m.preset},          {"class", m.object_class},
          {"data", m.data},     {"synthetic", m.is_synthetic}, {"seed", m.seed},
          {"device", m.device}, {"precision", m.precision}};
}

Json calibration_json(const CalibrationMetrics& calibration) {
  Json json;
  for (const CalibrationMetrics::Component& c : calibration.components)
    json[c.name] = {{"mean", c.mean}, {"deviation", c.deviation}};
  json["images"] = calibration.images;
  json["percentile99"] = calibration.percentile99;
  return json;
}

CalibrationMetrics read_calibration(const JsonReader& in) {
  CalibrationMetrics calibration;
  const JsonReader json = in.object("calibration");
  for (const std::string& key : json.keys()) {
    if (key == "images" || key == "percentile99") continue;
    const JsonReader component = json.object(key);
    calibration.components.push_back(
        {key, component.number("mean"), component.number("deviation")});
  }
  calibration.images = json.count("images");
  calibration.percentile99 = json.number("percentile99");
  calibration.f1_percentile99 = in.rate("f1_percentile99");
  return calibration;
}

Json fold_json(const FoldMetrics& fold) {
  return {{"image_auroc", json_of(fold.image_auroc)},
          {"f1", json_of(fold.f1)},
          {"f1_all_positive", json_of(fold.f1_all_positive)},
          {"val_threshold", fold.validation_threshold},
          {"f1_val_threshold", json_of(fold.f1_validation_threshold)},
          {"train", fold.train_images},
          {"validation", fold.validation_images},
          {"test", fold.test_images},
          {"epochs", fold.epochs},
          {"steps", fold.steps},
          {"best_epoch", fold.best_epoch},
          {"best_validation_loss", fold.best_validation_loss},
          {"seconds_train", fold.seconds_train}};
}

FoldMetrics read_fold(const JsonReader& in) {
  return {.image_auroc = in.rate("image_auroc"),
          .f1 = in.rate("f1"),
          .f1_all_positive = in.rate("f1_all_positive"),
          .validation_threshold = in.number("val_threshold"),
          .f1_validation_threshold = in.rate("f1_val_threshold"),
          .train_images = in.count("train"),
          .validation_images = in.count("validation"),
          .test_images = in.count("test"),
          .epochs = in.count("epochs"),
          .steps = in.count("steps"),
          .best_epoch = in.count("best_epoch"),
          .best_validation_loss = in.number("best_validation_loss"),
          .seconds_train = in.number("seconds_train")};
}

CrossValidationMetrics read_cross_validation(const JsonReader& in) {
  CrossValidationMetrics result;
  for (const JsonReader& fold : in.objects("folds")) result.folds.push_back(read_fold(fold));
  result.f1_validation_threshold = in.rate("f1_val_threshold");
  const JsonReader summary = in.object("folds_summary");
  result.image_auroc = read_summary(summary, "image_auroc");
  result.f1 = read_summary(summary, "f1");
  result.fold_f1_validation_threshold = read_summary(summary, "f1_val_threshold");
  return result;
}

DetectorMetrics read_detector(const JsonReader& in) {
  DetectorMetrics m;
  read_common(in, m);
  const JsonReader conditions = in.object("conditions");
  m.train_noise = conditions.text("train");
  m.test_noise = conditions.text("test");
  m.image_auroc = in.rate("image_auroc");
  m.image_ap = in.rate("image_ap");
  m.f1 = in.rate("f1");
  m.f1_all_positive = in.rate("f1_all_positive");
  m.threshold = in.number("threshold");
  if (in.has("threshold_rule")) m.threshold_rule = in.text("threshold_rule");
  m.precision_at_threshold = in.rate("precision_score");
  m.recall = in.rate("recall");
  m.accuracy = in.rate("accuracy");
  m.balanced_accuracy = in.rate("balanced_accuracy");
  m.f1_max = in.rate("f1_max");
  m.threshold_f1_max = in.metric("threshold_f1_max");
  m.fpr95 = in.rate("fpr95");
  m.tp = in.count("tp");
  m.fp = in.count("fp");
  m.tn = in.count("tn");
  m.fn = in.count("fn");
  m.pixel_auroc = in.rate("pixel_auroc");
  m.pixel_ap = in.rate("pixel_ap");
  m.aupro = in.rate("aupro");
  if (in.has("absent") && in.object("absent").has("pixel_metrics"))
    m.why_no_pixel_metrics = in.object("absent").text("pixel_metrics");
  const JsonReader intervals = in.object("intervals");
  m.auroc_interval = read_interval(intervals, "image_auroc");
  m.f1_interval = read_interval(intervals, "f1");
  if (in.has("pixel_auroc_error")) {
    m.pixel_auroc_error = in.rate("pixel_auroc_error");
    m.pixel_auroc_degrees = in.number("pixel_auroc_degrees");
    if (*m.pixel_auroc_degrees < 1) in.refuse("pixel_auroc_degrees", "is less than 1");
  }
  if (intervals.has("pixel_auroc"))
    m.pixel_auroc_interval = read_interval(intervals, "pixel_auroc");
  for (const std::string& key : in.keys())
    if (key.starts_with(kAurocPrefix))
      m.components.push_back({key.substr(std::string(kAurocPrefix).size()), in.rate(key)});
  if (in.has("calibration")) m.calibration = read_calibration(in);
  m.best_epoch = in.count("best_epoch");
  m.best_validation_loss = in.number("best_validation_loss");
  m.test_images = in.object("images").count("test");
  if (in.has("heat_scale")) m.heat_scale = in.number("heat_scale");
  if (in.has("folds")) m.cross_validation = read_cross_validation(in);
  return m;
}

Json detector_json(const DetectorMetrics& m) {
  Json json = begin_json(m);
  json["conditions"] = {{"train", m.train_noise}, {"test", m.test_noise}};
  json["image_auroc"] = json_of(m.image_auroc);
  json["image_ap"] = json_of(m.image_ap);
  json["f1"] = json_of(m.f1);
  json["f1_all_positive"] = json_of(m.f1_all_positive);
  json["threshold"] = m.threshold;
  if (!m.threshold_rule.empty()) json["threshold_rule"] = m.threshold_rule;
  json["precision_score"] = json_of(m.precision_at_threshold);
  json["recall"] = json_of(m.recall);
  json["accuracy"] = json_of(m.accuracy);
  json["balanced_accuracy"] = json_of(m.balanced_accuracy);
  json["f1_max"] = json_of(m.f1_max);
  json["threshold_f1_max"] = json_of(m.threshold_f1_max);
  json["fpr95"] = json_of(m.fpr95);
  json["tp"] = m.tp;
  json["fp"] = m.fp;
  json["tn"] = m.tn;
  json["fn"] = m.fn;
  json["pixel_auroc"] = json_of(m.pixel_auroc);
  if (m.pixel_auroc_error) {
    json["pixel_auroc_error"] = *m.pixel_auroc_error;
    json["pixel_auroc_degrees"] = *m.pixel_auroc_degrees;
  }
  json["pixel_ap"] = json_of(m.pixel_ap);
  json["aupro"] = json_of(m.aupro);
  if (const std::string why = m.why_no_image_metrics(); !why.empty())
    json["absent"]["image_metrics"] = why;
  if (!m.why_no_pixel_metrics.empty()) json["absent"]["pixel_metrics"] = m.why_no_pixel_metrics;
  json["intervals"] = {{"image_auroc", json_of(m.auroc_interval)}, {"f1", json_of(m.f1_interval)}};
  if (m.pixel_auroc_interval) json["intervals"]["pixel_auroc"] = json_of(m.pixel_auroc_interval);
  if (m.calibration) {
    json["threshold_percentile99"] = m.calibration->percentile99;
    json["f1_percentile99"] = json_of(m.calibration->f1_percentile99);
  }
  for (const ComponentAuroc& c : m.components) json[kAurocPrefix + c.name] = json_of(c.auroc);
  if (m.calibration) json["calibration"] = calibration_json(*m.calibration);
  json["seconds_train"] = m.seconds_train;
  json["epochs"] = m.epochs;
  json["steps"] = m.steps;
  json["best_epoch"] = m.best_epoch;
  json["best_validation_loss"] = m.best_validation_loss;
  json["images"] = {
      {"train", m.train_images}, {"validation", m.validation_images}, {"test", m.test_images}};
  if (!m.image_sizes.empty()) json["images"]["sizes"] = m.image_sizes;
  json["collapsed"] = m.has_collapsed;
  if (m.heat_scale) json["heat_scale"] = *m.heat_scale;
  if (const auto& cv = m.cross_validation) {
    json["f1_val_threshold"] = json_of(cv->f1_validation_threshold);
    Json& folds = json["folds"] = Json::array();
    for (const FoldMetrics& fold : cv->folds) folds.push_back(fold_json(fold));
    json["folds_summary"] = {{"image_auroc", json_of(cv->image_auroc)},
                             {"f1", json_of(cv->f1)},
                             {"f1_val_threshold", json_of(cv->fold_f1_validation_threshold)}};
  }
  return json;
}

GeneratorMetrics::Distances read_distances(const JsonReader& in) {
  // Keys "least" and "most" are kept: files of older versions have them.
  return {in.count("images"), in.number("least"), in.number("median"), in.number("most")};
}

Json distances_json(const GeneratorMetrics::Distances& d) {
  return {{"images", d.images}, {"least", d.min}, {"median", d.median}, {"most", d.max}};
}

GeneratorMetrics read_generator(const JsonReader& in) {
  GeneratorMetrics m;
  read_common(in, m);
  m.k_steps = in.count("k_steps");
  m.batch = in.count("batch");
  m.loss_d = in.number("loss_d");
  m.loss_g = in.number("loss_g");
  m.d_real = in.number("d_real");
  m.d_fake = in.number("d_fake");
  m.spread_generated = in.number("spread_generated");
  m.spread_training = in.number("spread_training");
  const JsonReader memorisation = in.object("memorisation");
  m.generated = read_distances(memorisation.object("generated"));
  m.training = read_distances(memorisation.object("training"));
  m.held_out = read_distances(memorisation.object("held_out"));
  m.copies = memorisation.count("copies");
  if (memorisation.has("far")) m.far = memorisation.count("far");
  m.discriminator_won = in.flag("discriminator_won");
  m.blew_up = in.flag("blew_up");
  m.diagnostics = in.texts("remarks");
  return m;
}

Json generator_json(const GeneratorMetrics& m) {
  Json json = begin_json(m);
  json["steps"] = m.steps;
  json["k_steps"] = m.k_steps;
  json["batch"] = m.batch;
  json["loss_d"] = m.loss_d;
  json["loss_g"] = m.loss_g;
  json["d_real"] = m.d_real;
  json["d_fake"] = m.d_fake;
  json["spread_generated"] = m.spread_generated;
  json["spread_training"] = m.spread_training;
  json["memorisation"] = {{"generated", distances_json(m.generated)},
                          {"training", distances_json(m.training)},
                          {"held_out", distances_json(m.held_out)},
                          {"copies", m.copies},
                          {"far", m.far}};
  json["collapsed"] = m.has_collapsed;
  json["discriminator_won"] = m.discriminator_won;
  json["blew_up"] = m.blew_up;
  json["remarks"] = m.diagnostics;
  json["seconds_train"] = m.seconds_train;
  json["epochs"] = m.epochs;
  json["images"] = {{"train", m.train_images}, {"validation", m.validation_images}};
  if (!m.image_sizes.empty()) json["images"]["sizes"] = m.image_sizes;
  return json;
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "n/a";
}

std::string interval_text(const std::optional<Interval>& interval) {
  return interval ? fmt::format(" [{:.3f}, {:.3f}]", interval->low, interval->high) : "";
}

std::string summary_of_folds(const CrossValidationMetrics& cv) {
  std::string text;
  if (cv.image_auroc && cv.f1)
    text = fmt::format("  over {} folds: AUROC {:.3f} +- {}, F1 {:.3f} +- {}\n", cv.folds.size(),
                       cv.image_auroc->mean, number(cv.image_auroc->deviation), cv.f1->mean,
                       number(cv.f1->deviation));
  return text + fmt::format("  F1 at the validation images' thresholds: {}\n",
                            number(cv.f1_validation_threshold));
}

std::string summary_of_detector(const DetectorMetrics& m) {
  const std::string why = m.why_no_image_metrics();
  std::string text = fmt::format("{} on {}{}, seed {}\n  image AUROC  {}{}{}\n", m.model,
                                 m.object_class, m.is_synthetic ? " (synthetic)" : "", m.seed,
                                 number(m.image_auroc), interval_text(m.auroc_interval),
                                 m.image_auroc ? "  (95 % interval over images)" : ": " + why);
  if (m.defective_images() > 0)
    text += fmt::format(
        "  F1           {}{}  at s > {:.3f}; calling every image defective: {}\n  oracle F1    {}  "
        "(threshold chosen on the test images)\n",
        number(m.f1), interval_text(m.f1_interval), m.threshold, number(m.f1_all_positive),
        number(m.f1_max));
  else
    text += fmt::format("  test         {} of {} good images called defective, at s > {:.3f}\n",
                        m.fp, m.good_images(), m.threshold);
  if (!m.threshold_rule.empty()) text += fmt::format("  threshold    {}\n", m.threshold_rule);
  if (m.pixel_auroc)
    text += fmt::format("  pixel AUROC  {}{}, AUPRO {}\n", number(m.pixel_auroc),
                        interval_text(m.pixel_auroc_interval), number(m.aupro));
  else if (!m.why_no_pixel_metrics.empty())
    text += fmt::format("  pixel AUROC  n/a: {}\n", m.why_no_pixel_metrics);
  for (const ComponentAuroc& c : m.components)
    text += fmt::format("  AUROC of {} alone: {}\n", c.name, number(c.auroc));
  if (m.cross_validation) text += summary_of_folds(*m.cross_validation);
  return text;
}

std::string summary_of_generator(const GeneratorMetrics& m) {
  std::string text = fmt::format(
      "{} on {}{}, seed {}, {} generator steps\n  losses       D {:.3f}, G {:.3f}; D(x) {:.3f}, "
      "D(G(z)) {:.3f}\n  nearest training image (median distance): generated {:.3f}, training's "
      "own {:.3f}, held out {:.3f}\n",
      m.preset, m.object_class, m.is_synthetic ? " (synthetic)" : "", m.seed, m.steps, m.loss_d,
      m.loss_g, m.d_real, m.d_fake, m.generated.median, m.training.median, m.held_out.median);
  for (const std::string& sentence : m.diagnostics) text += "  " + sentence + "\n";
  return text;
}

}  // namespace

std::optional<double> DetectorMetrics::component_auroc(const std::string& name) const {
  const auto found = std::find_if(components.begin(), components.end(),
                                  [&](const ComponentAuroc& c) { return c.name == name; });
  return found == components.end() ? std::nullopt : found->auroc;
}

std::string DetectorMetrics::why_no_image_metrics() const {
  if (good_images() > 0 && defective_images() > 0) return "";
  return fmt::format("the test set has no {} image", defective_images() > 0 ? "good" : "defective");
}

const CommonMetrics& common_metrics(const RunMetrics& metrics) {
  return std::visit([](const auto& m) -> const CommonMetrics& { return m; }, metrics);
}

CommonMetrics metrics_of(const RunConfig& config) {
  CommonMetrics m;
  m.model = config.model;
  m.preset = config.preset;
  m.object_class = config.object_class;
  m.data = config.data;
  m.is_synthetic = config.data == "builtin";
  m.seed = config.seed;
  m.device = device_name(current_context().device);
  m.precision = config.precision;
  return m;
}

Json json_of(const RunMetrics& metrics) {
  const auto* detector = std::get_if<DetectorMetrics>(&metrics);
  return detector ? detector_json(*detector) : generator_json(std::get<GeneratorMetrics>(metrics));
}

RunMetrics metrics_from(const Json& json, const std::string& source) {
  const JsonReader in(json, source);
  if (in.has("memorisation")) {
    GeneratorMetrics metrics = read_generator(in);
    ASSAY_CHECK_AS(CheckpointError, !metrics.diagnostics.empty(), "{}: 'remarks' is empty", source);
    return metrics;
  }
  return read_detector(in);
}

Json json_of(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}
Json json_of(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json(nullptr);
}
Json json_of(const std::optional<SeedSummary>& summary) {
  if (!summary) return nullptr;
  return {{"mean", summary->mean}, {"deviation", json_of(summary->deviation)}};
}

void write_metrics(const RunFolder& folder, const RunMetrics& metrics) {
  write_file(folder.metrics(), json_of(metrics).dump(2) + "\n");
}

RunMetrics read_metrics(const RunFolder& folder) {
  const std::string file = folder.metrics().string();
  const std::string cure = "; run assay evaluate " + quoted(folder.root().string());
  try {
    return metrics_from(read_run_json(folder.metrics()), file);
  } catch (const CheckpointError& error) {
    throw CheckpointError(error.what() + cure);
  }
}

std::string summary_of(const RunMetrics& metrics) {
  const auto* detector = std::get_if<DetectorMetrics>(&metrics);
  return detector ? summary_of_detector(*detector)
                  : summary_of_generator(std::get<GeneratorMetrics>(metrics));
}

std::string one_line(const RunMetrics& metrics) {
  if (const auto* generator = std::get_if<GeneratorMetrics>(&metrics))
    return generator->diagnostics.front();
  const auto& m = std::get<DetectorMetrics>(metrics);
  const auto text = [](const std::optional<double>& value) { return value ? number(value) : "-"; };
  return fmt::format("image AUROC {}, F1 {} (calling all defective: {})", text(m.image_auroc),
                     text(m.f1), text(m.f1_all_positive));
}

}  // namespace assay
