// An array in the emulated device's memory, of exactly its size, until the end of a scope.
#pragma once

#include <vector>

#include "kernels/emulator/api.h"
#include "kernels/runtime/cuda/check.cuh"
#include "kernels/runtime/philox.h"

namespace assay::testing {

template <class T>
class DeviceArray {
 public:
  /// Holds 0xFF bytes: NaN.
  explicit DeviceArray(size_t n) : size_(n) { ASSAY_CUDA_CHECK(cudaMalloc(&data_, n * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    ASSAY_CUDA_CHECK(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }
  /// Waits for the default stream.
  std::vector<T> host() const {
    std::vector<T> values(size_);
    ASSAY_CUDA_CHECK(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

/// Uniform in [-1, 1).
inline std::vector<float> random_floats(size_t n, uint64_t seed) {
  RandomSequence random(seed, RandomStream::builtin);
  std::vector<float> v(n);
  for (float& x : v) x = random.uniform(-1.0f, 1.0f);
  return v;
}

}  // namespace assay::testing
