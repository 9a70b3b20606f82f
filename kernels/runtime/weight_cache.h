// Packed copies of weights, kept between calls.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "kernels/runtime/memory.h"

namespace assay {

/// Weights as a kernel sees them. `version` names their content: it is never the same for two
/// different contents of one address. 0 = unknown, so nothing about them may be remembered.
template <class T>
struct Weights {
  const T* data = nullptr;
  uint64_t version = 0;

  Weights() = default;
  Weights(const T* weights, uint64_t weights_version = 0)  // implicit: a pointer is weights
      : data(weights), version(weights_version) {}
};

/// Remembers one packed form per (address, kind). Packing happens when the version is new; the
/// buffer is reused, so a warmed-up step allocates nothing. Not thread-safe: one per Context.
class WeightCache {
 public:
  explicit WeightCache(Allocator& memory) : memory_(memory) {}

  /// The packed form of `data`, `bytes` long, made by pack(buffer) when it is not there. `kind`
  /// tells packed forms of the same weights apart. The pointer is good until the next call.
  template <class T, class Pack>
  const T* get(Weights<T> weights, uint32_t kind, size_t bytes, const Pack& pack) {
    Entry& entry = find(weights.data, kind, bytes);
    if (weights.version == 0 || entry.version != weights.version) {
      pack(entry.buffer.template as<T>());
      entry.version = weights.version;
    }
    return entry.buffer.template as<T>();
  }
  void clear() { entries_.clear(); }
  /// Lets every form be packed again, into the buffers there are.
  void forget() {
    for (auto& [key, entry] : entries_) entry.version = 0;
  }

 private:
  struct Entry {
    uint64_t version = 0;
    uint64_t last_use = 0;
    Scratch buffer;
  };
  Entry& find(const void* data, uint32_t kind, size_t bytes);

  Allocator& memory_;
  std::map<std::pair<const void*, uint32_t>, Entry> entries_;
  uint64_t clock_ = 0;
};

}  // namespace assay
