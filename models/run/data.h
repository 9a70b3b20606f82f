// The images of a run: lists of them, reading at the model's size, noise, batches.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "data/loader.h"
#include "data/split.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// Opens what --data, --class, --good, --bad and --masks name.
Dataset open_data(const RunConfig& config);

/// Where Dataset::draws_test: makes data.test all images that are not in the run's split
/// (`learnt`), sorted by path. Does nothing for data sets with a test folder.
void test_on_the_rest(const std::set<std::string>& learnt, Dataset& data);

/// The data to evaluate a finished training on. Uses split.json, because the data folder may have
/// changed since the training. CheckpointError for a missing or damaged split.json.
Dataset open_data_of(const RunConfig& config, const RunFolder& folder);

/// Numbers of images in a run's split; zeros for a split into folds.
struct SplitSizes {
  int64_t train = 0, validation = 0;
};
/// Reads split.json of a run. CheckpointError if it is missing or no split. Whether its images
/// exist is checked by read_split and read_folds.
SplitSizes check_split(const RunFolder& folder);

/// Deletes an old run if `start` is force, and writes config.json and machine.json. Call it after
/// all images were read; then write the split, and metrics.json last.
void begin_run(const RunConfig& config, const RunFolder& folder, Start start);

/// Reads all images at the size of `config`. DataError for the first that cannot be read.
ImageStore read_images(const RunConfig& config, std::vector<Sample> samples, bool masks);

/// The split of the good images:
/// - that of the run folder, if it has one and the run is resumed;
/// - else that of the --split file;
/// - else one drawn from the seed.
/// A file may name any good image of --good data, so good test images are moved to data.train_good:
/// read the images after this call, and call test_on_the_rest() then. DataError for a file that
/// does not fit, or has fewer than two images to train or to validate with.
Split choose_split(const RunConfig& config, const RunFolder& folder, Start start, Dataset& data);

/// The configuration with --bit-depth auto replaced by the bits that the training images use; a
/// resumed run keeps the number in its config.json.
RunConfig with_bit_depth(const RunConfig& config, const RunFolder& folder, Start start);

/// DecodeOptions::bit_depth of a configuration.
int bit_depth_of(const RunConfig& config);

/// Messages of `train` about its images: notes on folders and images (findings.h), and how many
/// files were read and ignored, and why. `test` is null for a cross-validation. DataError for the
/// first problem of findings.h.
std::vector<std::string> remarks_on(const Dataset& data, const RunConfig& config,
                                    const ImageStore& training, const ImageStore* test);

/// The positions 0, 1, ... of all images of a store.
std::vector<size_t> all_of(const ImageStore& store);

/// The positions among `listed` that get noise (equation 7 of the study) under `condition`, clean
/// or noisy: the share of `config`, drawn from its seed.
std::vector<size_t> noisy_among(const RunConfig& config, const std::vector<size_t>& listed,
                                const std::string& condition);

/// Writes into noise.json which images of a set (train, validation, test) have noise. A run without
/// noise has no such file.
void note_noise(const RunFolder& folder, const char* set, const ImageStore& store,
                const std::vector<size_t>& noisy);

/// Calls f for batches of `images` in their order. Those in `noisy` have noise; Batch::clean is
/// always set.
void for_each_batch(const RunConfig& config, const ImageStore& store,
                    const std::vector<size_t>& images, const std::vector<size_t>& noisy,
                    const std::function<void(const Batch&)>& f);

}  // namespace assay
