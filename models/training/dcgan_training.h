// The loop of the DCGAN's training: batches, history, grids of pictures, checkpoints.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "data/loader.h"
#include "kernels/runtime/transfer.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/dcgan_players.h"
#include "models/training/trainer.h"

namespace assay {

/// A game has no epochs of its own. One is so many generator steps here, for any class: a line of
/// history.csv and a checkpoint.
inline constexpr int64_t kGanEpochSteps = 50;

/// One line of history.csv: means over the steps of the epoch.
struct GanRecord {
  int epoch = 0;     ///< from 1
  int64_t step = 0;  ///< generator steps done at its end
  GanFigures mean = {};
  double seconds = 0;
};
/// Empty when there is no history.csv.
std::vector<GanRecord> read_gan_history(const RunFolder& folder);

/// Pictures for the discriminator, in full batches without end: one shuffled pass over the pictures
/// runs into the next, so that batch norm sees as many of them in each step.
class EndlessBatches {
 public:
  /// `store` outlives this.
  EndlessBatches(const ImageStore& store, std::vector<size_t> images, int batch, uint64_t seed);
  /// Positions in the store of batch `number`: a function of (seed, number).
  std::vector<size_t> members(int64_t number);
  /// Their pictures in [-1,1]. // (batch,H,W,C)
  Tensor pictures(int64_t number);

 private:
  /// Pictures on their way to a CUDA device.
  struct Upload {
    Tensor host;
    std::unique_ptr<AsyncCopy> copy;
  };
  static constexpr size_t kUploads = 8;  // beyond that the oldest is waited for

  const ImageStore& store_;
  std::vector<size_t> images_, order_;
  int batch_;
  uint64_t seed_;
  int64_t pass_ = -1;  ///< whose order is in order_
  Allocator pinned_{pinned_memory()};
  CpuContext cpu_{1};  ///< takes its memory there
  std::deque<Upload> uploads_;
};

/// Plays to the end of what `config` allows, going on from the folder's checkpoint where there is
/// one, with grids of pictures every config.sample_every steps. `images` are positions in the
/// store. Error that names the step when a loss is not finite; Interrupted.
void train_dcgan(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
                 const RunConfig& config, const RunFolder& folder, const TrainingHooks& hooks);

}  // namespace assay
