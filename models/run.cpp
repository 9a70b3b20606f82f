#include "models/run.h"

#include <fstream>
#include <numeric>
#include <set>

#include "data/image_io.h"
#include "data/loader.h"
#include "data/mvtec.h"
#include "data/noise.h"
#include "data/split.h"
#include "models/detector.h"
#include "models/evaluation/pixel_metrics.h"
#include "models/figures.h"
#include "models/kd_cae_detector.h"
#include "models/scoring.h"
#include "optim/adam.h"
#include "tensor/ops.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

Dataset open_data(const RunConfig& config) {
  if (config.data != "folder") return open_dataset(config.data, config.object_class);
  FolderOptions folder{.good = config.good, .bad = config.bad, .masks = {}, .seed = config.seed};
  if (!config.masks.empty()) folder.masks = config.masks;
  return open_folder(folder);
}

ImageStore read_pictures(const RunConfig& config, std::vector<Sample> samples, bool masks) {
  return {current_context(),
          std::move(samples),
          {.height = config.image_size,
           .width = config.image_size,
           .channels = config.channels(),
           .masks = masks}};
}

/// Positions of the pictures that get noise (equation 7), among those listed.
std::vector<size_t> noisy_among(const std::vector<size_t>& listed, const std::string& condition,
                                uint64_t seed) {
  if (condition != "noisy") return {};
  std::vector<size_t> noisy;
  for (const size_t i : draw_noisy_images(listed.size(), seed)) noisy.push_back(listed[i]);
  return noisy;
}

std::vector<size_t> all_of(const ImageStore& store) {
  std::vector<size_t> positions(store.size());
  std::iota(positions.begin(), positions.end(), size_t{0});
  return positions;
}

/// Batches of a list of pictures in their order, and where each begins in the list.
template <class F>
void for_each_batch(const RunConfig& config, const ImageStore& store,
                    const std::vector<size_t>& images, const std::vector<size_t>& noisy,
                    const F& f) {
  BatchLoader loader(
      store, images,
      {.batch = config.batch, .seed = config.seed, .shuffle = false, .noisy = noisy});
  loader.start_epoch(0);
  Batch batch;
  while (loader.next(batch)) f(batch);
}

/// Refuses a folder that is in use, or empties it; false when a finished run is to be left alone.
bool prepare(const RunFolder& folder, const RunConfig& config, Start start) {
  const std::string name = folder.root().string();
  ASSAY_CHECK_AS(
      UsageError,
      !std::filesystem::exists(folder.root()) || std::filesystem::is_directory(folder.root()), name,
      ": is a file, not a folder for a run");
  if (folder.empty()) return true;
  ASSAY_CHECK_AS(UsageError, start != Start::fresh, name,
                 ": is not empty; go on with --resume or start anew with --force");
  if (start == Start::force) {
    folder.clear();
    return true;
  }
  ASSAY_CHECK_AS(UsageError, std::filesystem::exists(folder.config()), name,
                 ": holds files but no run to resume; choose another --out");
  const RunConfig before = load_config(folder.config());
  ASSAY_CHECK_AS(CheckpointError, before.preset == config.preset, name, ": is a run of ",
                 before.preset, ", not of ", config.preset, "; choose another --out");
  const std::vector<std::string> changed = differences(before, config);
  ASSAY_CHECK_AS(UsageError, changed.empty(), name, ": was started with another ", changed.front(),
                 "; give the same options, or start anew with --force");
  return !folder.finished();
}

Split choose_split(const RunConfig& config, const RunFolder& folder, const Dataset& data) {
  // A resumed run keeps its split; so does one whose --split file is gone by now.
  if (std::filesystem::exists(folder.split())) return read_split(folder.split(), data.train_good);
  if (!config.split_file.empty()) return read_split(config.split_file, data.train_good);
  return draw_split(data.train_good.size(), config.seed);
}

void write_noise(const RunFolder& folder, const ImageStore& store,
                 const std::vector<size_t>& noisy) {
  if (noisy.empty()) return;
  Json names = Json::array();
  for (const size_t i : noisy) names.push_back(store.sample(i).path);
  write_file(folder.noise(), Json{{"train", names}}.dump(2) + "\n");
}

ScoredImage scored(const Sample& sample, const char* set, const std::vector<double>& parts,
                   const Scoring& scoring) {
  ScoredImage image{.path = sample.path, .set = set, .defect = sample.defect, .parts = parts};
  scoring.judge(image);
  return image;
}

