// From samples to batches: every image is read once, batches are prepared ahead of the step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/noise.h"
#include "tensor/tensor.h"

namespace assay {

/// Converts an image to the input of a model: resized (resize.h), grey or RGB.
Image at_size(const Image& image, int height, int width, int channels);

/// The values of an image in [0,1]. // (H,W,C)
std::vector<float> unit_pixels(const Image& image);

/// Images of one size as a tensor (n,H,W,C) in [0,1], without noise or augmentation. Error if there
/// are none or their sizes differ.
Tensor batch_of(std::span<const Image* const> images);

/// All images of a list of samples at the size of a model, 8 bits per value.
class ImageStore {
 public:
  struct Options {
    int height = 128, width = 128, channels = 3;
    bool masks = false;  ///< keep the masks too, as resize_mask makes them
    int bit_depth = 16;  ///< DecodeOptions::bit_depth
  };
  /// Reads and resizes everything on the threads of `ctx`. Throws the DataError of the first
  /// image, in the order of the samples, that cannot be read.
  ImageStore(Context& ctx, std::vector<Sample> samples, Options options);

  /// Adds an image that is in memory, without a mask or facts. Error unless it has the store's
  /// size.
  void add(Sample sample, Image image);

  size_t size() const { return samples_.size(); }
  const Options& options() const { return options_; }
  const Sample& sample(size_t i) const { return samples_[i]; }
  const std::vector<Sample>& samples() const { return samples_; }
  std::span<const uint8_t> pixels(size_t i) const { return images_[i].pixels; }  // (H,W,C)
  const Image& image(size_t i) const { return images_[i]; }
  /// Facts of the files, before they were resized.
  std::span<const ImageFacts> facts() const { return facts_; }
  std::vector<ImageSize> file_sizes() const;
  /// (H,W,1), 0 or 255. An empty image if the sample has no mask.
  const Image& mask(size_t i) const { return masks_[i]; }

  /// batch_of() the images at these positions.
  Tensor batch(std::span<const size_t> images) const;

 private:
  Options options_;
  std::vector<Sample> samples_;
  std::vector<Image> images_, masks_;
  std::vector<ImageFacts> facts_;
};

/// How batches are made from a store. Order and augmentation are functions of (seed, epoch, image).
struct BatchOptions {
  int batch = 32;
  uint64_t seed = 0;
  bool shuffle = true;  ///< false: in the order given
  bool flips = false;   ///< mirrors half of the images left to right
  int shifts = 0;       ///< moves by up to this many pixels each way; the edge is repeated
  std::vector<size_t> noisy = {};  ///< positions in the store that get noise, the same every epoch
  double noise_variance = kNoiseVariance;
  bool clean_target = false;  ///< fill Batch::clean
  bool labels = false;        ///< fill Batch::labels
  bool endless = false;       ///< every batch is full: the next pass over the images continues it
};

struct Batch {
  std::vector<size_t> images;  ///< positions in the store
  Tensor x;                    // (n,H,W,C) float32
  Tensor clean;                ///< x before its noise; undefined unless clean_target  // (n,H,W,C)
  Tensor labels;               ///< 1 = defective; undefined unless labels  // (n,1)
};

/// Gives the batches of one epoch after another. A thread of the loader prepares them while the
/// step before runs. If the current context is of a CUDA device, a batch is also copied ahead, from
/// pinned memory on a separate stream. The last batch of an epoch may be smaller; with
/// BatchOptions::endless an epoch has no end.
class BatchLoader {
 public:
  /// `store` outlives the loader. UsageError for batch < 1; Error for a position outside the store
  /// or no positions at all.
  BatchLoader(const ImageStore& store, std::vector<size_t> images, BatchOptions options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  /// Batches that a pass over the images takes, rounded up.
  int64_t batches_per_epoch() const;
  bool endless() const;
  /// Starts an epoch at batch `first_batch` and drops batches that were prepared ahead. If endless,
  /// `first_batch` counts from the start of pass `epoch` over the images.
  void start_epoch(int64_t epoch, int64_t first_batch = 0);
  /// The next batch of the epoch, or false at its end.
  bool next(Batch& batch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The order of an epoch: `images` shuffled by (seed, epoch).
std::vector<size_t> epoch_order(std::span<const size_t> images, uint64_t seed, int64_t epoch);

}  // namespace assay
