// A DCGAN from initial weights to its metrics: what `assay train dcgan` and `assay generate` do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/experiments/registry.h"
#include "models/networks/dcgan.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Reads all images, trains on the good ones of the split's training part (or goes on), writes
/// model.safetensors and evaluates. Error; Interrupted.
GeneratorMetrics train_dcgan_run(const RunConfig& config, const RunFolder& folder, Start start,
                                 const TrainingHooks& hooks);
/// Writes memorisation.csv, figures and, last, metrics.json, from the folder's model and history.
GeneratorMetrics evaluate_dcgan_run(const RunConfig& config, const RunFolder& folder);

/// The network of a finished run. CheckpointError when it is not there or damaged.
std::unique_ptr<Dcgan> load_dcgan(const RunFolder& folder);
/// ModelSpec::generate of a DCGAN.
void generate_dcgan(const RunFolder& folder, uint64_t seed, int64_t count,
                    const GeneratedImage& write);

/// Steps of a GAN's epoch, whatever the number of images: a line of history.csv and a checkpoint.
inline constexpr int64_t kGanEpochSteps = 50;

/// Trains to the end of what `config` allows, going on from the folder's checkpoint where there is
/// one, and writes a grid of samples every config.sample_every steps. `images` are positions in the
/// store. Error that names the step when a loss is not finite; Interrupted.
TrainingResult train_dcgan(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
                           const RunConfig& config, const RunFolder& folder,
                           const TrainingHooks& hooks);

/// The generator's image of each latent, with the running statistics of batch norm, so that an
/// image depends on its own latent alone. Leaves `gan` in training mode.
std::vector<Image> generate_images(Dcgan& gan, const Tensor& z);

/// What is measured at the end of training.
struct DcganOutcome {
  GanMetrics last;              ///< means over the last steps
  double spread_generated = 0;  ///< mean distance of two generated images, pixels in [0,1]
  double spread_training = 0;   ///< mean distance of two training images
  int64_t generated = 0;        ///< images that were compared
  int64_t copies = 0;  ///< of these, nearer to a training image than any two training images are
  int64_t far = 0;     ///< of these, farther from every training image than `near_bound`
  /// Median distances to the nearest training image.
  double generated_distance = 0, held_out_distance = 0;
  /// kNearRatio held-out distances: what real images keep within, and generated ones that resemble
  /// them.
  double near_bound() const;
};
/// On three classes of MVTec AD generated images that show the object lie 1.3 to 2.2 times as far
/// from the training images as held-out ones; noise lies more than 10 times as far.
inline constexpr double kNearRatio = 3;
/// Generated images are nearly the same.
bool collapsed(const DcganOutcome& outcome);
/// The discriminator is sure of nearly every image.
bool discriminator_won(const DcganOutcome& outcome);
/// The generator's loss grew without bounds.
bool blew_up(const DcganOutcome& outcome);
/// Generated images differ much less than training images do.
bool shows_little_variety(const DcganOutcome& outcome);
/// Most images lie too far from all training images to resemble them.
bool looks_unlike(const DcganOutcome& outcome);
/// What happened, in plain words: a sentence each.
std::vector<std::string> diagnostics_of(const DcganOutcome& outcome);

}  // namespace assay
