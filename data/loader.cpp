#include "data/loader.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "data/noise.h"
#include "data/resize.h"
#include "kernels/runtime/fnv.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/philox.h"
#include "kernels/runtime/profile_range.h"
#include "kernels/runtime/transfer.h"

namespace assay {
namespace {

constexpr size_t kBatchesAhead = 2;

/// Every 8-bit value as a number in [0,1].
const std::array<float, 256>& unit_values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> v{};
    for (int i = 0; i < 256; ++i) v[i] = static_cast<float>(i) / 255.0f;
    return v;
  }();
  return values;
}

struct Motion {
  bool flip = false;
  int dx = 0, dy = 0;
};

Motion draw_motion(const BatchOptions& options, int64_t epoch, size_t image) {
  Motion motion;
  if (!options.flips && options.shifts == 0) return motion;
  RandomSequence random(options.seed, RandomStream::augment,
                        static_cast<uint64_t>(epoch) << 32 | image);
  const auto range = static_cast<uint32_t>(2 * options.shifts + 1);
  motion.dx = static_cast<int>(random.below(range)) - options.shifts;
  motion.dy = static_cast<int>(random.below(range)) - options.shifts;
  motion.flip = options.flips && random.bits() % 2 == 1;
  return motion;
}

/// Writes one image, moved, as (H,W,C) values in [0,1].
void fill_image(const Image& image, const Motion& motion, float* out) {
  const std::array<float, 256>& value = unit_values();
  const int width = image.width, channels = image.channels;
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* row = image.at(std::clamp(y - motion.dy, 0, image.height - 1), 0);
    for (int x = 0; x < width; ++x) {
      const int moved = std::clamp(x - motion.dx, 0, width - 1);
      const uint8_t* in = row + (motion.flip ? width - 1 - moved : moved) * channels;
      for (int c = 0; c < channels; ++c) *out++ = value[in[c]];
    }
  }
}

}  // namespace

Image at_size(const Image& image, int height, int width, int channels) {
  // Grey is resized before it becomes RGB: three equal channels would be three times the work.
  if (image.channels < channels) return with_channels(resize(image, height, width), channels);
  return image.channels == channels ? resize(image, height, width)
                                    : resize(with_channels(image, channels), height, width);
}

std::vector<float> unit_pixels(const Image& image) {
  std::vector<float> values(image.size());
  fill_image(image, {}, values.data());
  return values;
}

ImageStore::ImageStore(Context& ctx, std::vector<Sample> samples, Options options)
    : options_(options),
      samples_(std::move(samples)),
      images_(samples_.size()),
      masks_(samples_.size()),
      facts_(samples_.size()) {
  parallel_for(ctx, static_cast<int64_t>(samples_.size()), [&](int64_t i) {
    const LoadedImage loaded =
        load(samples_[i], {.masks = options_.masks, .bit_depth = options_.bit_depth});
    facts_[i] = loaded.facts;
    images_[i] = at_size(loaded.image, options_.height, options_.width, options_.channels);
    if (!loaded.mask) return;
    masks_[i] = resize_mask(*loaded.mask, options_.height, options_.width);
    const auto& pixels = masks_[i].pixels;
    facts_[i].mask_vanishes =
        samples_[i].defective && std::find(pixels.begin(), pixels.end(), 255) == pixels.end();
  });
}

void ImageStore::add(Sample sample, Image image) {
  ASSAY_CHECK(image.height == options_.height && image.width == options_.width &&
                  image.channels == options_.channels,
              "store: an image of {} x {} x {} among those of {} x {} x {}", image.height,
              image.width, image.channels, options_.height, options_.width, options_.channels);
  samples_.push_back(std::move(sample));
  images_.push_back(std::move(image));
  masks_.emplace_back();
  facts_.emplace_back();
}

std::vector<ImageSize> ImageStore::file_sizes() const {
  std::vector<ImageSize> sizes;
  for (const ImageFacts& facts : facts_) sizes.push_back(facts.size);
  return sizes;
}

Tensor batch_of(std::span<const Image* const> images) {
  ASSAY_CHECK(!images.empty(), "batch: of no images");
  const Image& first = *images.front();
  std::vector<float> values(images.size() * first.size());
  for (size_t n = 0; n < images.size(); ++n) {
    const Image& image = *images[n];
    ASSAY_CHECK(image.height == first.height && image.width == first.width &&
                    image.channels == first.channels,
                "batch: images of {} x {} x {} and {} x {} x {}", first.height, first.width,
                first.channels, image.height, image.width, image.channels);
    fill_image(image, {}, &values[n * first.size()]);
  }
  return Tensor::from(
      {static_cast<int64_t>(images.size()), first.height, first.width, first.channels}, values);
}

