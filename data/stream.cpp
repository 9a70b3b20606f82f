#include "data/stream.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "data/loader.h"
#include "kernels/runtime/error.h"

namespace assay {

struct ImageStream::State {
  const std::function<void(const Push&)> source;
  const Options options;

  enum class Stage { waiting, decoding, decoded };
  struct Slot {
    StreamedImage image;
    Stage stage = Stage::waiting;
  };
  struct Stopped {};  // thrown by push() to stop the source

  std::mutex mutex;  // guards all that follows
  std::condition_variable changed;
  std::deque<Slot> slots;    // in the order of the source
  int64_t first = 0;         // number of the first slot
  int64_t next_waiting = 0;  // number of the first slot that no thread has taken to decode
  bool ended = false, stop = false;
  std::exception_ptr error;
  std::thread producer;
  std::vector<std::thread> decoders;

  State(std::function<void(const Push&)> source_, Options options_)
      : source(std::move(source_)), options(options_) {}

  Slot& slot(int64_t number) { return slots[static_cast<size_t>(number - first)]; }
  bool any_waiting() const { return next_waiting < first + static_cast<int64_t>(slots.size()); }

  void decode(StreamedImage& image) const {
    if (!image.error.empty()) return;
    Sample sample;
    sample.path = image.name;
    sample.file = image.file;
    try {
      const LoadedImage loaded = load(sample, {.masks = false, .bit_depth = options.bit_depth});
      image.facts = loaded.facts;
      image.image = at_size(loaded.image, options.height, options.width, options.channels);
    } catch (const DataError& failure) {
      image.error = failure.what();
    }
  }

  void push(StreamedImage image) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stop || static_cast<int>(slots.size()) < options.ahead; });
    if (stop) throw Stopped();
    slots.push_back({std::move(image), Stage::waiting});
    changed.notify_all();
  }

  void produce() {
    std::exception_ptr failure;
    try {
      source([this](StreamedImage image) { push(std::move(image)); });
    } catch (const Stopped&) {
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    if (!error) error = failure;
    ended = true;
    changed.notify_all();
  }

  /// Decodes the first image that waits. The lock is held at the beginning and at the end.
  void decode_one(std::unique_lock<std::mutex>& lock) {
    const int64_t number = next_waiting++;
    slot(number).stage = Stage::decoding;
    StreamedImage image = std::move(slot(number).image);
    lock.unlock();
    std::exception_ptr failure;
    try {
      decode(image);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !error) error = failure;
    slot(number) = {std::move(image), Stage::decoded};
    changed.notify_all();
  }

  void run_decoder() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stop || any_waiting() || ended; });
      if (stop || !any_waiting()) return;
      decode_one(lock);
    }
  }

  bool take(StreamedImage& image, bool wait) {
    std::unique_lock lock(mutex);
    const auto ready = [&] { return !slots.empty() && slots.front().stage == Stage::decoded; };
    if (wait) {
      const auto over = [&] {
        return error || ready() || (decoders.empty() && any_waiting()) || (ended && slots.empty());
      };
      // condition_variable::wait is not interrupted by signals, so poll.
      while (!changed.wait_for(lock, std::chrono::milliseconds(100), over))
        if (options.stop_requested()) return false;
      if (!error && !ready() && decoders.empty() && any_waiting()) decode_one(lock);
    }
    if (error) std::rethrow_exception(error);
    if (!ready()) return false;
    image = std::move(slots.front().image);
    slots.pop_front();
    ++first;
    lock.unlock();
    changed.notify_all();
    return true;
  }

  void finish() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    if (producer.joinable()) producer.join();
    for (std::thread& thread : decoders) thread.join();
  }
};

ImageStream::ImageStream(std::function<void(const Push&)> source, Options options)
    : state_(std::make_unique<State>(std::move(source), options)) {
  ASSAY_CHECK(options.threads >= 1 && options.ahead >= 1,
              "stream: {} threads and {} images ahead; at least 1 of each", options.threads,
              options.ahead);
  State* state = state_.get();
  state->decoders.reserve(static_cast<size_t>(options.threads));
  try {
    for (int i = 0; i < options.threads; ++i)
      state->decoders.emplace_back([state] { state->run_decoder(); });
  } catch (const std::system_error&) {  // fewer threads decode
  } catch (const std::bad_alloc&) {
  }
  try {
    state->producer = std::thread([state] { state->produce(); });
  } catch (const std::system_error& refused) {
    state->finish();
    throw SystemError(fmt::format("the system refuses a thread: {}", refused.what()));
  } catch (...) {
    state->finish();  // a thread that is not joined would end the program
    throw;
  }
}

ImageStream::~ImageStream() {
  state_->finish();
}

bool ImageStream::take(StreamedImage& image, bool wait) {
  return state_->take(image, wait);
}

}  // namespace assay
