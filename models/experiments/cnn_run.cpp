#include "models/experiments/cnn_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/runtime/philox.h"
#include "models/detectors/cnn_detector.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/scoring.h"
#include "models/evaluation/statistics.h"
#include "models/experiments/augmentation.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/registry.h"
#include "models/run/data.h"
#include "models/run/reader.h"

namespace assay {
namespace {

std::vector<uint8_t> labels_of(const ImageStore& store, const std::vector<size_t>& positions) {
  std::vector<uint8_t> labels;
  for (const size_t i : positions) labels.push_back(store.sample(i).defective);
  return labels;
}

std::vector<Fold> choose_folds(const RunConfig& config, const RunFolder& folder, Start start,
                               const ImageStore& store) {
  // A resumed run keeps its folds, even if its --split file no longer exists.
  const bool keep = start == Start::resume && is_there(folder.split());
  if (keep) check_split(folder);
  const std::filesystem::path file =
      keep ? folder.split() : std::filesystem::path(config.split_file);
  if (file.empty())
    return stratified_folds(labels_of(store, all_of(store)), config.folds, config.seed);
  std::vector<Fold> folds = read_folds(file, store.samples());
  ASSAY_CHECK_AS(UsageError, folds.size() == static_cast<size_t>(config.folds),
                 "{}: has {} folds; give --folds {}", file.string(), folds.size(), folds.size());
  return folds;
}

/// The trainings of a run, one per fold.
class CrossValidation {
 public:
  CrossValidation(CnnDetector& detector, const RunFolder& folder, const ImageStore& store,
                  const std::vector<Fold>& folds)
      : detector_(detector),
        config_(detector.config()),
        folder_(folder),
        store_(store),
        folds_(folds) {}

  std::vector<TrainingResult> train(const TrainingHooks& hooks) {
    std::vector<TrainingResult> results;
    for (int fold = 0; fold < config_.folds; ++fold) results.push_back(train_fold(fold, hooks));
    detector_.set_collapsed(!config_.untrained && collapsed());
    detector_.note_sizes(store_);
    detector_.save(folder_);
    return results;
  }

  std::vector<double> probabilities(int fold, const std::vector<size_t>& positions) const {
    std::vector<double> values;
    for_each_batch(config_, store_, positions, {}, [&](const Batch& batch) {
      const std::vector<double> more = detector_.probabilities(fold, batch.x);
      values.insert(values.end(), more.begin(), more.end());
    });
    return values;
  }

 private:
  /// Weight of a defective image. With --class-weights the defective images of a fold count as much
  /// as the good ones.
  double weight_of_defects(const Fold& fold) const {
    if (!config_.class_weights) return 1;
    const std::vector<uint8_t> labels = labels_of(store_, fold.train);
    const auto defective = std::count(labels.begin(), labels.end(), 1);
    return static_cast<double>(labels.size() - defective) / static_cast<double>(defective);
  }

  TrainingResult train_fold(int number, const TrainingHooks& hooks) {
    const Fold& fold = folds_[number];
    // The seed of its weights, batches and generators, so that one good draw does not favour all.
    const uint64_t seed =
        derived_seed(config_.seed, RandomStream::fold, static_cast<uint64_t>(number));
    const RunFolder of_fold = folder_.fold(number);
    of_fold.create();
    Network& network = detector_.network(number);
    init_parameters(network, init_from_name(config_.init), seed);
    if (config_.untrained) return TrainingResult();
    const AugmentedImages images =
        augment(config_, store_, fold.train, seed, of_fold, hooks_of_generator(number, hooks));
    BatchLoader batches(images.store, images.train,
                        {.batch = config_.batch,
                         .seed = seed,
                         .flips = config_.flips,
                         .shifts = config_.shifts,
                         .labels = true});
    ClassifierStep step(network, config_, weight_of_defects(fold));
    const TrainingTask task{
        .model = config_.preset, .step = step, .batches = batches, .validation_loss = [&] {
          return mean_loss(step, config_, store_, fold.validation);
        }};
    return assay::train(task, config_, of_fold, hooks_of_fold(number, hooks));
  }

  /// The hooks of the run, with this fold's number in notes and messages.
  TrainingHooks hooks_of_generator(int number, const TrainingHooks& hooks) const {
    TrainingHooks mine = hooks;
    mine.progress = [this, number, &hooks](const TrainingProgress& at) {
      TrainingProgress of_fold = at;
      of_fold.note = fmt::format("fold {} of {}, {}", number + 1, config_.folds, at.note);
      hooks.progress(of_fold);
    };
    mine.say = hooks_of_fold(number, hooks).say;
    return mine;
  }

