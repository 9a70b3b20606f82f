// The folder of a run: names of its files, creating, clearing and locking it.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/runtime/atomic_file.h"

namespace assay {

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
  /// The rule of the threshold where it was changed after the training.
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
  std::filesystem::path checkpoint() const { return root_ / "checkpoint.safetensors"; }
  std::filesystem::path figures() const { return root_ / "figures"; }
  /// Figures of the wrongly predicted images, and of nearest training images.
  std::filesystem::path strips() const { return figures() / "strips"; }
  std::filesystem::path nearest() const { return figures() / "nearest"; }
  /// The folder of fold i (from 0) of a cross-validation.
  RunFolder fold(int i) const { return RunFolder(root_ / fmt::format("fold{}", i)); }

  /// Whether the folder does not exist or is empty; temporary files and empty folders do not count.
  bool empty() const;
  /// Whether the run is trained and evaluated: metrics.json is written last.
  bool finished() const {
    std::error_code ignored;  // a folder that cannot be read counts as unfinished
    return std::filesystem::exists(metrics(), ignored);
  }
  /// Creates the folder; Error if that fails.
  void create() const;
  /// As create(); with Start::force the old run is deleted first.
  void begin(Start start) const;
  /// Removes the files of a run and nothing else.
  void clear() const;
  /// Removes temporary files of a killed process. Requires a RunClaim.
  void remove_leftovers() const;

 private:
  std::vector<std::filesystem::path> files() const;

  std::filesystem::path root_;
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
