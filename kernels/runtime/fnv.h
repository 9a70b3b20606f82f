// The FNV-1a hash with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/). It detects accidental
// changes, not an adversary's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace assay {

class Fnv {
 public:
  void add(const void* bytes, size_t n) {
    const auto* b = static_cast<const uint8_t*>(bytes);
    for (size_t i = 0; i < n; ++i) value_ = (value_ ^ b[i]) * 0x100000001B3u;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325u;
};

inline uint64_t fnv_of(std::string_view text) {
  Fnv hash;
  hash.add(text.data(), text.size());
  return hash.value();
}

}  // namespace assay