Tensor ImageStore::batch(std::span<const size_t> images) const {
  std::vector<const Image*> chosen;
  for (const size_t i : images) {
    ASSAY_CHECK(i < size(), "batch: there is no image {} among {}", i, size());
    chosen.push_back(&images_[i]);
  }
  return batch_of(chosen);
}

std::vector<size_t> epoch_order(std::span<const size_t> images, uint64_t seed, int64_t epoch) {
  std::vector<size_t> order(images.begin(), images.end());
  RandomSequence(seed, RandomStream::shuffle, static_cast<uint64_t>(epoch)).shuffle(order);
  return order;
}

/// What the loader and its thread share. `mutex` guards the members from `order` to `stop`.
struct BatchLoader::State {
  const ImageStore& store;
  const std::vector<size_t> images;
  const BatchOptions options;
  std::vector<uint8_t> is_noisy;  // by position in the store
  CpuContext cpu{1};              // batches are made on the thread of the loader alone
  // For a CUDA device batches are made in pinned memory and never leave the loader.
  const bool on_device = current_context().device.is_cuda();
  Allocator pinned{pinned_memory()};

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<size_t> order;  // of the images in pass `ordered_pass`
  int64_t ordered_pass = -1;
  int64_t epoch = 0;
  int64_t started = 0;  // number of start_epoch calls; batches made for an earlier one are dropped
  int64_t next_made = 0, next_taken = 0;  // numbers of batches in the epoch
  std::vector<Batch> ready;  // at most kBatchesAhead, reserved: adding one allocates nothing
  std::exception_ptr error;
  bool stop = false;
  std::thread thread;

  /// The images of a batch and, for each, the number of its pass over the data, which its
  /// augmentation depends on.
  struct Members {
    std::vector<size_t> images;
    std::vector<int64_t> passes;
  };

  /// A batch that is being copied to a CUDA device. `copies` is destroyed first and waits for the
  /// copies, so that the memory of `host` outlives them.
  struct Upload {
    Batch host, device;
    std::vector<std::unique_ptr<AsyncCopy>> copies;
  };
  std::unique_ptr<Upload> coming, last;  // used by the caller's thread only

  State(const ImageStore& store_, std::vector<size_t> images_, BatchOptions options_)
      : store(store_), images(std::move(images_)), options(std::move(options_)) {
    if (on_device) cpu.get().memory = &pinned;
    ready.reserve(kBatchesAhead);
    ASSAY_CHECK_AS(UsageError, options.batch >= 1, "loader: a batch holds at least 1 image, not {}",
                   options.batch);
    ASSAY_CHECK_AS(UsageError, options.shifts >= 0, "loader: images cannot be shifted by {} pixels",
                   options.shifts);
    ASSAY_CHECK(!images.empty(), "loader: no images to make batches of");
    is_noisy.resize(store.size());
    const auto check = [&](size_t i) {
      ASSAY_CHECK(i < store.size(), "loader: there is no image {} among {}", i, store.size());
    };
    for (const size_t i : images) check(i);
    for (const size_t i : options.noisy) {
      check(i);
      is_noisy[i] = 1;
    }
  }

  int64_t batches() const {
    return (static_cast<int64_t>(images.size()) + options.batch - 1) / options.batch;
  }

  bool is_batch(int64_t b) const { return options.endless || b < batches(); }

  Batch make(Members members) {
    const ContextScope scope(cpu);
    const ImageStore::Options& size = store.options();
    const Shape shape = {static_cast<int64_t>(members.images.size()), size.height, size.width,
                         size.channels};
    Batch batch{std::move(members.images), Tensor::empty(shape), {}, {}};
    if (options.clean_target) batch.clean = Tensor::empty(shape);
    if (options.labels) batch.labels = labels_of(batch.images);
    const int64_t each = batch.x.size() / shape[0];
    float* x = batch.x.mutable_data<float>();
    float* clean = options.clean_target ? batch.clean.mutable_data<float>() : nullptr;
    for (size_t n = 0; n < batch.images.size(); ++n) {
      const size_t i = batch.images[n];
      fill_image(store.image(i), draw_motion(options, members.passes[n], i), x);
      if (clean != nullptr) std::copy(x, x + each, clean);
      if (is_noisy[i]) {
        add_noise({x, static_cast<size_t>(each)}, options.seed, fnv_of(store.sample(i).path),
                  options.noise_variance);
      }
      x += each;
      if (clean != nullptr) clean += each;
    }
    return batch;
  }

