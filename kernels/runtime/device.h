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

struct bf16;  // kernels/runtime/bf16.h

/// Element types. f64 means "reference": every kernel runs its plain definition on it. bf16 is for
/// activations and their gradients, on the CPU alone; the parameters beside them are f32.
enum class DType : uint8_t { f32, f64, u8, bf16 };

constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
      return 8;
    case DType::f32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::u8:
      break;
  }
  return 1;
}
constexpr const char* name_of(DType t) {
  switch (t) {
    case DType::f64:
      return "float64";
    case DType::f32:
      return "float32";
    case DType::bf16:
      return "bfloat16";
    case DType::u8:
      break;
  }
  return "uint8";
}
template <class T>
inline constexpr DType dtype_of = DType::u8;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;

}  // namespace assay
