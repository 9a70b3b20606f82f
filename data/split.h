// The split of good images into training and validation, and the folds of a cross-validation.
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

/// Positions in Dataset::train_good, ascending. Early stopping and thresholds use `validation`.
struct Split {
  std::vector<size_t> train, validation;
};

/// Draws round(15 % of n) images, at least kMinValidation, for validation from the seed. DataError
/// if n < kMinValidation + kMinTrain.
Split draw_split(size_t n, uint64_t seed);

/// Moves a fifth of the good training images (at least 1), drawn from the seed, into the test: for
/// images that come without a division. DataError for fewer than 2.
void hold_out_test(Dataset& data, uint64_t seed);

/// {"train": [paths], "validation": [paths]} of Sample::path.
void write_split(const std::filesystem::path& file, const Split& split,
                 const std::vector<Sample>& samples);
/// Accepts Sample::path, any path that ends in it, and bare file names. DataError for a file that
/// is not such a split, an image that is not in `samples`, one that is named twice, or an empty
/// list.
Split read_split(const std::filesystem::path& file, const std::vector<Sample>& samples);

/// All paths that a split file names, whether the images exist or not. DataError for a file that is
/// not a split.
std::set<std::string> paths_in_split(const std::filesystem::path& file);
std::set<std::string> paths_in_split(const Split& split, const std::vector<Sample>& samples);

/// Positions in the pooled samples, ascending. Each is in `test` of exactly one fold.
struct Fold {
  std::vector<size_t> train, validation, test;
};

/// k folds with equal shares of defective images, as far as possible. In each fold 15 % of the good
/// and 15 % of the defective images that it does not test validate. `defective`: 1 or 0 per image.
/// DataError for fewer good or defective images than folds (4 for k = 2); UsageError for k < 2.
std::vector<Fold> stratified_folds(std::span<const uint8_t> defective, int k, uint64_t seed);

/// {"folds": [{"train": [paths], "validation": [paths], "test": [paths]}, ...]}.
void write_folds(const std::filesystem::path& file, const std::vector<Fold>& folds,
                 const std::vector<Sample>& samples);
/// Accepts names as read_split does. DataError for a file that is not such a list, an image that is
/// not in `samples`, one that is named twice in a fold or tested in two, or an empty list.
std::vector<Fold> read_folds(const std::filesystem::path& file, const std::vector<Sample>& samples);

}  // namespace assay
