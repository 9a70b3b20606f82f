// Devices and element types.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define ASSAY_HD __host__ __device__
#else
#define ASSAY_HD
#endif

namespace assay {

enum class DeviceType : uint8_t { cpu, cuda };

/// A device. `Device::cuda()` throws DeviceError if no CUDA device can be used, so a Device of type
/// cuda proves that there is one.
struct Device {
  DeviceType type = DeviceType::cpu;

  static Device cpu() { return {}; }
  static Device cuda();
  bool is_cuda() const { return type == DeviceType::cuda; }
  const char* name() const { return is_cuda() ? "cuda" : "cpu"; }
  friend bool operator==(Device, Device) = default;
};

/// Whether this build has the CUDA kernels, for real devices or for the emulator.
bool built_with_cuda();
/// Whether this build has the CUDA kernels and there is a device, real or emulated.
bool cuda_available();

/// Element types. f64 means "reference": every kernel runs its plain definition on it.
enum class DType : uint8_t { f32, f64, u8 };

constexpr size_t size_of(DType t) {
  return t == DType::f64 ? 8 : t == DType::f32 ? 4 : 1;
}
constexpr const char* name_of(DType t) {
  return t == DType::f64 ? "float64" : t == DType::f32 ? "float32" : "uint8";
}
template <class T>
inline constexpr DType dtype_of = DType::u8;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;

}  // namespace assay
