#include "models/detector_evaluation.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "data/image_io.h"
#include "models/evaluation/pixel_metrics.h"
#include "models/figures.h"
#include "models/run_data.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace

ScoredImage scored(const Sample& sample, const std::string& set, const std::vector<double>& parts,
                   const Scoring& scoring) {
  ScoredImage image{.path = sample.path, .set = set, .defect = sample.defect, .parts = parts};
  scoring.judge(image);
  return image;
}

RunFacts facts_of(const RunConfig& config, const RunFolder& folder, int64_t train_images,
                  int64_t validation_images, bool collapsed) {
  RunFacts facts{
      .train_images = train_images, .validation_images = validation_images, .collapsed = collapsed};
  for (const EpochRecord& e : folder.read_history()) {
    facts.seconds_train += e.seconds;
    facts.epochs = e.epoch;
    if (facts.best_epoch == 0 || e.validation_loss < facts.best_validation_loss) {
      facts.best_epoch = e.epoch;
      facts.best_validation_loss = e.validation_loss;
    }
  }
  facts.steps = facts.epochs * ((train_images + config.batch - 1) / config.batch);
  if (config.steps > 0) facts.steps = std::min(facts.steps, config.steps);
  return facts;
}

Json evaluate_on(const ImageStore& test, bool masks, Detector& detector, const RunConfig& config,
                 const RunFolder& folder) {
  const int64_t H = config.image_size, W = H, C = config.channels(), pixels = H * W;
  std::vector<ScoredImage> images;
  PixelEvaluation pixel_evaluation;
  FigureWriter figures(folder, detector.heat_scale());
  const std::vector<size_t> positions = all_of(test);
  const std::vector<size_t> noisy = noisy_among(positions, config.test_noise, config.seed);
  note_noise(folder, "test", test, noisy);
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

  std::ifstream in(folder.split());
  const Json split = Json::parse(in, nullptr, false);
  const auto count = [&](const char* part) {
    return split.is_object() && split.contains(part) ? static_cast<int64_t>(split[part].size()) : 0;
  };
  const RunFacts facts =
      facts_of(config, folder, count("train"), count("validation"), detector.collapsed());
  const Json metrics = metrics_json(config, detector.scoring(), images, pixel_metrics, facts);
  write_file(folder.metrics(), metrics.dump(2) + "\n");
  return metrics;
}

Json evaluate_detector(const RunConfig& config, const RunFolder& folder) {
  const std::unique_ptr<Detector> detector = load_detector(folder);
  const Dataset data = open_data(config);
  const ImageStore test = read_pictures(config, data.test, true);
  folder.create();
  return evaluate_on(test, data.has_masks(), *detector, config, folder);
}

}  // namespace assay
