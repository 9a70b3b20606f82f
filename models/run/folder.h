// What a run leaves on disk: the names of its files, and how they are written.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
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
  /// Figures of the wrongly predicted images, and of nearest training images.
  std::filesystem::path strips() const { return figures() / "strips"; }
  std::filesystem::path nearest() const { return figures() / "nearest"; }
  /// Of a cross-validation: a folder of its own for the training of each fold, from 0.
  RunFolder fold(int i) const { return RunFolder(root_ / fmt::format("fold{}", i)); }

  /// Nothing is there, or an empty folder.
  bool empty() const;
  /// Trained and evaluated: metrics.json is written last.
  bool finished() const {
    std::error_code ignored;  // a folder that may not be read holds no run of ours
    return std::filesystem::exists(metrics(), ignored);
  }
  /// Makes the folder; Error when that cannot be done.
  void create() const;
  /// The same for a run that has read all it needs: one that is forced throws the old one away now.
  void begin(Start start) const;
  /// Removes the files named above, and nothing else.
  void clear() const;
  /// Removes what a kill has left of these files while they were written. For who has claimed it.
  void remove_leftovers() const;

 private:
  std::vector<std::filesystem::path> files() const;

  std::filesystem::path root_;
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
