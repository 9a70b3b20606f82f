// The folder of a run: names of its files, creating, clearing and locking it.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/atomic_file.h"

namespace assay {

/// Error if a folder of a run is a symbolic link: writing never leaves the run.
void check_no_link(const std::filesystem::path& folder);

/// How a run starts in its folder.
enum class Start {
  fresh,   ///< the folder must be empty
  resume,  ///< continue a run if there is one
  force,   ///< delete the run in the folder
};

/// The folder of one run. Constructing it does not touch the disk.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.json"; }
  std::filesystem::path split() const { return root_ / "split.json"; }
  std::filesystem::path history() const { return root_ / "history.csv"; }
  /// The rule of the threshold, if it was changed after the training.
  std::filesystem::path threshold() const { return root_ / "threshold.json"; }
  std::filesystem::path metrics() const { return root_ / "metrics.json"; }
  std::filesystem::path scores() const { return root_ / "scores.csv"; }
  /// The machine that trained it, for the report.
  std::filesystem::path machine() const { return root_ / "machine.json"; }
  std::filesystem::path noise() const { return root_ / "noise.json"; }
  std::filesystem::path good_scores() const { return root_ / "good_scores.csv"; }
  std::filesystem::path model() const { return root_ / "model.safetensors"; }
  std::filesystem::path latents() const { return root_ / "latents.safetensors"; }
  std::filesystem::path memorisation() const { return root_ / "memorisation.csv"; }
  /// Metrics over variance and share of noisy test images.
  std::filesystem::path noise_sweep() const { return root_ / "noise_sweep.csv"; }
  std::filesystem::path checkpoint() const { return root_ / "checkpoint.safetensors"; }
  std::filesystem::path figures() const { return root_ / "figures"; }
  /// Strips of the wrongly predicted images.
  std::filesystem::path misses() const { return figures() / "strip_misses.png"; }
  std::filesystem::path false_alarms() const { return figures() / "strip_false_alarms.png"; }
  /// Names of the figure of an image of a kind of defect; the figures with its noise and
  /// of the nearest training image have a prefix.
  static std::string figure_name(const std::string& defect, const std::filesystem::path& image);
  static constexpr std::string_view kNoisePrefix = "noise_";
  static constexpr std::string_view kNearestPrefix = "nearest_";
  /// The folder of fold i (from 0) of a cross-validation.
  RunFolder fold(int i) const {
    RunFolder fold(root_ / fmt::format("fold{}", i));
    fold.is_fold_ = true;
    return fold;
  }

  /// Whether the folder does not exist or is empty; temporary files and empty folders do not count.
  bool empty() const;
  /// Whether the run is trained and evaluated: metrics.json is written last.
  bool finished() const {
    std::error_code ignored;  // a folder that cannot be read counts as unfinished
    return std::filesystem::exists(metrics(), ignored);
  }
  /// Creates the folder; Error if that fails, or if the folder of a fold is a symbolic link. A link
  /// in the place of figures/ is replaced.
  void create() const;
  /// As create(); with Start::force the old run is deleted first.
  void begin(Start start) const;
  /// Removes the files of a run and nothing else; a symbolic link in the place of one is removed,
  /// not followed.
  void clear() const;
  /// Removes temporary files of a killed process, and completes an evaluation that was killed while
  /// it replaced the old one. Requires a RunClaim.
  void recover() const;
  /// Error if a file of the run would have a longer name or path, with the suffix that it has while
  /// it is written, than the file system takes. `figures`: names of figures that will be written.
  void check_names(const std::vector<std::string>& figures) const;

 private:
  friend class StagedFiles;
  std::vector<std::filesystem::path> files() const;
  void remove_leftovers() const;
  /// The folder of a complete evaluation that replaces the old one.
  std::filesystem::path evaluation() const { return root_ / "evaluation.new"; }
  void take_evaluation() const;
  /// Names of the figures of the images in scores.csv.
  std::vector<std::string> scored_figures() const;
  /// Of the trainings of a cross-validation, those that there are and are no symbolic links.
  std::vector<RunFolder> folds() const;

  std::filesystem::path root_;
  bool is_fold_ = false;
};

/// A new evaluation of a run, prepared beside the old one. The run is unchanged until commit(); if
/// the process is killed within commit(), the next recover() completes it.
class StagedFiles {
 public:
  /// CheckpointError if a folder has the name of a file.
  explicit StagedFiles(const RunFolder& run);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;

  /// The folder for scores.csv, noise.json, memorisation.csv, metrics.json and figures.
  const RunFolder& folder() const { return staged_; }
  /// Replaces the run's files by these. Old figures of its images are deleted, other files stay.
  void commit();

 private:
  const RunFolder run_;
  RunFolder staged_;
};

/// A lock of one process on a run folder, until the end of a scope. It creates the folder if there
/// is none, and removes it again if nothing was written into it.
class RunClaim {
 public:
  /// UsageError if another process holds the lock; Error if the folder cannot be created.
  explicit RunClaim(const RunFolder& folder);
  ~RunClaim();
  RunClaim(const RunClaim&) = delete;
  RunClaim& operator=(const RunClaim&) = delete;

 private:
  std::vector<std::filesystem::path> made_;  ///< created folders, the outermost first
  int lock_ = -1;
};

}  // namespace assay
