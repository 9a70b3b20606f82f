#include "models/experiments/cnn_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/runtime/philox.h"
#include "models/detectors/cnn_detector.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/scoring.h"
#include "models/evaluation/statistics.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/registry.h"
#include "models/run/data.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

std::vector<uint8_t> labels_of(const ImageStore& store, const std::vector<size_t>& positions) {
  std::vector<uint8_t> labels;
  for (const size_t i : positions) labels.push_back(store.sample(i).defective);
  return labels;
}

std::vector<Fold> choose_folds(const RunConfig& config, const RunFolder& folder, Start start,
                               const ImageStore& pictures) {
  // A resumed run keeps its folds, also when its --split file is gone by now.
  const bool keep = start == Start::resume && std::filesystem::exists(folder.split());
  const std::filesystem::path file =
      keep ? folder.split() : std::filesystem::path(config.split_file);
  if (file.empty())
    return stratified_folds(labels_of(pictures, all_of(pictures)), config.folds, config.seed);
  std::vector<Fold> folds = read_folds(file, pictures.samples());
  ASSAY_CHECK_AS(UsageError, folds.size() == static_cast<size_t>(config.folds),
                 "{}: has {} folds; give --folds {}", file.string(), folds.size(), folds.size());
  return folds;
}

/// Each fold draws its weights and batches anew, so that one lucky draw does not favour all folds.
uint64_t seed_of_fold(uint64_t seed, int fold) {
  RandomSequence random(seed, RandomStream::fold, static_cast<uint64_t>(fold));
  const uint64_t high = random.bits();
  return high << 32 | random.bits();
}

/// The trainings of a run, one for each fold.
class CrossValidation {
 public:
  CrossValidation(CnnDetector& detector, const RunFolder& folder, const ImageStore& pictures,
                  const std::vector<Fold>& folds)
      : detector_(detector),
        config_(detector.config()),
        folder_(folder),
        pictures_(pictures),
        folds_(folds) {}

  /// Returns the result of each fold's training.
  std::vector<TrainingResult> train(const TrainingHooks& hooks) {
    std::vector<TrainingResult> results;
    for (int fold = 0; fold < config_.folds; ++fold) results.push_back(train_fold(fold, hooks));
    detector_.set_collapsed(collapsed());
    detector_.save(folder_);
    return results;
  }

  std::vector<double> probabilities(int fold, const std::vector<size_t>& positions) const {
    std::vector<double> values;
    for_each_batch(config_, pictures_, positions, {}, [&](const Batch& batch) {
      const std::vector<double> more = detector_.probabilities(fold, batch.x);
      values.insert(values.end(), more.begin(), more.end());
    });
    return values;
  }

 private:
  /// With it the defective images of a fold weigh as much as its good ones.
  double weight_of_defects(const Fold& fold) const {
    if (!config_.class_weights) return 1;
    const std::vector<uint8_t> labels = labels_of(pictures_, fold.train);
    const auto defective = std::count(labels.begin(), labels.end(), 1);
    return static_cast<double>(labels.size() - defective) / static_cast<double>(defective);
  }

  TrainingResult train_fold(int number, const TrainingHooks& hooks) {
    const Fold& fold = folds_[number];
    const uint64_t seed = seed_of_fold(config_.seed, number);
    Network& network = detector_.network(number);
    init_parameters(network, init_from_name(config_.init), seed);
    BatchLoader batches(pictures_, fold.train,
                        {.batch = config_.batch,
                         .seed = seed,
                         .flips = config_.flips,
                         .shifts = config_.shifts,
                         .labels = true});
    ClassifierStep step(network, config_, weight_of_defects(fold));
    const TrainingTask task{
        .model = config_.preset, .step = step, .batches = batches, .validation_loss = [&] {
          return mean_loss(step, config_, pictures_, fold.validation);
        }};
    const RunFolder of_fold = folder_.fold(number);
    of_fold.create();
    return assay::train(task, config_, of_fold, hooks_of_fold(number, hooks));
  }

