#include "models/experiments/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "data/noise.h"
#include "kernels/runtime/error.h"
#include "models/detectors/anogan_detector.h"
#include "models/detectors/cnn_detector.h"
#include "models/detectors/kd_cae_detector.h"
#include "models/detectors/kernel_density.h"
#include "models/detectors/reconstruction_detector.h"
#include "models/experiments/anogan_run.h"
#include "models/experiments/augmentation.h"
#include "models/experiments/autoencoder_run.h"
#include "models/experiments/baseline_run.h"
#include "models/experiments/cnn_run.h"
#include "models/experiments/configure.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/gan_run.h"
#include "models/experiments/lpd_run.h"
#include "models/networks/cnn.h"
#include "models/networks/dcgan.h"
#include "models/networks/kd_cae.h"
#include "models/networks/ni_cae.h"

namespace assay {
namespace {

constexpr int kAllClasses = 1000;

template <class D>
std::unique_ptr<D> detector_of(const RunConfig& config) {
  return std::make_unique<D>(config, find_preset(config.preset).make);
}

SuiteVariant untrained() {
  return {"untrained", [](RunConfig& config) { config.untrained = true; }};
}

SuiteVariant with_latent(int latent) {
  return {fmt::format("latent-{}", latent),
          [latent](RunConfig& config) { config.own_values["latent"] = latent; }};
}

/// Noise in training alone, of other variances and shares than the study's.
std::vector<SuiteVariant> with_training_noise(std::vector<SuiteVariant> variants) {
  for (const double share : {kNoiseShare, 1.0})
    for (const double variance : {kNoiseVariance, 0.005, 0.02}) {
      if (share == kNoiseShare && variance == kNoiseVariance) continue;  // --noise noisy/clean
      variants.push_back({.name = fmt::format("train-noise-{:g}-{:g}", variance, share),
                          .set =
                              [variance, share](RunConfig& config) {
                                config.train_noise = "noisy";
                                config.noise_variance = variance;
                                config.noise_share = share;
                              },
                          .on_request = true});
    }
  return variants;
}

template <class Step>
std::unique_ptr<TrainingStep> make_step(Network& network, const RunConfig& config) {
  return std::make_unique<Step>(network, config);
}

// The models of arXiv:2107.09204.

ModelSpec cnn() {
  ModelSpec model;
  model.name = "cnn";
  model.presets = {{"cnn", 200, 3, Init::he, factory_of<Cnn, Cnn::Variant::study>()},
                   {"cnn-codelab", 200, 3, Init::he, factory_of<Cnn, Cnn::Variant::codelab>()}};
  model.options = {"folds", "class_weights", "flips", "shifts", "untrained", "threshold"};
  model.own_options = augmentation_options();
  model.check = check_augmentation;
  model.train = train_cnn;
  model.evaluate = evaluate_cnn;
  model.make_detector = detector_of<CnnDetector>;
  model.export_networks = [](const RunFolder& folder) {
    const std::shared_ptr<CnnDetector> detector =
        detector_of<CnnDetector>(load_config(folder.config()));
    detector->load(folder);
    OnnxSource source{.owner = detector, .metadata = detector->metadata()};
    source.output = "probability";
    source.mean_probability = true;
    for (int fold = 0; fold < detector->config().folds; ++fold)
      source.networks.push_back(&detector->network(fold));
    return source;
  };
  model.make_step = make_step<ClassifierStep>;
  model.learns_from_defects = true;
  model.draws_heat_maps = false;
  model.collapse_hint =
      "a fold gives all its held-out images one probability; try another --seed, a smaller --lr or "
      "--class-weights";
  model.suite = {
      {"quick",
       {.preset = "cnn",
        .max_classes = 1,
        .seeds = 1,
        .steps = 120,
        .builtin_class = "leather",
        .variants = {untrained()}}},
      {"paper",
       {.preset = "cnn", .max_classes = kAllClasses, .seeds = 5, .variants = {untrained()}}}};
  model.report = {.colour = 1,
                  .introduction = "a supervised CNN, which needs images of defects",
                  .loss = "cross-entropy (nats)",
                  .score = "probability of being defective",
                  .score_is_probability = true,
                  .threshold = "a probability of 0.5, whatever the images",
                  .published = {{"toothbrush",
                                 "The study prints for its CNN on toothbrush an AUROC of about "
                                 "65 % at best and an F1 of about 25 %."}}};
  return model;
}

constexpr int kLatentChannels = 128;

/// Channels of a latent of config's size. UsageError where they are not whole.
int latent_channels(const RunConfig& config) {
  const auto found = config.own_values.find("latent");
  const int latent = found == config.own_values.end() ? 0 : std::get<int>(found->second);
  if (latent == 0) return kLatentChannels;
  const int side = std::max(config.image_size / 16, 1), cells = side * side;
  ASSAY_CHECK_AS(UsageError, latent % cells == 0,
                 "--latent: {} is no multiple of {}, the places of the latent at {} pixels", latent,
                 cells, config.image_size);
  return latent / cells;
}

template <KdCae::Variant variant>
std::unique_ptr<Network> make_kd_cae(const RunConfig& config) {
  return std::make_unique<KdCae>(variant, config.image_size, config.channels(),
                                 latent_channels(config));
}

ModelSpec kd_cae() {
  ModelSpec model = autoencoder_model(detector_of<KdCaeDetector>);
  model.name = "kd-cae";
  model.presets = {{"kd-cae", 128, 3, Init::he, make_kd_cae<KdCae::Variant::pooled>},
                   {"kd-cae-strided", 128, 3, Init::he, make_kd_cae<KdCae::Variant::strided>}};
  model.options.push_back("kde_bandwidth");
  model.export_networks = [of_autoencoder =
                               std::move(model.export_networks)](const RunFolder& folder) {
    OnnxSource source = of_autoencoder(folder);
    source.inner_rows = "encoder";
    source.inner_output = "latent";
    return source;
  };
  model.own_options = {
      own_option("latent", 0, at_least{0},
                 "numbers of the latent, a multiple of its places (0: 128 for each "
                 "place, 8 x 8 places at 128 pixels)"),
      own_option("density", std::string("global"), one_of{{"global", "local"}},
                 "global: of the latent | local: of each place of the encoder's maps, as lpd has "
                 "it")};
  model.check = [](const RunConfig& config) { parse_bandwidth(config.kde_bandwidth); };
  model.suite = {{"quick",
                  {.preset = "kd-cae",
                   .max_classes = 2,
                   .seeds = 1,
                   .steps = 250,
                   .variants = {untrained()},
                   .noise_sweep = true}},
                 {"paper",
                  {.preset = "kd-cae",
                   .max_classes = kAllClasses,
                   .seeds = 5,
                   .variants = with_training_noise(
                       {untrained(),
                        with_latent(512),
                        with_latent(2048),
                        {"keep-last", [](RunConfig& config) { config.keep_last = true; }}}),
                   .noise_sweep = true}}};
  model.report = {
      .colour = 0,
      .introduction = "the autoencoder KD-CAE, which learns from good images alone",
      .by_class = {
          .title = "KD-CAE by class (table 2 of the study)",
          .short_title = "KD-CAE by class",
          .components = {{"reconstruction", "reconstruction alone"}, {"density", "density alone"}},
          .note = "The score is the larger of two deviations from held-out good images: of the "
                  "reconstruction error, and of the density of the latent among those of the "
                  "training images."}};
  return model;
}

ModelSpec ni_cae() {
  ModelSpec model = autoencoder_model(detector_of<ReconstructionDetector>);
  model.name = "ni-cae";
  model.presets = {{"ni-cae", 256, 1, Init::he, factory_of<NiCae>()},
                   {"ni-cae-128", 128, 1, Init::he, factory_of<NiCae>()}};
  model.options.push_back("score");
  // The study names no score: both are run, from one training.
  const SuiteVariant squared_error = {"mse", [](RunConfig& config) { config.score = "mse"; }};
  model.suite = {{"quick",
                  {.preset = "ni-cae-128",
                   .max_classes = 1,
                   .seeds = 1,
                   .steps = 120,
                   .noise = {"clean/clean", "noisy/noisy"},
                   .variants = {squared_error, untrained()},
                   .noise_sweep = true}},
                 {"paper",
                  {.preset = "ni-cae",
                   .max_classes = kAllClasses,
                   .seeds = 5,
                   .noise = {"clean/clean", "clean/noisy", "noisy/clean", "noisy/noisy"},
                   .variants = with_training_noise({squared_error, untrained()}),
                   .noise_sweep = true}}};
  model.report = {
      .colour = 2,
      .introduction = "the autoencoder NI-CAE, which learns from good images alone",
      .heat =
          [](const RunConfig& config) {
            return config.score == "ssim" ? "1 \u2212 SSIM" : "squared error";
          },
      .max_heat = [](const RunConfig& config) { return config.score == "ssim" ? 2.0 : 1.0; },
      .by_class = {.title = "NI-CAE by class, with both scores",
                   .short_title = "NI-CAE by class",
                   .components = {{"ssim", "1 \u2212 SSIM alone"}, {"mse", "squared error alone"}},
                   .note = "The study names no score of an image. Each run scores by "
                           "one of them; the AUROC of both stand beside it."},
      .noise_is_studied = true};
  return model;
}

/// Radford et al., 2016, arXiv:1511.06434, section 4. A GAN has no validation loss, so it trains
/// for a fixed number of steps, whatever the size of the class.
void set_dcgan_defaults(RunConfig& config) {
  config.lr = 2e-4;
  config.steps = 4000;
  config.epochs = 4000;  // no limit beyond `steps`: an epoch has at least one step
}

/// Parts that the models with a DCGAN share: presets, options of its training, step, export. The
/// preset `name` has 64 pixels.
ModelSpec gan_model(const std::string& name) {
  ModelSpec model;
  model.name = name;
  model.presets = {{name, 64, 3, Init::dcgan, factory_of<Dcgan>()}};
  model.options = {"k_steps", "sample_every"};
  model.set_defaults = set_dcgan_defaults;
  model.export_networks = [](const RunFolder& folder) {
    const std::shared_ptr<Dcgan> gan = load_dcgan(folder);
    return OnnxSource{.owner = gan,
                      .networks = {gan.get()},
                      .rows = "generator",
                      .input = "z",
                      .output = "images",
                      .metadata = {{"range", "-1 to 1"}}};
  };
  model.make_step = [](Network& network, const RunConfig& config) {
    return std::make_unique<GanStep>(dynamic_cast<Dcgan&>(network), config);
  };
  model.history_columns = {"step", "loss_d", "loss_g", "d_real", "d_fake"};
  model.collapse_hint =
      "the generator makes nearly the same image each time; try another --seed or a smaller --lr";
  return model;
}

/// The quick suite's training: small images and batches, so that it draws the object in minutes.
SuiteCells quick_gan(const std::string& preset) {
  return {
      .preset = preset, .max_classes = 1, .seeds = 1, .steps = 2000, .image_size = 32, .batch = 16};
}

ModelSpec dcgan() {
  ModelSpec model = gan_model("dcgan");
  model.presets.push_back({"dcgan-128", 128, 3, Init::dcgan, factory_of<Dcgan>()});
  model.train = train_dcgan_run;
  model.evaluate = evaluate_dcgan_run;
  model.generate = generate_dcgan;
  model.suite = {{"quick", quick_gan("dcgan")},
                 {"paper", {.preset = "dcgan", .max_classes = kAllClasses, .seeds = 1}}};
  model.report = {.colour = 3, .introduction = "a DCGAN, which only makes images"};
  return model;
}

/// The search takes minutes, so that suites run it on request only.
ModelSpec anogan() {
  ModelSpec model = gan_model("anogan");
  for (const char* option : {"untrained", "k", "threshold", "target_fpr"})
    model.options.emplace_back(option);
  model.own_options = latent_search_options();
  model.own_options.push_back(
      own_option("generator", std::string(), utf8{},
                 "a run of dcgan with the same split, whose weights it takes instead of training"));
  model.train = train_anogan;
  model.evaluate = evaluate_detector;
  model.generate = generate_dcgan;
  model.make_detector = [](const RunConfig& config) {
    return std::make_unique<AnoganDetector>(config);
  };
  SuiteCells quick = quick_gan("anogan");
  quick.on_request = true;
  model.suite = {
      {"quick", quick},
      {"paper", {.preset = "anogan", .max_classes = kAllClasses, .seeds = 3, .on_request = true}}};
  model.report = {.title = "AnoGAN",
                  .colour = 3,
                  .introduction = "AnoGAN, which looks for the nearest image that a DCGAN can make",
                  .heat = [](const RunConfig&) { return "|x &minus; G(z)|"; },
                  .max_heat = [](const RunConfig&) { return 1.0; },
                  .by_class = {.title = "AnoGAN by class",
                               .short_title = "AnoGAN by class",
                               .components = {{"residual", "residual alone"},
                                              {"discrimination", "discrimination alone"}},
                               .note = "The score is the loss of the latent that was found, in "
                                       "deviations from held-out good images: residual and "
                                       "discrimination loss, weighted."}};
  return model;
}

// A deque, because references from find_model() stay valid when models are added.
std::deque<ModelSpec>& registry() {
  static std::deque<ModelSpec> models = [] {
    std::deque<ModelSpec> all = {cnn(), kd_cae(), ni_cae(), dcgan(), anogan(), lpd_model()};
    for (ModelSpec& baseline : baseline_models()) all.push_back(std::move(baseline));
    return all;
  }();
  return models;
}

}  // namespace

void register_model(ModelSpec spec) {
  const auto check = [&](bool ok, const std::string& what) {
    ASSAY_CHECK_AS(UsageError, ok, "register_model: '{}': {}", spec.name, what);
  };
  check(!spec.name.empty(), "the model has no name");
  check(!spec.presets.empty(), "the model has no preset");
  check(spec.train && spec.evaluate, "train and evaluate must be set");
  check(spec.make_detector || spec.generate, "make_detector or generate must be set");
  const std::vector<std::string> models = model_names();
  check(std::find(models.begin(), models.end(), spec.name) == models.end(),
        "the name is taken by another model");
  std::vector<std::string> names = preset_names();
  for (const Preset& preset : spec.presets) {
    check(preset.make != nullptr || !spec.make_step, "preset '" + preset.name + "' has no factory");
    check(std::find(names.begin(), names.end(), preset.name) == names.end(),
          "the preset '" + preset.name + "' is taken");
    names.push_back(preset.name);
  }
  const auto find = [](const std::vector<Option>& options, const std::string& name) {
    return std::find_if(options.begin(), options.end(),
                        [&](const Option& option) { return option.name == name; });
  };
  const std::vector<Option> known = all_options();
  for (const std::string& name : spec.options)
    check(find(option_table(), name) != option_table().end(),
          "there is no option '" + name + "' in option_table.h");
  for (const Option& option : spec.own_options)
    check(find(known, option.name) == known.end() && option.name != "model" &&
              option.name != "preset",
          "the option '" + option.name + "' exists already");
  registry().push_back(std::move(spec));
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelSpec& model : registry()) names.push_back(model.name);
  return names;
}

