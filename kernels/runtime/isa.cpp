#include "kernels/runtime/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels/runtime/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace assay {
namespace {

constexpr Isa kAll[] = {Isa::portable, Isa::avx2, Isa::avx512};

Isa choose() {
  if (const char* forced = std::getenv("ASSAY_CPU"); forced != nullptr && *forced != '\0') {
    for (Isa isa : kAll) {
      if (std::strcmp(forced, name_of(isa)) != 0) continue;
      ASSAY_CHECK_AS(UsageError, isa_available(isa),
                     "ASSAY_CPU={}: this build or this machine does not have it", forced);
      return isa;
    }
    throw UsageError(fmt::format("ASSAY_CPU={} is none of portable, avx2, avx512", forced));
  }
  return isa_available(Isa::avx512) ? Isa::avx512
         : isa_available(Isa::avx2) ? Isa::avx2
                                    : Isa::portable;
}

std::atomic<Isa>& active() {
  static std::atomic<Isa> isa{choose()};
  return isa;
}

#if defined(__x86_64__)
/// Whether the CPU has what the native tile kernels are compiled for (kernels/CMakeLists.txt).
bool cpu_has_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24 & 1) != 0 && (d >> 22 & 1) != 0, vbmi2 = (c >> 6 & 1) != 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  const bool avx512_bf16 = (a >> 5 & 1) != 0;
  return tiles && vbmi2 && avx512_bf16 && isa_available(Isa::avx512);
}

/// Linux gives a process its tile registers when it asks for them
/// (Documentation/arch/x86/xstate.rst).
bool kernel_grants_tiles() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

Tiles choose_tiles() {
  const char* forced = std::getenv("ASSAY_AMX");
  if (forced == nullptr || *forced == '\0')
    return tiles_available(Tiles::native) ? Tiles::native : Tiles::none;
  if (std::strcmp(forced, "off") == 0) return Tiles::none;
  if (std::strcmp(forced, "emulated") == 0) return Tiles::emulated;
  throw UsageError(fmt::format("ASSAY_AMX={} is neither off nor emulated", forced));
}

std::atomic<Tiles>& chosen_tiles() {
  static std::atomic<Tiles> tiles{choose_tiles()};
  return tiles;
}

}  // namespace

Isa active_isa() {
  return active().load(std::memory_order_relaxed);
}

bool isa_available(Isa isa) {
#if defined(__x86_64__)
  // The features that each set's files are compiled with (kernels/CMakeLists.txt).
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == Isa::portable;
}

void set_active_isa(Isa isa) {
  ASSAY_CHECK_AS(UsageError, isa_available(isa),
                 "instruction set {}: this build or this machine does not have it", name_of(isa));
  active().store(isa, std::memory_order_relaxed);
}

const char* name_of(Isa isa) {
  return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "portable";
}

Tiles active_tiles() {
  return chosen_tiles().load(std::memory_order_relaxed);
}

bool tiles_available(Tiles tiles) {
  if (tiles != Tiles::native) return true;
#if defined(__x86_64__)
  static const bool granted = cpu_has_tiles() && kernel_grants_tiles();
  return granted;
#else
  return false;
#endif
}

void set_active_tiles(Tiles tiles) {
  ASSAY_CHECK_AS(UsageError, tiles_available(tiles),
                 "tile instructions {}: this build or this machine does not have them",
                 name_of(tiles));
  chosen_tiles().store(tiles, std::memory_order_relaxed);
}

const char* name_of(Tiles tiles) {
  return tiles == Tiles::native ? "native" : tiles == Tiles::emulated ? "emulated" : "none";
}

}  // namespace assay