  /// The hooks of the run, with progress over all folds and this fold's number in messages.
  TrainingHooks hooks_of_fold(int number, const TrainingHooks& hooks) const {
    TrainingHooks mine = hooks;
    mine.progress = [this, number, &hooks](const TrainingProgress& at) {
      TrainingProgress all = at;
      all.step += number * at.max_steps;
      all.max_steps *= config_.folds;
      all.note = fmt::format("fold {} of {}, epoch {}, loss {:.5f}", number + 1, config_.folds,
                             at.epoch, at.loss);
      hooks.progress(all);
    };
    mine.say = [number, &hooks](const std::string& line) {
      hooks.say(fmt::format("fold {}: {}", number + 1, line));
    };
    return mine;
  }

  bool collapsed() const {
    for (int fold = 0; fold < config_.folds; ++fold) {
      const std::vector<double> p = probabilities(fold, folds_[fold].validation);
      if (p.size() > 1 && mean_deviation(p).deviation < kCollapsedDeviation) return true;
    }
    return false;
  }

  CnnDetector& detector_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const ImageStore& store_;
  const std::vector<Fold>& folds_;
};

/// Summary over the folds that have the metric; empty if none has.
std::optional<SeedSummary> summary_over(const std::vector<FoldMetrics>& folds,
                                        std::optional<double> FoldMetrics::*metric) {
  std::vector<double> values;
  for (const FoldMetrics& fold : folds)
    if (fold.*metric) values.push_back(*(fold.*metric));
  if (values.empty()) return std::nullopt;
  return summarize_seeds(values);
}

/// Scores and metrics of one fold.
struct EvaluatedFold {
  FoldMetrics metrics;
  Confusion at_validation_threshold;
  std::vector<double> scores;  ///< of fold.test
};

EvaluatedFold evaluate_fold(int number, const Fold& fold, const CrossValidation& run,
                            const ImageStore& store, const TrainingResult& training,
                            double threshold) {
  EvaluatedFold result;
  result.scores = run.probabilities(number, fold.test);
  const std::vector<Level> test = rank_scores(result.scores, labels_of(store, fold.test));
  const std::vector<Level> validation =
      rank_scores(run.probabilities(number, fold.validation), labels_of(store, fold.validation));
  // The folds are stratified, so a fold's validation images have defects among them.
  const std::optional<F1Max> best = f1_max(validation);
  const double validation_threshold = best ? best->threshold : threshold;
  result.at_validation_threshold = confusion_at(test, validation_threshold);
  result.metrics = {.image_auroc = auroc(test),
                    .f1 = confusion_at(test, threshold).f1(),
                    .f1_all_positive = f1_all_positive(test),
                    .validation_threshold = validation_threshold,
                    .f1_validation_threshold = result.at_validation_threshold.f1(),
                    .train_images = static_cast<int64_t>(fold.train.size()),
                    .validation_images = static_cast<int64_t>(fold.validation.size()),
                    .test_images = static_cast<int64_t>(fold.test.size()),
                    .epochs = training.epochs,
                    .steps = training.steps,
                    .best_epoch = training.best_epoch,
                    .best_validation_loss = training.best_validation_loss,
                    .seconds_train = training.history.seconds()};
  return result;
}

/// Writes into `out`.
DetectorMetrics evaluate_folds(CnnDetector& detector, const RunConfig& config,
                               const RunFolder& folder, const RunFolder& out,
                               const ImageStore& store, const std::vector<Fold>& folds,
                               const std::vector<TrainingResult>& trainings) {
  const CrossValidation run(detector, folder, store, folds);
  // A pooled image has one score, that of the fold that tested it.
  Scoring pooled = detector.scoring();
  pooled.component_names.clear();
  pooled.components_in_score = 0;
  std::vector<ScoredImage> images(store.size());
  CrossValidationMetrics over_folds;
  Confusion at_validation_thresholds;
  RunFacts facts{.collapsed = detector.collapsed()};
  for (int f = 0; f < config.folds; ++f) {
    const EvaluatedFold fold =
        evaluate_fold(f, folds[f], run, store, trainings[f], pooled.threshold);
    for (size_t i = 0; i < folds[f].test.size(); ++i) {
      const Sample& sample = store.sample(folds[f].test[i]);
      images[folds[f].test[i]] = {.path = sample.path,
                                  .set = fmt::format("fold{}", f),
                                  .defective = sample.defective,
                                  .defect = sample.defect,
                                  .components = {},
                                  .score = fold.scores[i],
                                  .predicted_defective = pooled.is_defective(fold.scores[i])};
    }
    at_validation_thresholds += fold.at_validation_threshold;
    const FoldMetrics& m = over_folds.folds.emplace_back(fold.metrics);
    facts.seconds_train += m.seconds_train;
    facts.epochs = std::max(facts.epochs, static_cast<int>(m.epochs));
    facts.steps += m.steps;
    facts.train_images = std::max(facts.train_images, m.train_images);
    facts.validation_images = std::max(facts.validation_images, m.validation_images);
    facts.best_epoch = std::max(facts.best_epoch, static_cast<int>(m.best_epoch));
    facts.best_validation_loss += m.best_validation_loss / config.folds;
  }
  write_scores(out.scores(), images, pooled);
  over_folds.f1_validation_threshold = at_validation_thresholds.f1();
  over_folds.image_auroc = summary_over(over_folds.folds, &FoldMetrics::image_auroc);
  over_folds.f1 = summary_over(over_folds.folds, &FoldMetrics::f1);
  over_folds.fold_f1_validation_threshold =
      summary_over(over_folds.folds, &FoldMetrics::f1_validation_threshold);
  DetectorMetrics metrics = detector_metrics(config, pooled, images, std::nullopt, facts);
  metrics.image_sizes = describe_sizes(store.file_sizes());
  metrics.cross_validation = std::move(over_folds);
  metrics.why_no_pixel_metrics = config.model + " predicts whole images";
  write_metrics(out, metrics);
  return metrics;
}

}  // namespace

namespace {

void check_has_defects(const Dataset& data, const RunConfig& config) {
  const bool has_defects = std::any_of(data.test.begin(), data.test.end(),
                                       [](const Sample& sample) { return sample.defective; });
  std::vector<std::string> others = model_names();
  std::erase_if(others, [](const std::string& name) {
    const ModelSpec& model = find_model(name);
    return model.learns_from_defects || !model.make_detector;
  });
  ASSAY_CHECK_AS(UsageError, has_defects,
                 "{}: learns from images of defects too, and there are none; give --bad, or train "
                 "one of {}, which learn from good images alone",
                 config.model, fmt::join(others, ", "));
}

}  // namespace

DetectorMetrics train_cnn(const RunConfig& config, const RunFolder& folder, Start start,
                          const TrainingHooks& hooks) {
  const Dataset data = open_data(config);
  check_has_defects(data, config);
  const ImageStore store = read_images(config, pooled(data), false);
  const std::vector<Fold> folds = choose_folds(config, folder, start, store);
  const std::vector<std::string> remarks = remarks_on(data, config, store, nullptr);
  begin_run(config, folder, start);
  write_folds(folder.split(), folds, store.samples());
  hooks.say(fmt::format(
      "{}: {} images in {} folds of about {} training, {} validation and {} test images",
      config.object_class, store.size(), folds.size(), folds.front().train.size(),
      folds.front().validation.size(), folds.front().test.size()));
  for (const std::string& remark : remarks) hooks.say(remark);
  CnnDetector detector(config, find_preset(config.preset).make);
  const std::vector<TrainingResult> trainings =
      CrossValidation(detector, folder, store, folds).train(hooks);
  if (detector.collapsed())
    hooks.say(
        "a fold collapsed: its probability is the same for every validation image; try another "
        "--seed, a smaller --lr or --class-weights");
  return evaluate_folds(detector, config, folder, folder, store, folds, trainings);
}

DetectorMetrics evaluate_cnn(const RunConfig& config, const RunFolder& folder,
                             const RunFolder& out) {
  CnnDetector detector(config, find_preset(config.preset).make);
  detector.load(folder);
  check_split(folder);
  const Dataset data = open_data(config);
  const ImageStore store = read_images(config, pooled(data), false);
  const std::vector<Fold> folds = choose_folds(config, folder, Start::resume, store);
  use_threshold(detector, config, folder, out);
  std::vector<TrainingResult> trainings;
  for (int f = 0; f < config.folds; ++f)
    trainings.push_back(read_result(config, folder.fold(f),
                                    augmented_count(config, labels_of(store, folds[f].train))));
  return evaluate_folds(detector, config, folder, out, store, folds, trainings);
}

}  // namespace assay