  /// The hooks of the run, with the progress counted over all folds and messages naming this fold.
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
  const ImageStore& pictures_;
  const std::vector<Fold>& folds_;
};

/// Mean and deviation of a metric over the folds that have it.
Json summary_over(const Json& folds, const char* metric) {
  std::vector<double> values;
  for (const Json& fold : folds)
    if (!fold[metric].is_null()) values.push_back(fold[metric]);
  if (values.empty()) return nullptr;
  const SeedSummary summary = summarize_seeds(values);
  return {{"mean", summary.mean}, {"deviation", json_of(summary.deviation)}};
}

/// What is known of one fold once its pictures are scored.
struct FoldVerdict {
  Json json;
  Confusion at_validation_threshold;
  std::vector<double> scores;  ///< of fold.test
  RunFacts facts;
};

FoldVerdict judge_fold(int number, const Fold& fold, const CrossValidation& run,
                       const ImageStore& pictures, const TrainingResult& training,
                       double threshold) {
  FoldVerdict verdict;
  verdict.scores = run.probabilities(number, fold.test);
  const std::vector<Level> test = rank_scores(verdict.scores, labels_of(pictures, fold.test));
  const std::vector<Level> validation =
      rank_scores(run.probabilities(number, fold.validation), labels_of(pictures, fold.validation));
  // The folds are stratified, so a fold's validation images have defects among them.
  const std::optional<F1Max> best = f1_max(validation);
  const double validation_threshold = best ? best->threshold : threshold;
  verdict.at_validation_threshold = confusion_at(test, validation_threshold);
  verdict.facts = facts_of(training, fold.train.size(), fold.validation.size(), false);
  verdict.json = {{"image_auroc", json_of(auroc(test))},
                  {"f1", json_of(confusion_at(test, threshold).f1())},
                  {"f1_all_positive", json_of(f1_all_positive(test))},
                  {"val_threshold", validation_threshold},
                  {"f1_val_threshold", json_of(verdict.at_validation_threshold.f1())},
                  {"train", fold.train.size()},
                  {"validation", fold.validation.size()},
                  {"test", fold.test.size()},
                  {"epochs", verdict.facts.epochs},
                  {"steps", verdict.facts.steps},
                  {"best_epoch", verdict.facts.best_epoch},
                  {"best_validation_loss", verdict.facts.best_validation_loss},
                  {"seconds_train", verdict.facts.seconds_train}};
  return verdict;
}

