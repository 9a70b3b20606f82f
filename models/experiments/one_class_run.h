// Shared parts of runs that learn from good images alone: reading images and preparing the folder,
// calibration on held-out images, history of a model that is fitted in one pass, evaluation.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "data/loader.h"
#include "data/split.h"
#include "models/detectors/detector.h"
#include "models/experiments/detector_evaluation.h"
#include "models/run/data.h"
#include "models/training/trainer.h"

namespace assay {

/// The images of a run, and how the good ones are split.
struct OneClassImages {
  Dataset data;
  Split split;      ///< positions in `good`
  ImageStore good;  ///< data.train_good
  ImageStore test;  ///< data.test
  std::vector<std::string> remarks;
};

/// Reads every image, then writes config.json, machine.json and split.json. A damaged image thus
/// stops a run before it trains for hours and before --force deletes the old one. `masks`: reads
/// the masks of test images and notes missing ones. DataError, UsageError.
OneClassImages begin_one_class_run(const RunConfig& config, const RunFolder& folder, Start start,
                                   bool masks = true);

/// Prints the headline of a run, then its remarks.
void say_beginning(const TrainingHooks& hooks, const std::string& headline,
                   const std::vector<std::string>& remarks);
/// As above, with the numbers of training, validation and test images as the headline.
void say_beginning(const TrainingHooks& hooks, const RunConfig& config,
                   const OneClassImages& images);

/// The noise of a training condition (--train-noise), equation 7 of the study: positions in the
/// store of good images.
struct TrainingNoise {
  TrainingNoise(const RunConfig& config, const Split& split)
      : train(noisy_among(config, split.train, config.train_noise)),
        validation(noisy_among(config, split.validation, config.train_noise)) {}
  std::vector<size_t> train, validation;
};

/// A part of a run that has no epochs: says its progress every few seconds and ends on a request
/// to stop.
class LongPart {
 public:
  /// "scoring the good images"
  LongPart(const TrainingHooks& hooks, std::string doing)
      : hooks_(hooks), doing_(std::move(doing)) {}
  /// To be called often with the share that is done, 0 to 1. Throws Interrupted.
  void operator()(double done);

 private:
  const TrainingHooks& hooks_;
  std::string doing_;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

/// Calibrates a fitted detector on the validation images and writes the scores of the good images
/// for the report's histograms (good_scores.csv); those of the training images only if
/// `score_training`. The images have the noise that was trained on.
void calibrate_on_held_out(Detector& detector, const OneClassImages& images,
                           const TrainingNoise& noise, const RunFolder& folder,
                           const TrainingHooks& hooks, bool score_training = true);

/// Writes the only line of history.csv of a model that is fitted in one pass over its images;
/// `loss` is its training and its validation loss.
TrainingResult write_single_pass(const RunConfig& config, const RunFolder& folder,
                                 size_t train_images, double loss, double seconds);

/// evaluate_on() for the run's test images.
DetectorMetrics finish_one_class_run(Detector& detector, const OneClassImages& images,
                                     const TrainingResult& result, const RunFolder& folder);

}  // namespace assay