const ModelSpec& find_model(const std::string& name) {
  for (const ModelSpec& model : registry())
    if (name == model.name) return model;
  throw UsageError(
      fmt::format("unknown model '{}'; there are: {}", name, fmt::join(model_names(), ", ")));
}

std::vector<std::string> names_of(const std::vector<Preset>& presets) {
  std::vector<std::string> names;
  for (const Preset& preset : presets) names.push_back(preset.name);
  return names;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const ModelSpec& model : registry())
    for (const Preset& preset : model.presets) names.push_back(preset.name);
  return names;
}

const ModelSpec& model_of_preset(std::string_view preset) {
  for (const ModelSpec& model : registry())
    for (const Preset& p : model.presets)
      if (preset == p.name) return model;
  throw UsageError(
      fmt::format("unknown preset '{}'; there are {}", preset, fmt::join(preset_names(), ", ")));
}

const Preset& find_preset(std::string_view name) {
  const std::vector<Preset>& presets = model_of_preset(name).presets;
  return *std::find_if(presets.begin(), presets.end(),
                       [&](const Preset& preset) { return preset.name == name; });
}

std::unique_ptr<Network> make_network(const RunConfig& config) {
  const int size = config.image_size;
  ASSAY_CHECK_AS(UsageError, size > 0 && size <= 4096, "{}: the image size {} must be 1 to 4096",
                 config.preset, size);
  ASSAY_CHECK_AS(UsageError, find_preset(config.preset).make,
                 "{}: has no network; it learns without one", config.preset);
  return find_preset(config.preset).make(config);
}

