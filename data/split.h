// Which images train, which calibrate, and the folds of the supervised model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace assay {

inline constexpr double kValidationShare = 0.15, kTestShare = 0.2;
inline constexpr size_t kMinValidation = 8, kMinTrain = 2;

/// Positions in Dataset::train_good, ascending. Validation is also what early stopping watches and
/// what thresholds are calibrated on.
struct Split {
  std::vector<size_t> train, validation;
};

/// round(15 % of n) images, at least 8, drawn from the seed, validate. DataError when n is less
/// than kMinValidation
/// + kMinTrain.
Split draw_split(size_t n, uint64_t seed);

/// Moves a fifth of the good training images (at least 1), drawn from the seed, into the test: for
/// images that come without a division. DataError for fewer than 2.
void hold_out_test(Dataset& data, uint64_t seed);

/// {"train": [paths], "validation": [paths]} of Sample::path.
void write_split(const std::filesystem::path& file, const Split& split,
                 const std::vector<Sample>& samples);
/// Accepts Sample::path, any path that ends in it, and bare file names. DataError for a file that
/// is not such a split, an image that is not in `samples`, one that is named twice, or an empty
/// part.
Split read_split(const std::filesystem::path& file, const std::vector<Sample>& samples);

/// All paths that such a file names, whether there is such an image or not. DataError for a file
/// that is not such a split.
std::set<std::string> paths_in_split(const std::filesystem::path& file);
std::set<std::string> paths_in_split(const Split& split, const std::vector<Sample>& samples);

/// Positions in the pooled samples, ascending. Each is in `test` of exactly one fold.
struct Fold {
  std::vector<size_t> train, validation, test;
};

/// k folds with the share of defective images in each as equal as can be; 15 % of the rest of
/// each class validates. `defective`: 1 or 0 per image. DataError when there are fewer good or
/// defective images than folds, or than training and validation need; UsageError for k < 2.
std::vector<Fold> stratified_folds(std::span<const uint8_t> defective, int k, uint64_t seed);

/// {"folds": [{"train": [paths], "validation": [paths], "test": [paths]}, ...]}.
void write_folds(const std::filesystem::path& file, const std::vector<Fold>& folds,
                 const std::vector<Sample>& samples);
/// Names as read_split takes them. DataError for a file that is not such a list, an image that is
/// not in `samples`, one that is named twice in a fold or tested in two, or an empty part.
std::vector<Fold> read_folds(const std::filesystem::path& file, const std::vector<Sample>& samples);

}  // namespace assay