  Tensor labels_of(const std::vector<size_t>& members) const {
    std::vector<float> labels;
    labels.reserve(members.size());
    for (const size_t i : members) labels.push_back(store.sample(i).defective ? 1.0f : 0.0f);
    return Tensor::from({static_cast<int64_t>(labels.size()), 1}, labels);
  }

  /// The images of batch b of the epoch. The caller holds `mutex`.
  Members members(int64_t b) {
    Members chosen;
    const auto n = static_cast<int64_t>(images.size());
    const int64_t begin = b * options.batch, full = begin + options.batch;
    for (int64_t i = begin; i < (options.endless ? full : std::min(full, n)); ++i) {
      const int64_t pass = epoch + i / n;
      if (pass != ordered_pass) {
        order = options.shuffle ? epoch_order(images, options.seed, pass) : images;
        ordered_pass = pass;
      }
      chosen.images.push_back(order[i % n]);
      chosen.passes.push_back(pass);
    }
    return chosen;
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] {
        const bool room = ready.size() < kBatchesAhead && !error;
        return stop || (started > 0 && room && is_batch(next_made));
      });
      if (stop) return;
      const int64_t of_start = started;
      Batch batch;
      std::exception_ptr failure;
      try {
        Members chosen = members(next_made++);
        lock.unlock();
        batch = make(std::move(chosen));
      } catch (...) {
        failure = std::current_exception();
      }
      if (!lock.owns_lock()) lock.lock();
      if (of_start != started) continue;
      error = failure;
      if (!failure) ready.push_back(std::move(batch));
      changed.notify_all();
    }
  }

  /// Takes the next batch; false at the end of the epoch, or if it is not ready and `wait` is
  /// false.
  bool take(Batch& batch, bool wait) {
    std::unique_lock lock(mutex);
    if (started == 0 || !is_batch(next_taken)) return false;
    if (!wait && ready.empty()) return false;
    changed.wait(lock, [&] { return !ready.empty() || error; });
    if (ready.empty()) std::rethrow_exception(error);
    batch = std::move(ready.front());
    ready.erase(ready.begin());
    ++next_taken;
    lock.unlock();
    changed.notify_all();
    return true;
  }

  void start_upload(bool wait) {
    const ProfileRange range("copy of a batch");
    coming = std::make_unique<Upload>();
    if (!take(coming->host, wait)) return coming.reset();
    const auto upload = [&](const Tensor& from, Tensor& to) {
      if (!from.defined()) return;
      to = Tensor::empty(from.shape());
      coming->copies.push_back(
          std::make_unique<AsyncCopy>(current_context(), to.mutable_data<float>(),
                                      from.data<float>(), from.size() * sizeof(float)));
    };
    coming->device.images = coming->host.images;
    upload(coming->host.x, coming->device.x);
    upload(coming->host.clean, coming->device.clean);
    upload(coming->host.labels, coming->device.labels);
  }

  bool next_on_device(Batch& batch) {
    if (!coming) start_upload(true);
    if (!coming) return false;
    for (const auto& copy : coming->copies) copy->before_kernels();
    batch = coming->device;
    coming->device = {};       // releases our reference, so the allocator can reuse the memory
    last = std::move(coming);  // destroys the previous upload, which waits for its copies
    start_upload(false);
    return true;
  }
};

BatchLoader::BatchLoader(const ImageStore& store, std::vector<size_t> images, BatchOptions options)
    : state_(std::make_unique<State>(store, std::move(images), std::move(options))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

int64_t BatchLoader::batches_per_epoch() const {
  return state_->batches();
}

bool BatchLoader::endless() const {
  return state_->options.endless;
}

void BatchLoader::start_epoch(int64_t epoch, int64_t first_batch) {
  ASSAY_CHECK(epoch >= 0 && first_batch >= 0 && (endless() || first_batch <= state_->batches()),
              "loader: there is no batch {} in epoch {} of {} batches", first_batch, epoch,
              state_->batches());
  {
    const std::lock_guard lock(state_->mutex);
    state_->epoch = epoch;
    ++state_->started;
    state_->next_made = state_->next_taken = first_batch;
    state_->ready.clear();
    state_->error = nullptr;
  }
  state_->coming.reset();
  state_->changed.notify_all();
}

bool BatchLoader::next(Batch& batch) {
  return state_->on_device ? state_->next_on_device(batch) : state_->take(batch, true);
}

}  // namespace assay
