#include "models/experiments/one_class_run.h"

#include <fmt/format.h>

namespace assay {
OneClassImages begin_one_class_run(const RunConfig& config, const RunFolder& folder, Start start,
                                   bool masks) {
  Dataset data = open_data(config);
  Split split = choose_split(config, folder, start, data);
  test_on_the_rest(paths_in_split(split, data.train_good), data);
  ImageStore good = read_images(config, data.train_good, false);
  ImageStore test = read_images(config, data.test, masks);
  std::vector<std::string> remarks = remarks_on(data, config, good, &test);
  if (const std::string why = why_no_pixel_metrics(data.test); masks && !why.empty())
    remarks.push_back(why + ": no pixel metrics");
  check_figure_names(folder, data.test);
  begin_run(config, folder, start);
  write_split(folder.split(), split, data.train_good);
  return {std::move(data), std::move(split), std::move(good), std::move(test), std::move(remarks)};
}

void say_beginning(const TrainingHooks& hooks, const std::string& headline,
                   const std::vector<std::string>& remarks) {
  hooks.say(headline);
  for (const std::string& remark : remarks) hooks.say(remark);
}

void say_beginning(const TrainingHooks& hooks, const RunConfig& config,
                   const OneClassImages& images) {
  say_beginning(
      hooks,
      fmt::format("{}: {} training, {} validation and {} test images", config.object_class,
                  images.split.train.size(), images.split.validation.size(), images.test.size()),
      images.remarks);
}

void LongPart::operator()(double done) {
  constexpr std::chrono::seconds kNewsInterval(5);
  if (hooks_.stop_requested())
    throw Interrupted(fmt::format("interrupted while {}; go on with --resume", doing_));
  if (std::chrono::steady_clock::now() - said_ < kNewsInterval) return;
  said_ = std::chrono::steady_clock::now();
  hooks_.say(fmt::format("{}: {:.0f} % done", doing_, 100 * done));
}

void calibrate_on_held_out(Detector& detector, const OneClassImages& images,
                           const TrainingNoise& noise, const RunFolder& folder,
                           const TrainingHooks& hooks, bool score_training) {
  const RunConfig& config = detector.config();
  const Split& split = images.split;
  LongPart part(hooks, "scoring the good images");
  size_t predicted = 0;
  const auto predict = [&](const Batch& batch) {
    part(static_cast<double>(predicted) /
         static_cast<double>(split.validation.size() + (score_training ? split.train.size() : 0)));
    predicted += batch.images.size();
    return detector.predict(batch.x);
  };
  std::vector<Prediction> held_out;
  for_each_batch(config, images.good, split.validation, noise.validation,
                 [&](const Batch& batch) { held_out.push_back(predict(batch)); });
  detector.calibrate_on(held_out);
  detector.note_sizes(images.good);
  std::vector<ScoredImage> all;
  const auto add = [&](const char* set, size_t image, const std::vector<double>& components) {
    all.push_back(scored(images.good.sample(image), set, components, detector.scoring()));
  };
  if (score_training)
    for_each_batch(config, images.good, split.train, noise.train, [&](const Batch& batch) {
      const Prediction prediction = predict(batch);
      for (size_t n = 0; n < batch.images.size(); ++n)
        add("train", batch.images[n], prediction.components[n]);
    });
  size_t next = 0;
  for (const Prediction& prediction : held_out)
    for (const std::vector<double>& image : prediction.components)
      add("validation", split.validation[next++], image);
  write_scores(folder.good_scores(), all, detector.scoring());
}

TrainingResult write_single_pass(const RunConfig& config, const RunFolder& folder,
                                 size_t train_images, double loss, double seconds) {
  History history({"epoch", "train_loss", "validation_loss", "seconds"});
  history.add({1, loss, loss, seconds});
  history.write(folder.history());
  return read_result(config, folder, train_images);
}

DetectorMetrics finish_one_class_run(Detector& detector, const OneClassImages& images,
                                     const TrainingResult& result, const RunFolder& folder) {
  return evaluate_on(images.test, images.data.has_masks(), detector, detector.config(), folder,
                     folder,
                     facts_of(result, images.split.train.size(), images.split.validation.size(),
                              detector.collapsed()));
}

}  // namespace assay
