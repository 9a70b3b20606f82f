// The registry of models: one ModelSpec each. It holds everything that commands, suite and report
// need of a model, so that none of them asks for a model by its name.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "layers/init.h"
#include "models/detectors/detector.h"
#include "models/evaluation/run_metrics.h"
#include "models/experiments/onnx.h"
#include "models/networks/network.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// A named variant of a model.
struct Preset {
  std::string name;
  int image_size;  ///< side of the square input, pixels
  int channels;    ///< 1 (grey) or 3
  Init init;
  NetworkFactory make;  ///< empty if the model has no network; it then has no make_step
};

/// A factory that calls N(variant..., image_size, channels).
template <class N, auto... variant>
NetworkFactory factory_of() {
  return [](const RunConfig& config) {
    return std::make_unique<N>(variant..., config.image_size, config.channels());
  };
}

/// Runs of a model with other options than its own.
struct SuiteVariant {
  std::string name;  ///< for --variants, and the end of the folder names
  std::function<void(RunConfig&)> set;
  bool on_request = false;  ///< only if --variants names it
};

/// The runs of a model in one profile of `assay suite`.
struct SuiteCells {
  std::string preset;
  int max_classes;
  int seeds;
  int64_t steps = 0;                                 ///< --steps; 0: no limit but the model's own
  std::vector<std::string> noise = {"clean/clean"};  ///< training/test
  std::string builtin_class = "ring";                ///< first class of the built-in data to run
  int image_size = 0, batch = 0;                     ///< 0: the preset's
  std::vector<SuiteVariant> variants = {};           ///< without noise, after the model's own runs
  bool noise_sweep = false;  ///< of the runs that are trained without noise (noise_sweep.h)
  bool on_request = false;   ///< only if --models names the model
};

/// Texts about a model in the report, as HTML.
struct ReportText {
  std::string title = {};         ///< the model's name; if empty, the name in capitals
  int colour = 3;                 ///< index into the palette, in every chart
  std::string introduction = {};  ///< "an autoencoder, which learns from good images alone"
  std::string loss = "mean squared error";
  std::string score = "deviations above held-out good images";
  bool score_is_probability = false;
  std::string threshold = "held-out good images";   ///< where the threshold comes from
  std::string heat_scale = "held-out good images";  ///< where the colour scale comes from
  /// The quantity that the heat maps show.
  std::function<std::string(const RunConfig&)> heat = [](const RunConfig&) {
    return "squared error";
  };
  /// The largest heat that a pixel can have; the colour scale ends there at the latest.
  std::function<double(const RunConfig&)> max_heat = [](const RunConfig&) {
    return std::numeric_limits<double>::infinity();
  };
  /// A table of this model's runs by class; omitted if it has no title.
  struct ByClass {
    std::string title = {};        ///< of the section
    std::string short_title = {};  ///< in the contents
    /// Components of the score and the titles of the columns with their AUROC.
    std::vector<std::pair<std::string, std::string>> components = {};
    std::string note = {};  ///< below the table
  } by_class = {};
  bool noise_is_studied = false;  ///< list the model in the noise table even without noisy runs
  /// Results of the model that the publication prints, by object class.
  std::map<std::string, std::string> published = {};
};

using GeneratedImage = std::function<void(int64_t index, const Image& image)>;

struct ModelSpec {
  std::string name;             ///< the first argument of `assay train`, in small letters
  std::vector<Preset> presets;  ///< the default first
  /// Keys of the options of group `model` in option_table.h that this model has.
  std::vector<std::string> options;
  std::vector<Option> own_options;  ///< options that no other model has
  /// Changes defaults that the table and the preset have set. May be empty.
  std::function<void(RunConfig&)> set_defaults;
  /// UsageError for options that do not fit together. May be empty.
  std::function<void(const RunConfig&)> check;

  /// Trains (or resumes) in a folder that the caller has locked: reads all images, trains,
  /// evaluates and writes metrics.json.
  std::function<RunMetrics(const RunConfig&, const RunFolder&, Start, const TrainingHooks&)> train;
  /// Scores the test images of `config` with the folder's model and writes scores.csv, figures and
  /// metrics.json into `out`.
  std::function<RunMetrics(const RunConfig&, const RunFolder&, const RunFolder& out)> evaluate;
  /// Makes an untrained detector. Empty for a model that scores no images.
  std::function<std::unique_ptr<Detector>(const RunConfig&)> make_detector;
  /// Generates `count` images with the folder's model; image i is a function of (seed, i). Empty
  /// for a model that generates none.
  std::function<void(const RunFolder&, uint64_t seed, int64_t count, const GeneratedImage&)>
      generate;
  /// The folder's trained networks, for `assay export`. Empty for a model without a network.
  std::function<OnnxSource(const RunFolder&)> export_networks;
  /// Makes the training step of a network, which outlives it. `assay profile` and the benchmarks
  /// time it.
  std::function<std::unique_ptr<TrainingStep>(Network&, const RunConfig&)> make_step;

  /// Trained on good and defective images by cross-validation; else on good images alone.
  bool learns_from_defects = false;
  bool draws_heat_maps = true;
  bool reconstructs = true;  ///< panels show a reconstruction and its residual, else the heat alone
  bool is_baseline = false;  ///< no network; the report compares trained models with it
  /// Columns of history.csv that the report reads.
  std::vector<std::string> history_columns = {"epoch", "train_loss", "validation_loss"};
  /// Printed after "<run> collapsed: ": what that means and what to try.
  std::string collapse_hint;

  std::map<std::string, SuiteCells> suite;  ///< by profile: "quick", "paper"
  ReportText report;
};

/// Adds a model to the registry of this process. UsageError if the spec is incomplete or a name is
/// taken. Must not run while other threads read the registry.
void register_model(ModelSpec spec);

/// Names in the order of registration: the library's models, then those of register_model.
std::vector<std::string> model_names();
/// UsageError for an unknown name; the message lists the models. The reference stays valid.
const ModelSpec& find_model(const std::string& name);

/// All presets of all models, in the order of model_names().
std::vector<std::string> preset_names();
std::vector<std::string> names_of(const std::vector<Preset>& presets);
/// UsageError for an unknown name; the message lists the presets.
const Preset& find_preset(std::string_view name);
const ModelSpec& model_of_preset(std::string_view preset);

/// UsageError for an image size that the network cannot have; the message says which it can have.
std::unique_ptr<Network> make_network(const RunConfig& config);
/// The network of a preset with another image size or number of channels (0: the preset's).
std::unique_ptr<Network> make_network(std::string_view preset, int image_size = 0,
                                      int channels = 0);

/// The trained detector of a run folder. UsageError for a model that scores no images;
/// CheckpointError if it is missing, damaged or of another model.
std::unique_ptr<Detector> load_detector(const RunFolder& folder);

/// The folders of the trainings of a run: the run's own, or one per fold.
std::vector<RunFolder> training_folders(const RunConfig& config, const RunFolder& folder);

}  // namespace assay
