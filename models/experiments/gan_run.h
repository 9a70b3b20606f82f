// A DCGAN from initial weights to its metrics: what `assay train dcgan` and `assay generate` do.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/experiments/registry.h"
#include "models/networks/dcgan.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/dcgan_players.h"
#include "models/training/trainer.h"

namespace assay {

/// Reads all pictures, trains on the good ones of the split's training part (or goes on), writes
/// model.safetensors and evaluates. Error; Interrupted.
nlohmann::ordered_json train_dcgan_run(const RunConfig& config, const RunFolder& folder,
                                       Start start, const TrainingHooks& hooks);
/// Writes memorisation.csv, figures and, last, metrics.json, from the folder's model and history.
nlohmann::ordered_json evaluate_dcgan_run(const RunConfig& config, const RunFolder& folder);

/// The network of a finished run. CheckpointError when it is not there or damaged.
std::unique_ptr<Dcgan> load_dcgan(const RunFolder& folder);
/// ModelSpec::generate of a DCGAN.
void generate_dcgan(const RunFolder& folder, uint64_t seed, int64_t count,
                    const GeneratedImage& write);

/// What is measured at the end of training.
struct DcganOutcome {
  GanFigures last;              ///< means over the last steps
  double spread_generated = 0;  ///< mean distance of two generated pictures, pixels in [0,1]
  double spread_training = 0;   ///< of two training pictures
  int64_t generated = 0;        ///< pictures that were looked at
  int64_t copies = 0;  ///< of these, nearer to a training picture than any two of those are
};
/// Generated pictures are nearly the same.
bool collapsed(const DcganOutcome& outcome);
/// The discriminator is sure of every picture.
bool discriminator_won(const DcganOutcome& outcome);
/// The generator's loss has no bounds any more.
bool blew_up(const DcganOutcome& outcome);
/// What happened, in plain words: a sentence each.
std::vector<std::string> remarks_on(const DcganOutcome& outcome);

/// The lines that `train` ends with.
std::string dcgan_summary(const nlohmann::ordered_json& metrics);

}  // namespace assay
