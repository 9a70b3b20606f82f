// The models: one ModelSpec each. Whatever a verb, the suite or the report needs to know of a model
// stands here, so that none of them asks for a model by its name.
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
  NetworkFactory make;  ///< empty: the model has no network and no make_step
};

/// Makes an N from image size and channels; its constructor takes `variant` first where there is
/// one.
template <class N, auto... variant>
NetworkFactory factory_of() {
  return [](const RunConfig& config) {
    return std::make_unique<N>(variant..., config.image_size, config.channels());
  };
}

/// The runs of a model in one profile of `assay suite`.
struct SuiteCells {
  std::string preset;
  int max_classes;
  int seeds;
  int64_t steps = 0;                                 ///< 0: to the end of the model's own rules
  std::vector<std::string> noise = {"clean/clean"};  ///< training/test
  std::string builtin_class = "ring";                ///< the first class on the built-in data
};

/// What the report says of a model. Texts are HTML.
struct ReportText {
  int colour = 3;                 ///< in every chart, an index into the palette
  std::string introduction = {};  ///< "an autoencoder, which learns from good images alone"
  std::string loss = "mean squared error";
  std::string score = "deviations above held-out good images";
  bool score_is_probability = false;
  /// What a pixel of the heat maps is.
  std::function<std::string(const RunConfig&)> heat = [](const RunConfig&) {
    return "squared error";
  };
  /// The largest heat that a pixel can have; the colour scale ends there at the latest.
  std::function<double(const RunConfig&)> max_heat = [](const RunConfig&) {
    return std::numeric_limits<double>::infinity();
  };
  /// The table of this model's runs by class. None without a title.
  struct ByClass {
    std::string title = {};        ///< of the section
    std::string short_title = {};  ///< of its entry in the contents
    /// Components of the score with the titles of the columns of their AUROC.
    std::vector<std::pair<std::string, std::string>> components = {};
    std::string note = {};  ///< below the table
  } by_class = {};
  bool noise_is_studied = false;  ///< its runs stand in the table of noise even if all are clean
  /// What the publication prints, by object class: of the model, and of the F1 drop by noise.
  std::map<std::string, std::string> published = {}, published_noise_drop = {};
};

using GeneratedImage = std::function<void(int64_t index, const Image& image)>;

struct ModelSpec {
  std::string name;             ///< the first argument of `assay train`, in small letters
  std::vector<Preset> presets;  ///< the default first
  /// Keys of the options of group `model` in option_table.h that this model has.
  std::vector<std::string> options;
  std::vector<Option> own_options;  ///< options that no other model has
  /// Changes the defaults of the table and of the preset. May be empty.
  std::function<void(RunConfig&)> set_defaults;
  /// UsageError for options that do not fit together. May be empty.
  std::function<void(const RunConfig&)> check;

  /// From a claimed folder to metrics.json: reads all images, trains (or goes on), evaluates.
  std::function<RunMetrics(const RunConfig&, const RunFolder&, Start, const TrainingHooks&)> train;
  /// Scores the test images of `config` with the folder's model and rewrites metrics.json.
  std::function<RunMetrics(const RunConfig&, const RunFolder&)> evaluate;
  /// An untrained detector. Empty for a model that scores no images.
  std::function<std::unique_ptr<Detector>(const RunConfig&)> make_detector;
  /// Draws `count` images with the folder's model; image i is a function of (seed, i). Empty for a
  /// model that generates none.
  std::function<void(const RunFolder&, uint64_t seed, int64_t count, const GeneratedImage&)>
      generate;
  /// A training step of a network that was made for the configuration and outlives it. `assay
  /// profile` and the benchmarks time it.
  std::function<std::unique_ptr<TrainingStep>(Network&, const RunConfig&)> make_step;

  /// Trained on images of defects as well, by cross-validation; otherwise on good images alone.
  bool learns_from_defects = false;
  bool draws_heat_maps = true;
  /// Columns of history.csv that the report reads.
  std::vector<std::string> history_columns = {"epoch", "train_loss", "validation_loss"};
  /// After "<run> collapsed: ": what that means, and what to try.
  std::string collapse_hint;

  std::map<std::string, SuiteCells> suite;  ///< by profile: "quick", "paper"
  ReportText report;
};

/// Adds a model to the registry, for this process. UsageError where the spec is incomplete or a
/// name is taken. Not to be called while other threads read the registry.
void register_model(ModelSpec spec);

/// In the order of registration: the library's models, then those of register_model.
std::vector<std::string> model_names();
/// UsageError for an unknown name; the message lists those there are. The reference stays valid.
const ModelSpec& find_model(const std::string& name);

/// All presets of all models, in the order of model_names().
std::vector<std::string> preset_names();
std::vector<std::string> names_of(const std::vector<Preset>& presets);
/// UsageError for an unknown name; the message lists the presets there are.
const Preset& find_preset(std::string_view name);
const ModelSpec& model_of_preset(std::string_view preset);

/// UsageError for an image size that the network cannot have; the message says which it can.
std::unique_ptr<Network> make_network(const RunConfig& config);
/// The network of a preset's defaults, but another image size or number of channels (0: its own).
std::unique_ptr<Network> make_network(std::string_view preset, int image_size = 0,
                                      int channels = 0);

/// The trained detector of a run folder. UsageError for a model that scores no images;
/// CheckpointError when it is missing, damaged or of another model.
std::unique_ptr<Detector> load_detector(const RunFolder& folder);

/// The folders of the trainings of a run: its own, or one for each fold.
std::vector<RunFolder> training_folders(const RunConfig& config, const RunFolder& folder);

}  // namespace assay
