#include "models/evaluation/run_metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/runtime/error.h"
#include "tests/support/files.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

void set_common(CommonMetrics& m) {
  m.model = "m";
  m.preset = "m-large";
  m.object_class = "ring";
  m.data = "builtin";
  m.is_synthetic = true;
  m.seed = 7;
  m.device = "a CPU";
  m.precision = "fp32";
  m.seconds_train = 1.5;
  m.epochs = 3;
  m.steps = 9;
  m.train_images = 40;
  m.validation_images = 8;
  m.image_sizes = "64x64";
}

DetectorMetrics detector() {
  DetectorMetrics m;
  set_common(m);
  m.test_noise = "noisy";
  m.image_auroc = 0.75;
  m.f1 = 0.1 + 0.2;  // 17 digits
  m.threshold = 3;
  m.threshold_rule = "given by --threshold";
  m.why_no_pixel_metrics = "no mask";
  m.tp = 2;
  m.fn = 1;
  m.auroc_interval = Interval{0.5, 1};
  m.components = {{"mse", 0.25}, {"ssim", std::nullopt}};
  m.calibration = CalibrationMetrics{{{"mse", 0.5, 0.125}}, 8, 2.5, 0.5};
  m.heat_scale = 0.25;
  return m;
}

DetectorMetrics cross_validated() {
  DetectorMetrics m = detector();
  m.calibration.reset();
  m.components.clear();
  CrossValidationMetrics& over_folds = m.cross_validation.emplace();
  over_folds.folds.resize(2);
  over_folds.folds[0].image_auroc = 1;
  over_folds.folds[0].test_images = 5;
  over_folds.folds[1].f1 = 0.5;
  over_folds.folds[1].epochs = 2;
  over_folds.image_auroc = SeedSummary{0.5, 0.25, 0};
  over_folds.f1 = SeedSummary{0.5, std::nullopt, 0};
  return m;
}

GeneratorMetrics generator() {
  GeneratorMetrics m;
  set_common(m);
  m.loss_g = 1.25;
  m.generated = {64, 0.1, 0.2, 0.3};
  m.far = 5;
  m.blew_up = true;
  m.diagnostics = {"It blew up.", "Nothing is copied."};
  return m;
}

const std::vector<RunMetrics> kExamples = {detector(), cross_validated(), generator()};

/// Pointers to all values of a document but those in arrays of numbers.
void collect_paths(const Json& json, const std::string& path, std::vector<std::string>& paths) {
  for (const auto& item : json.items()) {
    const std::string inner = path + "/" + item.key();
    if (json.is_object()) paths.push_back(inner);
    if (item.value().is_object() ||
        (item.value().is_array() && !item.value().empty() && item.value().front().is_object()))
      collect_paths(item.value(), inner, paths);
  }
}

std::string error_of(const Json& json) {
  try {
    metrics_from(json, "run/metrics.json");
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

/// Keys that older files lack, or that tell which kind of metrics a file has.
bool may_be_missing(const std::string& path) {
  static const std::vector<std::string> optional = {"/images/sizes",
                                                    "/heat_scale",
                                                    "/calibration",
                                                    "/folds",
                                                    "/memorisation",
                                                    "/auroc_mse",
                                                    "/threshold_percentile99",
                                                    "/absent",
                                                    "/absent/image_metrics",
                                                    "/absent/pixel_metrics",
                                                    "/memorisation/far",
                                                    "/threshold_rule"};
  return std::find(optional.begin(), optional.end(), path) != optional.end() ||
         path == "/auroc_ssim" || path == "/calibration/mse";
}

}  // namespace

TEST_CASE("metrics of a run are the same after metrics.json") {
  for (const RunMetrics& metrics : kExamples) {
    const Json json = json_of(metrics);
    const RunMetrics again = metrics_from(Json::parse(json.dump()), "file");
    CHECK(again == metrics);
    CHECK(json_of(again).dump(2) == json.dump(2));
  }
}

TEST_CASE("a metric that does not exist is null, and back") {
  const Json json = json_of(RunMetrics(DetectorMetrics()));
  CHECK(json.at("image_auroc").is_null());
  CHECK(!std::get<DetectorMetrics>(metrics_from(json, "file")).image_auroc);
}

TEST_CASE("a missing key of metrics.json is an error that names the file and the key") {
  size_t checked = 0;
  for (const RunMetrics& metrics : kExamples) {
    const Json whole = json_of(metrics);
    std::vector<std::string> paths;
    collect_paths(whole, "", paths);
    for (const std::string& path : paths) {
      if (may_be_missing(path)) continue;
      CAPTURE(path);
      const Json::json_pointer pointer(path);
      Json json = whole;
      json.at(pointer.parent_pointer()).erase(pointer.back());
      const std::string error = error_of(json);
      CHECK(error.starts_with("run/metrics.json: '"));
      CHECK(error.ends_with("is missing"));
      CHECK(error.find(pointer.back() + "'") != std::string::npos);
      ++checked;
    }
  }
  CHECK(checked > 100);
}

TEST_CASE("a key of another type is an error that names the file and the key") {
  for (const RunMetrics& metrics : kExamples) {
    const Json whole = json_of(metrics);
    std::vector<std::string> paths;
    collect_paths(whole, "", paths);
    for (const std::string& path : paths) {
      // The one stands in "calibration" as well, the other follows from the counts.
      if (path == "/threshold_percentile99" || path == "/absent/image_metrics") continue;
      CAPTURE(path);
      const Json::json_pointer pointer(path);
      Json json = whole;
      json.at(pointer) = whole.at(pointer).is_string() ? Json(1) : Json("text");
      const std::string error = error_of(json);
      CHECK(error.starts_with("run/metrics.json: '"));
      CHECK(error.find(pointer.back() + "'") != std::string::npos);
    }
  }
}

TEST_CASE("a count is a whole number, an interval two numbers") {
  Json json = json_of(RunMetrics(detector()));
  json["tp"] = 1.5;
  CHECK(error_of(json) == "run/metrics.json: 'tp' is no whole number");
  json = json_of(RunMetrics(detector()));
  json["intervals"]["image_auroc"] = {1};
  CHECK(error_of(json) ==
        "run/metrics.json: 'intervals.image_auroc' is no interval [low, high] from 0 to 1");
  CHECK(error_of(Json(3)) == "run/metrics.json: is no object");
}

TEST_CASE("a metrics.json that cannot be read says how to write it again") {
  const testing::TemporaryFolder root;
  const RunFolder folder(root / "run");
  folder.create();
  const std::string cure = "; run assay evaluate " + folder.root().string();
  CHECK_THROWS_WITH_AS(read_metrics(folder),
                       (folder.metrics().string() + ": there is no such file" + cure).c_str(),
                       CheckpointError);
  write_file(folder.metrics(), "{");
  CHECK_THROWS_WITH_AS(
      read_metrics(folder),
      (folder.metrics().string() + ": is damaged: it holds no JSON object" + cure).c_str(),
      CheckpointError);
  write_file(folder.metrics(), "{}");
  CHECK_THROWS_WITH_AS(read_metrics(folder),
                       (folder.metrics().string() + ": 'model' is missing" + cure).c_str(),
                       CheckpointError);
  write_metrics(folder, generator());
  CHECK(read_metrics(folder) == RunMetrics(generator()));
}

TEST_CASE("one line of a detector and of a generator") {
  CHECK(one_line(detector()) == "image AUROC 0.750, F1 0.300 (calling all defective: -)");
  CHECK(one_line(generator()) == "It blew up.");
}

}  // namespace assay
