// The instruction set of the CPU kernels, chosen at run time; ASSAY_CPU=portable|avx2|avx512 in the
// environment forces one.
#pragma once

namespace assay {

enum class Isa { portable, avx2, avx512 };

/// The instruction set in use: the best that this machine has, or ASSAY_CPU's. Throws UsageError if
/// ASSAY_CPU names one that does not exist or that the machine lacks.
Isa active_isa();
/// Whether this build holds kernels for `isa` and this machine can run them.
bool isa_available(Isa isa);
/// For tests of every instruction set. Throws UsageError if `isa` is not available.
void set_active_isa(Isa isa);
const char* name_of(Isa isa);

}  // namespace assay

// Calls NAME of the active instruction set: NAME is declared once per set by ASSAY_ISA_DECLARE and
// defined in a *_simd.cpp file, which the build compiles once per set.
#if defined(__x86_64__)
#define ASSAY_ISA_DECLARE(...) \
  namespace cpu::portable {    \
  __VA_ARGS__                  \
  }                            \
  namespace cpu::avx2 {        \
  __VA_ARGS__                  \
  }                            \
  namespace cpu::avx512 {      \
  __VA_ARGS__                  \
  }
#define ASSAY_ISA_CALL(NAME, ...)                         \
  [&] {                                                   \
    switch (::assay::active_isa()) {                      \
      case ::assay::Isa::avx512:                          \
        return ::assay::cpu::avx512::NAME(__VA_ARGS__);   \
      case ::assay::Isa::avx2:                            \
        return ::assay::cpu::avx2::NAME(__VA_ARGS__);     \
      default:                                            \
        return ::assay::cpu::portable::NAME(__VA_ARGS__); \
    }                                                     \
  }()
#else
#define ASSAY_ISA_DECLARE(...) \
  namespace cpu::portable {    \
  __VA_ARGS__                  \
  }
#define ASSAY_ISA_CALL(NAME, ...) ::assay::cpu::portable::NAME(__VA_ARGS__)
#endif
