#include "models/experiments/augmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "kernels/runtime/philox.h"
#include "layers/init.h"
#include "models/evaluation/memorisation.h"
#include "models/experiments/configure.h"
#include "models/experiments/gan_run.h"
#include "models/run/data.h"
#include "models/run/reader.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

constexpr const char* kImages = "images";  // the tensor of generated images in their file

std::string label_name(bool defective) {
  return defective ? "defective" : "good";
}

int factor_of(const RunConfig& config) {
  return config.own<int>("augment_factor");
}

/// The positions among `train` of the images of a label.
std::vector<size_t> of_label(const ImageStore& store, const std::vector<size_t>& train,
                             bool defective) {
  std::vector<size_t> images;
  for (const size_t i : train)
    if (store.sample(i).defective == defective) images.push_back(i);
  return images;
}

/// Mirror image: left to right for bit 0 of `axes`, upside down for bit 1.
Image mirrored(const Image& image, int axes) {
  Image result(image.height, image.width, image.channels);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      std::copy_n(image.at((axes & 2) != 0 ? image.height - 1 - y : y,
                           (axes & 1) != 0 ? image.width - 1 - x : x),
                  image.channels, result.at(y, x));
  return result;
}

/// Options of the DCGAN of one label.
RunConfig generator_config(const RunConfig& config, size_t images, uint64_t seed) {
  RunConfig gan = default_config("dcgan");
  gan.image_size = config.image_size >= 128 ? 128 : config.image_size >= 64 ? 64 : 32;
  gan.grey = config.grey;
  gan.seed = seed;
  gan.batch = std::min(config.batch, static_cast<int>(images));
  gan.eps_placement = config.eps_placement;
  gan.steps = config.own<int>("generator_steps");
  gan.epochs = std::max(gan.epochs, static_cast<int>(gan.steps));
  gan.sample_every = gan.steps;
  return gan;
}

/// Images of the size of a GAN; all are used for its training.
ImageStore at_size_of(const RunConfig& gan, const ImageStore& store,
                      const std::vector<size_t>& images) {
  ImageStore small(current_context(), {},
                   {.height = gan.image_size, .width = gan.image_size, .channels = gan.channels()});
  for (const size_t i : images)
    small.add(store.sample(i),
              at_size(store.image(i), gan.image_size, gan.image_size, gan.channels()));
  return small;
}

/// The first `count` of the generated images that a folder keeps; image i is the same whatever
/// their number. CheckpointError if they are damaged or of other options.
std::vector<Image> read_generated(const RunFolder& folder, size_t count, const RunConfig& gan) {
  const SafeTensors file = read_checked(folder.generated());
  const auto found = file.tensors.find(kImages);
  const int side = gan.image_size, channels = gan.channels();
  const bool fits = found != file.tensors.end() && found->second.type == StoredType::u8 &&
                    found->second.shape.size() == 4 &&
                    found->second.shape[0] >= static_cast<int64_t>(count) &&
                    found->second.shape == Shape{found->second.shape[0], side, side, channels};
  ASSAY_CHECK_AS(CheckpointError, fits,
                 "{}: does not hold {} images of {} pixels; start anew with --force",
                 folder.generated().string(), count, side);
  std::vector<Image> images(count, Image(side, side, channels));
  auto from = found->second.bytes.begin();
  for (Image& image : images) {
    std::copy_n(from, image.size(), image.pixels.begin());
    from += static_cast<std::ptrdiff_t>(image.size());
  }
  return images;
}

void write_generated(const RunFolder& folder, const std::vector<Image>& images,
                     const RunConfig& gan) {
  StoredTensor stored{
      StoredType::u8,
      {static_cast<int64_t>(images.size()), gan.image_size, gan.image_size, gan.channels()},
      {}};
  for (const Image& image : images)
    stored.bytes.insert(stored.bytes.end(), image.pixels.begin(), image.pixels.end());
  write_checked(folder.generated(), {{{kImages, std::move(stored)}}, {}});
}

/// `count` images of a DCGAN that is trained on the images of one label.
std::vector<Image> generated(const RunConfig& gan, const ImageStore& store,
                             const std::vector<size_t>& images, size_t count,
                             const RunFolder& folder, const TrainingHooks& hooks) {
  folder.create();
  if (is_there(folder.generated())) return read_generated(folder, count, gan);
  const ImageStore small = at_size_of(gan, store, images);
  Dcgan network(gan.image_size, gan.channels());
  init_parameters(network, init_from_name(gan.init), gan.seed);
  train_dcgan(network, small, all_of(small), gan, folder, hooks);
  std::vector<Image> made =
      generate_images(network, draw_latents(gan.seed, 0, static_cast<int64_t>(count)));
  std::vector<Image> real;
  for (size_t i = 0; i < small.size(); ++i) real.push_back(small.image(i));
  hooks.say(fmt::format("two generated images differ by {:.3f}, two training images by {:.3f}",
                        mean_pair_distance(made), mean_pair_distance(real)));
  write_generated(folder, made, gan);
  // Weights and moments of each label of each fold would take a gigabyte.
  std::error_code ignored;
  std::filesystem::remove(folder.checkpoint(), ignored);
  return made;
}