Json evaluate_folds(CnnDetector& detector, const RunConfig& config, const RunFolder& folder,
                    const ImageStore& pictures, const std::vector<Fold>& folds,
                    const std::vector<TrainingResult>& trainings) {
  std::filesystem::remove(folder.metrics());  // as evaluate_on() does, and for its reason
  const CrossValidation run(detector, folder, pictures, folds);
  // A pooled picture has one score, that of the fold that did not see it.
  const Scoring pooled{.rule = Scoring::Rule::mean,
                       .part_names = {},
                       .deciding = 0,
                       .calibration = {},
                       .threshold = detector.scoring().threshold};
  std::vector<ScoredImage> images(pictures.size());
  Json list = Json::array();
  Confusion at_validation_thresholds;
  RunFacts facts{.collapsed = detector.collapsed()};
  for (int f = 0; f < config.folds; ++f) {
    const FoldVerdict verdict =
        judge_fold(f, folds[f], run, pictures, trainings[f], pooled.threshold);
    for (size_t i = 0; i < folds[f].test.size(); ++i) {
      const Sample& sample = pictures.sample(folds[f].test[i]);
      images[folds[f].test[i]] = {.path = sample.path,
                                  .set = fmt::format("fold{}", f),
                                  .defect = sample.defect,
                                  .parts = {},
                                  .score = verdict.scores[i],
                                  .predicted_defective = verdict.scores[i] > pooled.threshold};
    }
    list.push_back(verdict.json);
    at_validation_thresholds += verdict.at_validation_threshold;
    facts.seconds_train += verdict.facts.seconds_train;
    facts.epochs = std::max(facts.epochs, verdict.facts.epochs);
    facts.steps += verdict.facts.steps;
    facts.train_images = std::max(facts.train_images, verdict.facts.train_images);
    facts.validation_images = std::max(facts.validation_images, verdict.facts.validation_images);
    facts.best_epoch = std::max(facts.best_epoch, verdict.facts.best_epoch);
    facts.best_validation_loss += verdict.facts.best_validation_loss / config.folds;
  }
  write_scores(folder.scores(), images, pooled);
  Json metrics = metrics_json(config, pooled, images, std::nullopt, facts);
  metrics["images"]["sizes"] = describe_sizes(pictures.file_sizes());
  metrics["f1_val_threshold"] = json_of(at_validation_thresholds.f1());
  metrics["folds"] = list;
  for (const char* metric : {"image_auroc", "f1", "f1_val_threshold"})
    metrics["folds_summary"][metric] = summary_over(list, metric);
  write_file(folder.metrics(), metrics.dump(2) + "\n");
  return metrics;
}

}  // namespace

Json train_cnn(const RunConfig& config, const RunFolder& folder, Start start,
               const TrainingHooks& hooks) {
  const Dataset data = open_data(config);
  const ImageStore pictures = read_pictures(config, pooled(data), false);
  const std::vector<Fold> folds = choose_folds(config, folder, start, pictures);
  begin_run(config, folder, start);
  write_folds(folder.split(), folds, pictures.samples());
  hooks.say(fmt::format(
      "{}: {} images in {} folds of about {} training, {} validation and {} test images",
      config.object_class, pictures.size(), folds.size(), folds.front().train.size(),
      folds.front().validation.size(), folds.front().test.size()));
  CnnDetector detector(config, find_preset(config.preset).make);
  const std::vector<TrainingResult> trainings =
      CrossValidation(detector, folder, pictures, folds).train(hooks);
  if (detector.collapsed())
    hooks.say(
        "a fold collapsed: its probability is the same for every validation image; try another "
        "--seed, a smaller --lr or --class-weights");
  return evaluate_folds(detector, config, folder, pictures, folds, trainings);
}

Json evaluate_cnn(const RunConfig& config, const RunFolder& folder) {
  CnnDetector detector(config, find_preset(config.preset).make);
  detector.load(folder);
  const Dataset data = open_data(config);
  const ImageStore pictures = read_pictures(config, pooled(data), false);
  const std::vector<Fold> folds = choose_folds(config, folder, Start::resume, pictures);
  std::vector<TrainingResult> trainings;
  for (int f = 0; f < config.folds; ++f)
    trainings.push_back(read_result(config, folder.fold(f), folds[f].train.size()));
  return evaluate_folds(detector, config, folder, pictures, folds, trainings);
}

std::string cnn_summary(const Json& metrics) {
  const auto number = [](const Json& value) {
    return value.is_null() ? "n/a" : fmt::format("{:.3f}", value.get<double>());
  };
  const Json& folds = metrics["folds_summary"];
  const Json &auroc = folds["image_auroc"], &f1 = folds["f1"];
  std::string text = summary_of(metrics);
  if (!auroc.is_null() && !f1.is_null())
    text += fmt::format("  over {} folds: AUROC {} +- {}, F1 {} +- {}\n", metrics["folds"].size(),
                        number(auroc["mean"]), number(auroc["deviation"]), number(f1["mean"]),
                        number(f1["deviation"]));
  return text + fmt::format("  F1 at the validation images' thresholds: {}\n",
                            number(metrics["f1_val_threshold"]));
}

}  // namespace assay