/// What metrics.json says of the training, from the files that it left.
RunFacts facts_of(const RunConfig& config, const RunFolder& folder, bool collapsed) {
  RunFacts facts{.collapsed = collapsed};
  std::ifstream in(folder.split());
  const Json split = Json::parse(in, nullptr, false);
  if (!split.is_discarded()) {
    facts.train_images = static_cast<int64_t>(split["train"].size());
    facts.validation_images = static_cast<int64_t>(split["validation"].size());
  }
  for (const EpochRecord& e : folder.read_history()) {
    facts.seconds_train += e.seconds;
    facts.epochs = e.epoch;
    if (facts.best_epoch == 0 || e.validation_loss < facts.best_validation_loss) {
      facts.best_epoch = e.epoch;
      facts.best_validation_loss = e.validation_loss;
    }
  }
  facts.steps = facts.epochs * ((facts.train_images + config.batch - 1) / config.batch);
  if (config.steps > 0) facts.steps = std::min(facts.steps, config.steps);
  return facts;
}

/// The first image of each kind of defect, and the first good one.
class FigureWriter {
 public:
  FigureWriter(const RunFolder& folder, double heat_scale)
      : folder_(folder), heat_scale_(heat_scale) {}
  void offer(const Sample& sample, const Inspected& image) {
    if (!drawn_.insert(sample.defect).second) return;
    const std::string stem = std::filesystem::path(sample.path).stem().string();
    write_png(folder_.figures() / (sample.defect + "_" + stem + ".png"), panel(image, heat_scale_));
  }

 private:
  const RunFolder& folder_;
  double heat_scale_;
  std::set<std::string> drawn_;
};

/// Scores the test pictures and writes scores.csv, the figures and, last, metrics.json.
Json evaluate(Detector& detector, const RunConfig& config, const RunFolder& folder,
              const ImageStore& test, bool masks) {
  const int64_t H = config.image_size, W = H, C = config.channels(), pixels = H * W;
  std::vector<ScoredImage> images;
  PixelEvaluation pixel_evaluation;
  FigureWriter figures(folder, detector.heat_scale());
  const std::vector<size_t> positions = all_of(test);
  const std::vector<size_t> noisy = noisy_among(positions, config.test_noise, config.seed);
  for_each_batch(config, test, positions, noisy, [&](const Batch& batch) {
    const Judgement judgement = detector.judge(batch.x);
    const std::vector<float> originals = batch.x.to_floats();
    for (size_t n = 0; n < batch.images.size(); ++n) {
      const Sample& sample = test.sample(batch.images[n]);
      const Inspected image{static_cast<int>(H),
                            static_cast<int>(W),
                            static_cast<int>(C),
                            std::span(originals).subspan(n * pixels * C, pixels * C),
                            std::span(judgement.reconstruction).subspan(n * pixels * C, pixels * C),
                            std::span(judgement.heat).subspan(n * pixels, pixels),
                            test.mask(batch.images[n]).pixels};
      images.push_back(scored(sample, "test", judgement.parts[n], detector.scoring()));
      if (masks) pixel_evaluation.add(image.heat, image.mask, image.H, image.W);
      figures.offer(sample, image);
    }
  });
  write_scores(folder.scores(), images, detector.scoring());
  std::optional<PixelMetrics> pixel_metrics;
  if (masks) pixel_metrics = pixel_evaluation.metrics();
  const Json metrics = metrics_json(config, detector.scoring(), images, pixel_metrics,
                                    facts_of(config, folder, detector.collapsed()));
  write_file(folder.metrics(), metrics.dump(2) + "\n");
  return metrics;
}

/// KD-CAE from initial weights to a calibrated detector.
class KdCaeRun {
 public:
  KdCaeRun(const RunConfig& config, const RunFolder& folder, const ImageStore& good,
           const Split& split)
      : config_(config), folder_(folder), good_(good), split_(split) {}

  std::unique_ptr<Detector> train(const TrainingHooks& hooks) {
    auto network = make_kd_cae(config_);
    init_parameters(*network, init_from_name(config_.init), config_.seed);
    fit(*network, hooks);
    auto detector = std::make_unique<KdCaeDetector>(config_, std::move(network));
    detector->fit_density(latents(detector->network()));
    calibrate(*detector);
    detector->save(folder_);
    return detector;
  }

