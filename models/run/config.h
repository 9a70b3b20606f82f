// Every choice that a training run makes, in one place: defaults by model and preset, the file
// config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace assay {

/// What `assay train` was asked for. Everything that can change a bit of the result is here, and
/// nothing else is (no threads, no paths of outputs), so that config.json says how to get the same
/// run again.
struct RunConfig {
  std::string model = "kd-cae";
  std::string preset = "kd-cae";
  std::string data = "builtin";  ///< "builtin", "folder", or a folder in MVTec's layout
  std::string object_class;
  std::string good, bad, masks;  ///< of data "folder": pictures of one's own
  std::string split_file;        ///< a split.json to follow; empty = drawn from the seed
  uint64_t seed = 0;
  int image_size = 128;  ///< pixels a side
  bool grey = false;     ///< one channel in place of three
  std::string device = "cpu";
  std::string precision = "fp32";

  std::string init = "he";              ///< he | keras | dcgan
  std::string eps_placement = "keras";  ///< keras | torch: where Adam and RMSprop add epsilon
  int epochs = 200;                     ///< at most
  int64_t steps = 0;                    ///< at most, over all epochs; 0 = no limit
  int batch = 32;
  double lr = 1e-3;
  int patience = 5;         ///< epochs without a better validation loss
  int64_t min_steps = 400;  ///< no early stop before
  bool keep_last = false;   ///< keep the last weights, not the best

  std::string kde_bandwidth = "loo";  ///< a number, scott, silverman, median or loo
  std::string train_noise = "clean";  ///< clean | noisy
  std::string test_noise = "clean";   ///< clean | noisy
  bool denoise = false;               ///< the target of a noisy image is the clean one
  std::string score = "ssim";         ///< NI-CAE: ssim (1 - mean SSIM) | mse

  int folds = 5;               ///< CNN: parts of the cross-validation
  bool class_weights = false;  ///< CNN: the rarer class weighs as much as the other
  bool flips = false;          ///< CNN: mirrors half of the training pictures
  int shifts = 0;              ///< CNN: moves training pictures by up to so many pixels

  int k_steps = 1;             ///< DCGAN: discriminator steps for each generator step
  int64_t sample_every = 200;  ///< DCGAN: generator steps from one grid of pictures to the next

  int channels() const { return grey ? 1 : 3; }
};

/// The presets of a model, the default first. UsageError for an unknown model; the message lists
/// those there are.
std::vector<std::string> presets_of(const std::string& model);

/// The defaults of a preset ("" = the model's first). UsageError for one that
/// does not exist.
RunConfig default_config(const std::string& model, const std::string& preset = "");

/// Whether a model knows an option, by its name in RunConfig.
bool has_option(const std::string& model, const std::string& member);

/// UsageError that names the first option out of its range, the first that the model does not have,
/// or the first pair that does not fit.
void check(const RunConfig& config);

/// A word as a shell takes it: in quotes where it needs them.
std::string quoted(const std::string& word);

/// The command that makes the same run in `out`: the options that differ from the preset's.
std::string command_of(const RunConfig& config, const std::filesystem::path& out);

std::string to_json(const RunConfig& config);
void save(const RunConfig& config, const std::filesystem::path& file);
/// CheckpointError when the file is not there or does not hold a configuration.
RunConfig load_config(const std::filesystem::path& file);

/// Names the data set: "builtin", the last part of its path, since machines may have the same data
/// at different places, or of pictures of one's own the folder of the good ones.
std::string data_name(const RunConfig& config);

/// Names of the options in which two configurations differ.
std::vector<std::string> differences(const RunConfig& a, const RunConfig& b);
/// "steps 4, not 3": one of them.
std::string change_of(const std::string& option, const RunConfig& before, const RunConfig& now);

}  // namespace assay
