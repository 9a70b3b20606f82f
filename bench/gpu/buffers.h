// Buffers of the benchmarks other than convolutions, and work on them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bench/gpu/harness.h"
#include "kernels/random/random.h"

namespace assay::bench {

/// Sets of fp32 vectors on the device, filled with random numbers; all sets are equal.
class Vectors {
 public:
  Vectors(Context& ctx, std::vector<int64_t> lengths, int sets, float low = -1, float high = 1)
      : lengths_(std::move(lengths)),
        stride_(offset(lengths_.size())),
        memory_(ctx, static_cast<size_t>(stride_ * sets) * sizeof(float)) {
    for (int set = 0; set < sets; ++set)
      for (size_t i = 0; i < lengths_.size(); ++i)
        random_uniform<float>(ctx, 3, i, lengths_[i], low, high, at(set, i));
  }
  float* at(int set, size_t i) const { return memory_.as<float>() + set * stride_ + offset(i); }
  int64_t bytes() const { return stride_ * static_cast<int64_t>(sizeof(float)); }

 private:
  int64_t offset(size_t i) const {
    int64_t sum = 0;
    for (size_t j = 0; j < i; ++j) sum += (lengths_[j] + 63) / 64 * 64;
    return sum;
  }
  std::vector<int64_t> lengths_;
  int64_t stride_;
  Scratch memory_;
};

/// Device memory on the host.
template <class T>
std::vector<T> to_host(Context& ctx, const T* p, int64_t n) {
  std::vector<T> v(static_cast<size_t>(n));
  copy_bytes(ctx, v.data(), Device::cpu(), p, ctx.device, v.size() * sizeof(T));
  return v;
}

/// Work with its buffers. `make` allocates sets of them, `run` queues the work on one set.
template <class Buffers>
struct BufferedWork {
  std::function<std::unique_ptr<Buffers>(int sets)> make;
  std::function<void(const Buffers&, int set)> run;
  std::unique_ptr<Buffers> buffers;

  /// Prepares the work to be timed. Allocates enough sets, of `bytes` each, for a cold sample.
  Bench::Side prepare(Bench& bench, int64_t bytes) {
    buffers = make(1);
    Bench::Side side;
    side.work = [this](int set) { run(*buffers, set); };
    side.launches = bench.timer.launches_for(side.work);
    side.cold_launches = cold_launches(side.launches, bytes);
    buffers = nullptr;
    buffers = make(side.cold_launches);
    return side;
  }
};

}  // namespace assay::bench
