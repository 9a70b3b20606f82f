// What a run leaves on disk: the names of its files, and how they are written.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/atomic_file.h"

namespace assay {

/// How a run takes its folder.
enum class Start {
  fresh,   ///< the folder must be empty
  resume,  ///< go on where there is something to go on with
  force,   ///< throw away what the folder holds of a run
};

/// A folder that holds one run. Making one touches nothing on disk.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.json"; }
  std::filesystem::path split() const { return root_ / "split.json"; }
  std::filesystem::path history() const { return root_ / "history.csv"; }
  std::filesystem::path metrics() const { return root_ / "metrics.json"; }
  std::filesystem::path scores() const { return root_ / "scores.csv"; }
  /// Where it was trained, for the report.
  std::filesystem::path machine() const { return root_ / "machine.json"; }
  std::filesystem::path noise() const { return root_ / "noise.json"; }
  std::filesystem::path good_scores() const { return root_ / "good_scores.csv"; }
  std::filesystem::path model() const { return root_ / "model.safetensors"; }
  std::filesystem::path latents() const { return root_ / "latents.safetensors"; }
  std::filesystem::path memorisation() const { return root_ / "memorisation.csv"; }
  std::filesystem::path checkpoint() const { return root_ / "checkpoint.safetensors"; }
  std::filesystem::path figures() const { return root_ / "figures"; }
  /// The figure of an image of a kind of defect, and the one with its noise.
  static std::string figure_name(const std::string& defect, const std::filesystem::path& image);
  static constexpr std::string_view kNoisePrefix = "noise_";
  /// Of a cross-validation: a folder of its own for the training of each fold, from 0.
  RunFolder fold(int i) const {
    RunFolder fold(root_ / fmt::format("fold{}", i));
    fold.is_fold_ = true;
    return fold;
  }

  /// Nothing is there, or an empty folder.
  bool empty() const;
  /// Trained and evaluated: metrics.json is written last.
  bool finished() const {
    std::error_code ignored;  // a folder that may not be read holds no run of ours
    return std::filesystem::exists(metrics(), ignored);
  }
  /// Makes the folder; Error when that cannot be done, as where the folder of a fold or of the
  /// figures is a symbolic link: writing never leaves the run.
  void create() const;
  /// The same for a run that has read all it needs: one that is forced throws the old one away now.
  void begin(Start start) const;
  /// Removes the files named above, and nothing else; of a symbolic link in their place the link.
  void clear() const;
  /// Removes what a kill has left of these files while they were written, and ends an evaluation
  /// that was killed while it replaced them. For who has claimed the folder.
  void recover() const;
  /// Error where a file of the run, as long as it is written, would have a longer name than the
  /// file system takes; `figures`: names of figures to come.
  void check_names(const std::vector<std::string>& figures) const;

 private:
  friend class StagedFiles;
  std::vector<std::filesystem::path> files() const;
  void remove_leftovers() const;
  /// Where an evaluation stands that is whole and replaces the old one.
  std::filesystem::path evaluation() const { return root_ / "evaluation.new"; }
  void take_evaluation() const;
  /// Names of the figures that scores.csv speaks of.
  std::vector<std::string> scored_figures() const;
  /// Of the trainings of a cross-validation, those that there are and are no symbolic links.
  std::vector<RunFolder> folds() const;

  std::filesystem::path root_;
  bool is_fold_ = false;
};

/// A new evaluation of a run, prepared beside the old one. Until commit() the run stays as it was;
/// a kill within commit() is made good by the next recover().
class StagedFiles {
 public:
  explicit StagedFiles(const RunFolder& run);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;

  /// Takes scores.csv, noise.json, memorisation.csv, metrics.json and figures.
  const RunFolder& folder() const { return staged_; }
  /// Puts these files in the place of the run's; old figures of its images go, files of somebody
  /// else's stay.
  void commit();

 private:
  const RunFolder run_;
  RunFolder staged_;
};

/// The right of one process alone to write into a run folder, for the length of a scope. The folder
/// is made where there is none, and taken away again when nothing was written into it.
class RunClaim {
 public:
  /// UsageError when another process has it; Error when the folder cannot be made.
  explicit RunClaim(const RunFolder& folder);
  ~RunClaim();
  RunClaim(const RunClaim&) = delete;
  RunClaim& operator=(const RunClaim&) = delete;

 private:
  std::vector<std::filesystem::path> made_;  ///< the outermost first
  int lock_ = -1;
};

}  // namespace assay
