// The images of a run: opened, read at the model's size, given noise, and handed out in batches.
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

/// What --data, --class, --good, --bad and --masks name.
Dataset open_data(const RunConfig& config);

/// Where the test's good images are drawn (Dataset::draws_test), every image is tested that is not
/// in the run's split: puts those into data.test, by path.
void test_on_the_rest(const std::set<std::string>& learnt, Dataset& data);

/// The data to evaluate a finished training on. What it has learnt from is in its split.json, while
/// a draw from what lies in the folder by now would know nothing of it. DataError also for a
/// damaged split.json.
Dataset open_data_of(const RunConfig& config, const RunFolder& folder);

/// Takes the folder once all images are read: what is in the way of a forced run goes,
/// config.json and machine.json are written. The run's split comes next, metrics.json last.
void begin_run(const RunConfig& config, const RunFolder& folder, Start start);

/// Reads every image at the size of `config`. DataError for the first that cannot be read.
ImageStore read_images(const RunConfig& config, std::vector<Sample> samples, bool masks);

/// The split of train/good: for a resumed run that of the folder where there is one already, even
/// when its --split file is gone by now; else that of --split, else one drawn from the seed.
/// DataError for one that does not fit, or has fewer than two images to train on or to validate
/// with. A split of a folder of one's own may name any good image, so those to be tested are put
/// among data.train_good then: read the images after this, and test_on_the_rest.
Split choose_split(const RunConfig& config, const RunFolder& folder, Start start, Dataset& data);

/// The configuration with --bit-depth auto replaced by what the training images use; a resumed run
/// keeps the number that its config.json has.
RunConfig with_bit_depth(const RunConfig& config, const RunFolder& folder, Start start);

/// Bits of images of 16 bits a value (DecodeOptions::bit_depth).
int bit_depth_of(const RunConfig& config);

/// What train says of its images once they are read: notes on the folders and on the images, and
/// how many files were read and ignored, and why. `test` is empty for a cross-validation. DataError
/// for the first problem that findings.h knows.
std::vector<std::string> remarks_on(const Dataset& data, const RunConfig& config,
                                    const ImageStore& training, const ImageStore* test);

/// 0, 1, ... for every image of a store.
std::vector<size_t> all_of(const ImageStore& store);

/// Those of `listed` that get noise (equation 7 of the study) under a condition, clean or noisy.
std::vector<size_t> noisy_among(const std::vector<size_t>& listed, const std::string& condition,
                                uint64_t seed);

/// Says in noise.json which images of a set (train, validation, test) have noise. A folder
/// without noise has no such file.
void note_noise(const RunFolder& folder, const char* set, const ImageStore& store,
                const std::vector<size_t>& noisy);

/// Hands out batches of a list of images in their order. `noisy` among them have noise; their
/// clean form is in Batch::clean of every batch.
void for_each_batch(const RunConfig& config, const ImageStore& store,
                    const std::vector<size_t>& images, const std::vector<size_t>& noisy,
                    const std::function<void(const Batch&)>& f);

}  // namespace assay
