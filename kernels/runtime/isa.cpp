#include "kernels/runtime/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels/runtime/error.h"

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

}  // namespace assay
