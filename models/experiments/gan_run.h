// Training, evaluation and generation of a DCGAN: `assay train dcgan` and `assay generate`.
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

/// Reads all images, trains on the training images of the split (or resumes), writes
/// model.safetensors and evaluates. Error; Interrupted.
GeneratorMetrics train_dcgan_run(const RunConfig& config, const RunFolder& folder, Start start,
                                 const TrainingHooks& hooks);
/// Writes memorisation.csv, figures and, last, metrics.json into `out`, from the folder's model and
/// history.
GeneratorMetrics evaluate_dcgan_run(const RunConfig& config, const RunFolder& folder,
                                    const RunFolder& out);

/// The network of a finished run. CheckpointError if it is missing or damaged.
std::unique_ptr<Dcgan> load_dcgan(const RunFolder& folder);
/// ModelSpec::generate of a DCGAN.
void generate_dcgan(const RunFolder& folder, uint64_t seed, int64_t count,
                    const GeneratedImage& write);

/// Steps per epoch of a GAN, whatever the number of images.
inline constexpr int64_t kGanEpochSteps = 50;

/// Trains up to the limits of `config`, from the folder's checkpoint if there is one, and writes a
/// grid of samples every config.sample_every steps. `images`: positions in the store. Error that
/// names the step if a loss is not finite; Interrupted.
TrainingResult train_dcgan(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
                           const RunConfig& config, const RunFolder& folder,
                           const TrainingHooks& hooks);

/// The generator's image of each latent. Batch norm uses its running statistics, so that an image
/// depends on its own latent alone. Leaves `gan` in training mode.
std::vector<Image> generate_images(Dcgan& gan, const Tensor& z);

/// Measurements at the end of a training.
struct DcganOutcome {
  GanMetrics last;              ///< means over the last steps
  double spread_generated = 0;  ///< mean distance of two generated images, pixels in [0,1]
  double spread_training = 0;   ///< mean distance of two training images
  int64_t generated = 0;        ///< images that were compared
  /// Generated images that are closer to a training image than any two training images are to each
  /// other.
  int64_t copies = 0;
  /// Generated images that are farther from every training image than near_bound().
  int64_t far = 0;
  /// Median distances to the nearest training image.
  double generated_distance = 0, held_out_distance = 0;
  /// kNearRatio times the held-out images' distance.
  double near_bound() const;
};
/// On three classes of MVTec AD, generated images that show the object lie 1.3 to 2.2 times as far
/// from the training images as held-out ones; noise lies more than 10 times as far.
inline constexpr double kNearRatio = 3;
/// Whether generated images are nearly the same.
bool collapsed(const DcganOutcome& outcome);
/// Whether the discriminator is certain about nearly every image.
bool discriminator_won(const DcganOutcome& outcome);
/// Whether the generator's loss grew without bounds.
bool blew_up(const DcganOutcome& outcome);
/// Whether generated images differ much less from each other than training images do.
bool shows_little_variety(const DcganOutcome& outcome);
/// Whether most generated images lie too far from all training images to resemble them.
bool looks_unlike(const DcganOutcome& outcome);
/// Sentences about the outcome, at least one.
std::vector<std::string> diagnostics_of(const DcganOutcome& outcome);

}  // namespace assay
