// The metrics of a finished run: the contents of metrics.json. Only run_metrics.cpp has its keys.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/evaluation/intervals.h"
#include "models/evaluation/statistics.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// Fields of every metrics.json.
struct CommonMetrics {
  std::string model, preset, object_class, data;
  bool is_synthetic = false;  ///< the images were drawn by a program
  uint64_t seed = 0;
  std::string device;  ///< name of the device that evaluated
  std::string precision;
  double seconds_train = 0;
  int64_t epochs = 0, steps = 0;
  int64_t train_images = 0, validation_images = 0;
  std::string image_sizes;  ///< "700x700 to 1024x1024"; empty in files of older versions
  bool has_collapsed = false;

  bool operator==(const CommonMetrics&) const = default;
};

/// The AUROC of one component of the score by itself.
struct ComponentAuroc {
  std::string name;
  std::optional<double> auroc;

  bool operator==(const ComponentAuroc&) const = default;
};

/// Calibration data of the threshold.
struct CalibrationMetrics {
  struct Component {
    std::string name;
    double mean = 0, deviation = 0;  ///< on held-out good images

    bool operator==(const Component&) const = default;
  };
  std::vector<Component> components;
  int64_t images = 0;
  double percentile99 = 0;                ///< of the score
  std::optional<double> f1_percentile99;  ///< F1 of the test images at that threshold

  bool operator==(const CalibrationMetrics&) const = default;
};

/// One fold of a cross-validation.
struct FoldMetrics {
  std::optional<double> image_auroc, f1, f1_all_positive;
  double validation_threshold = 0;  ///< with the highest F1 on the fold's validation images
  std::optional<double> f1_validation_threshold;
  int64_t train_images = 0, validation_images = 0, test_images = 0;
  int64_t epochs = 0, steps = 0, best_epoch = 0;
  double best_validation_loss = 0, seconds_train = 0;

  bool operator==(const FoldMetrics&) const = default;
};

struct CrossValidationMetrics {
  std::vector<FoldMetrics> folds;
  std::optional<double> f1_validation_threshold;  ///< over the images of all folds
  /// Mean and deviation over the folds.
  std::optional<SeedSummary> image_auroc, f1, fold_f1_validation_threshold;

  bool operator==(const CrossValidationMetrics&) const = default;
};

/// Metrics of a model that scores images. An optional is empty if the metric does not exist, such
/// as the AUROC of good images alone.
struct DetectorMetrics : CommonMetrics {
  std::string train_noise = "clean", test_noise = "clean";
  std::optional<double> image_auroc, image_ap, f1, f1_all_positive;
  double threshold = 0;
  std::string threshold_rule;  ///< how it was set; empty in files of older versions
  std::optional<double> precision_at_threshold, recall, accuracy, balanced_accuracy;
  std::optional<double> f1_max, threshold_f1_max;  ///< best over all thresholds on test images
  std::optional<double> fpr95;                     ///< false positive rate at 95 % recall
  int64_t tp = 0, fp = 0, tn = 0, fn = 0;
  std::optional<double> pixel_auroc, pixel_ap, aupro;
  /// Standard error over images, and its degrees of freedom; not in older files.
  std::optional<double> pixel_auroc_error, pixel_auroc_degrees;
  std::string why_no_pixel_metrics;  ///< empty where there are some, and in older files
  std::optional<Interval> auroc_interval, f1_interval;  ///< 95 %
  std::optional<Interval> pixel_auroc_interval;         ///< 95 %; not in older files
  std::vector<ComponentAuroc> components;
  std::optional<CalibrationMetrics> calibration;
  int64_t best_epoch = 0;
  double best_validation_loss = 0;
  int64_t test_images = 0;
  std::optional<double> heat_scale;  ///< end of the heat maps' colour scale
  std::optional<CrossValidationMetrics> cross_validation;

  int64_t defective_images() const { return tp + fn; }
  int64_t good_images() const { return fp + tn; }
  /// Why metrics that compare good with defective images are absent; empty where they are not.
  std::string why_no_image_metrics() const;
  /// Empty if the model has no such component.
  std::optional<double> component_auroc(const std::string& name) const;

  bool operator==(const DetectorMetrics&) const = default;
};

/// Metrics of a model that generates images.
struct GeneratorMetrics : CommonMetrics {
  /// Distances of images to the nearest training image: root mean squared pixel difference.
  struct Distances {
    int64_t images = 0;
    double min = 0, median = 0, max = 0;

    bool operator==(const Distances&) const = default;
  };
  int64_t k_steps = 0, batch = 0;
  double loss_d = 0, loss_g = 0, d_real = 0, d_fake = 0;  ///< means over the last steps
  double spread_generated = 0, spread_training = 0;       ///< mean distance of two images
  Distances generated, training, held_out;
  int64_t copies = 0;  ///< generated images closer to a training image than any two of those are
  int64_t far = 0;     ///< generated images too far from all training images to resemble them
  bool discriminator_won = false, blew_up = false;
  std::vector<std::string> diagnostics;  ///< sentences about the outcome; not empty

  bool operator==(const GeneratorMetrics&) const = default;
};

using RunMetrics = std::variant<DetectorMetrics, GeneratorMetrics>;

const CommonMetrics& common_metrics(const RunMetrics& metrics);
/// Sets the fields that a configuration and the current context determine; the others are 0.
CommonMetrics metrics_of(const RunConfig& config);

/// The contents of metrics.json. A metric that does not exist is null.
nlohmann::ordered_json json_of(const RunMetrics& metrics);
/// CheckpointError that starts with `source` and names the key that is missing or of another type.
RunMetrics metrics_from(const nlohmann::ordered_json& json, const std::string& source);

/// Writes metrics.json of a run (a temporary file is renamed).
void write_metrics(const RunFolder& folder, const RunMetrics& metrics);
/// Reads metrics.json of a finished run. CheckpointError that names the file and, if a key is
/// missing or has another type, the key.
RunMetrics read_metrics(const RunFolder& folder);

/// null if empty.
nlohmann::ordered_json json_of(const std::optional<double>& value);
nlohmann::ordered_json json_of(const std::optional<Interval>& interval);
nlohmann::ordered_json json_of(const std::optional<SeedSummary>& summary);

/// The lines that `train` and `evaluate` end with.
std::string summary_of(const RunMetrics& metrics);
/// "image AUROC 0.924, F1 0.884 (calling all defective: 0.750)", or the first diagnostic.
std::string one_line(const RunMetrics& metrics);

}  // namespace assay