std::unique_ptr<Network> make_network(std::string_view preset, int image_size, int channels) {
  RunConfig config = default_config(model_of_preset(preset).name, std::string(preset));
  if (image_size != 0) config.image_size = image_size;
  ASSAY_CHECK_AS(UsageError, channels == 0 || channels == 1 || channels == 3,
                 "{}: {} channels; images have 1 (grey) or 3", preset, channels);
  if (channels != 0) config.grey = channels == 1;
  return make_network(config);
}

std::unique_ptr<Detector> load_detector(const RunFolder& folder) {
  const RunConfig config = load_config(folder.config());
  const ModelSpec& model = find_model(config.model);
  ASSAY_CHECK_AS(UsageError, model.make_detector, "{}: is a run of {}, which scores no images",
                 folder.root().string(), config.model);
  std::unique_ptr<Detector> detector = model.make_detector(config);
  detector->load(folder);
  detector->set_threshold(kept_threshold_rule(config, folder));
  return detector;
}

std::vector<RunFolder> training_folders(const RunConfig& config, const RunFolder& folder) {
  if (!find_model(config.model).learns_from_defects) return {folder};
  std::vector<RunFolder> folders;
  for (int fold = 0; fold < config.folds; ++fold) folders.push_back(folder.fold(fold));
  return folders;
}

}  // namespace assay