 private:
  void fit(KdCae& network, const TrainingHooks& hooks) {
    const std::vector<size_t> noisy = noisy_among(split_.train, config_.train_noise, config_.seed);
    write_noise(folder_, good_, noisy);
    BatchLoader batches(good_, split_.train,
                        {.batch = config_.batch,
                         .seed = config_.seed,
                         .noisy = noisy,
                         .clean_target = config_.denoise});
    Adam adam(network.parameters(),
              {.learning_rate = config_.lr,
               .placement =
                   config_.eps_placement == "torch" ? EpsPlacement::torch : EpsPlacement::keras});
    const TrainingTask task{.model = config_.preset,
                            .module = network,
                            .optimizer = adam,
                            .batches = batches,
                            .loss =
                                [&](const Batch& batch) {
                                  return mse_loss(network(batch.x),
                                                  config_.denoise ? batch.clean : batch.x);
                                },
                            .validation_loss = [&] { return validation_loss(network); }};
    assay::train(task, config_, folder_, hooks);
  }

  double validation_loss(KdCae& network) const {
    network.eval();
    double sum = 0;
    for_each_batch(config_, good_, split_.validation, {}, [&](const Batch& batch) {
      sum += mse_loss(network(batch.x), batch.x).item() * static_cast<double>(batch.images.size());
    });
    return sum / static_cast<double>(split_.validation.size());
  }

  /// Of the training pictures, without noise; (n,d).
  Tensor latents(KdCae& network) const {
    network.eval();
    std::vector<float> z;
    for_each_batch(config_, good_, split_.train, {}, [&](const Batch& batch) {
      const std::vector<float> rows = network.latents(batch.x).to_floats();
      z.insert(z.end(), rows.begin(), rows.end());
    });
    const auto n = static_cast<int64_t>(split_.train.size());
    return Tensor::from({n, static_cast<int64_t>(z.size()) / n}, z);
  }

  /// On the validation pictures; then all good pictures are scored, for the report's histograms.
  void calibrate(KdCaeDetector& detector) const {
    std::vector<Judgement> held_out;
    for_each_batch(config_, good_, split_.validation, {},
                   [&](const Batch& batch) { held_out.push_back(detector.judge(batch.x)); });
    detector.calibrate_on(held_out);
    std::vector<ScoredImage> images;
    for (const auto& [set, positions] :
         {std::pair("train", split_.train), std::pair("validation", split_.validation)})
      for_each_batch(config_, good_, positions, {}, [&, set = set](const Batch& batch) {
        const Judgement judgement = detector.judge(batch.x);
        for (size_t n = 0; n < batch.images.size(); ++n)
          images.push_back(
              scored(good_.sample(batch.images[n]), set, judgement.parts[n], detector.scoring()));
      });
    write_scores(folder_.good_scores(), images, detector.scoring());
  }

  const RunConfig& config_;
  const RunFolder& folder_;
  const ImageStore& good_;
  const Split& split_;
};

}  // namespace

Json train_run(const RunConfig& config, const RunFolder& folder, Start start,
               const TrainingHooks& hooks) {
  check(config);
  if (!prepare(folder, config, start)) {
    hooks.say(folder.root().string() + " is finished; nothing is left to do");
    return read_metrics(folder);
  }
  const Dataset data = open_data(config);
  const ImageStore good = read_pictures(config, data.train_good, false);
  const ImageStore test = read_pictures(config, data.test, true);
  const Split split = choose_split(config, folder, data);
  folder.create();
  save(config, folder.config());
  write_split(folder.split(), split, data.train_good);
  hooks.say(str(config.object_class, ": ", split.train.size(), " training, ",
                split.validation.size(), " validation and ", test.size(), " test images"));
  if (split.validation.size() < 16)
    hooks.say(str(split.validation.size(),
                  " held-out good images make a rough deviation, and so a rough threshold"));
  const auto detector = KdCaeRun(config, folder, good, split).train(hooks);
  if (detector->collapsed())
    hooks.say(
        "the run collapsed: the output is the same for every validation image; try another "
        "--seed, a smaller --lr or --init he");
  return evaluate(*detector, config, folder, test, data.has_masks());
}

Json evaluate_run(const RunFolder& folder, const EvaluationOptions& options) {
  const std::unique_ptr<Detector> detector = load_detector(folder);
  RunConfig config = detector->config();
  if (options.data) {
    config.data = *options.data;
    config.good = config.bad = config.masks = "";
  }
  config.test_noise = options.test_noise.value_or(config.test_noise);
  check(config);
  const Dataset data = open_data(config);
  const ImageStore test = read_pictures(config, data.test, true);
  folder.create();
  return evaluate(*detector, config, folder, test, data.has_masks());
}

Json read_metrics(const RunFolder& folder) {
  std::ifstream in(folder.metrics());
  Json metrics = Json::parse(in, nullptr, false);
  ASSAY_CHECK_AS(CheckpointError, !metrics.is_discarded(), folder.metrics().string(),
                 ": is not there or no JSON; run assay evaluate ", folder.root().string());
  return metrics;
}

}  // namespace assay
