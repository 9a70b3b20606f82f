// Packed copies of weights, kept between calls.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <utility>

#include "kernels/runtime/isa.h"
#include "kernels/runtime/memory.h"

namespace assay {

/// Weights as an argument of kernels. `version` identifies their content: two different contents of
/// one address never have the same. 0 means unknown, and nothing about them is cached.
template <class T>
struct Weights {
  const T* data = nullptr;
  uint64_t version = 0;

  Weights() = default;
  Weights(const T* weights, uint64_t weights_version = 0)  // implicit: a pointer is weights
      : data(weights), version(weights_version) {}
};

/// The layouts that weights are packed into, one for each function that packs.
enum class PackKind : uint8_t {
  gemm,
  gemm_transposed,
  conv2d_blocked,
  conv2d_fprop,
  conv2d_dgrad,
  conv2d_one_channel,
  winograd_fprop,
  winograd_dgrad,
  winograd_fprop_upsampled,
  winograd_dgrad_upsampled,
  winograd_narrow_fprop,
  winograd_narrow_dgrad,
  tiles_fprop,
  tiles_fprop_merged,
  tiles_dgrad,
  tiles_dgrad_merged,
  tiles_gemm,
  tiles_gemm_transposed,
};

/// Distinguishes the packed forms of the same weights. A field is set if the layout depends on it.
struct PackKey {
  PackKind kind;
  Isa isa = Isa::portable;
  int stride = 1, pad = 0, upsample = 1;
  friend auto operator<=>(const PackKey&, const PackKey&) = default;
};

/// Remembers one packed form per (address, key). Packing happens when the version is new; the
/// buffer is reused, so a warmed-up step allocates nothing. Not thread-safe: one per Context.
class WeightCache {
 public:
  explicit WeightCache(Allocator& memory) : memory_(memory) {}

  /// The packed form of `weights`, `bytes` long, made by pack(buffer) if it is not cached. The
  /// pointer is valid until the next call.
  template <class T, class Pack>
  const T* get(Weights<T> weights, const PackKey& key, size_t bytes, const Pack& pack) {
    return get_as<T>(weights, key, bytes, pack);
  }
  /// The same for a packed form of another type.
  template <class Packed, class T, class Pack>
  const Packed* get_as(Weights<T> weights, const PackKey& key, size_t bytes, const Pack& pack) {
    Entry& entry = find(weights.data, key, bytes);
    if (weights.version == 0 || entry.version != weights.version) {
      pack(entry.buffer.template as<Packed>());
      entry.version = weights.version;
    }
    return entry.buffer.template as<Packed>();
  }
  void clear() { entries_.clear(); }
  /// Makes later calls pack every form again, into the existing buffers.
  void forget() {
    for (auto& [key, entry] : entries_) entry.version = 0;
  }

 private:
  struct Entry {
    uint64_t version = 0;
    uint64_t last_use = 0;
    Scratch buffer;
  };
  Entry& find(const void* data, const PackKey& key, size_t bytes);

  Allocator& memory_;
  std::map<std::pair<const void*, PackKey>, Entry> entries_;
  uint64_t clock_ = 0;
};

}  // namespace assay