/// The hooks of a fold with the label in front of the notes and messages.
TrainingHooks hooks_of_label(const std::string& label, const TrainingHooks& hooks) {
  TrainingHooks mine = hooks;
  mine.progress = [label, &hooks](const TrainingProgress& at) {
    TrainingProgress of_label = at;
    of_label.note = fmt::format("DCGAN of {} images, {}", label, at.note);
    hooks.progress(of_label);
  };
  mine.say = [label, &hooks](const std::string& line) {
    hooks.say(fmt::format("DCGAN of {} images: {}", label, line));
  };
  return mine;
}

class Augmentation {
 public:
  Augmentation(const RunConfig& config, const ImageStore& store, const std::vector<size_t>& train)
      : config_(config), result_{store, train} {}

  void repeat() {
    const std::vector<size_t> once = result_.train;
    for (int i = 0; i < factor_of(config_); ++i)
      result_.train.insert(result_.train.end(), once.begin(), once.end());
  }

  void flip() {
    const std::vector<size_t> once = result_.train;
    for (int axes = 1; axes <= factor_of(config_); ++axes)
      for (const size_t i : once)
        add(result_.store.sample(i), mirrored(result_.store.image(i), axes));
  }

  void generate(bool defective, uint64_t seed, const RunFolder& fold, const TrainingHooks& hooks) {
    const std::string label = label_name(defective);
    const std::vector<size_t> images = of_label(result_.store, result_.train, defective);
    if (images.size() < kMinGeneratorImages) {
      hooks.say(
          fmt::format("{} {} training images are too few for a DCGAN ({} at least): no {} "
                      "images are generated",
                      images.size(), label, kMinGeneratorImages, label));
      return;
    }
    const uint64_t own_seed = derived_seed(seed, RandomStream::fold, defective);
    const RunConfig gan = generator_config(config_, images.size(), own_seed);
    const size_t count = images.size() * static_cast<size_t>(factor_of(config_));
    const std::vector<Image> made = generated(gan, result_.store, images, count,
                                              fold.generator(label), hooks_of_label(label, hooks));
    const ImageStore::Options& size = result_.store.options();
    for (size_t i = 0; i < made.size(); ++i) {
      Sample sample;
      sample.path = fmt::format("generated/{}/{:06}", label, i);
      sample.defective = defective;
      if (defective) sample.defect = "generated";
      add(std::move(sample), at_size(made[i], size.height, size.width, size.channels));
    }
  }

  AugmentedImages result() && { return std::move(result_); }

 private:
  /// Adds an image to the store and to the training images.
  void add(Sample sample, Image image) {
    result_.train.push_back(result_.store.size());
    result_.store.add(std::move(sample), std::move(image));
  }

  const RunConfig& config_;
  AugmentedImages result_;
};

}  // namespace

std::vector<Option> augmentation_options() {
  return {
      own_option("augment", std::string("none"), one_of{{"none", "repeat", "flip", "generated"}},
                 "none | repeat | flip | generated: images added to the training images of "
                 "each label; generated ones are of a DCGAN for each label and fold"),
      own_option("augment_factor", 1, at_least{1},
                 "so many images are added for each training image (flip: at most 3)"),
      own_option("generator_steps", 2000, at_least{1},
                 "generator steps of each DCGAN of --augment generated")};
}

void check_augmentation(const RunConfig& config) {
  ASSAY_CHECK_AS(UsageError, config.own<std::string>("augment") != "flip" || factor_of(config) <= 3,
                 "--augment-factor: {} mirror images of an image do not exist; there are 3: left "
                 "to right, upside down, both",
                 factor_of(config));
}

size_t augmented_count(const RunConfig& config, std::span<const uint8_t> defective) {
  const std::string& kind = config.own<std::string>("augment");
  if (kind == "none") return defective.size();
  size_t count = defective.size();
  for (const bool label : {false, true}) {
    const auto images = static_cast<size_t>(
        std::count(defective.begin(), defective.end(), static_cast<uint8_t>(label)));
    if (kind != "generated" || images >= kMinGeneratorImages)
      count += images * static_cast<size_t>(factor_of(config));
  }
  return count;
}

AugmentedImages augment(const RunConfig& config, const ImageStore& store,
                        const std::vector<size_t>& train, uint64_t seed, const RunFolder& fold,
                        const TrainingHooks& hooks) {
  const std::string& kind = config.own<std::string>("augment");
  Augmentation augmentation(config, store, train);
  if (kind == "repeat") augmentation.repeat();
  if (kind == "flip") augmentation.flip();
  if (kind == "generated")
    for (const bool defective : {false, true}) augmentation.generate(defective, seed, fold, hooks);
  return std::move(augmentation).result();
}

}  // namespace assay
