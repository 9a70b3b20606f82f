// The instruction set of the CPU kernels, chosen at run time; ASSAY_CPU=portable|avx2|avx512 in the
// environment forces one. The tile instructions of the bf16 kernels are chosen apart.
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

/// The tile instructions (AMX-TILE and AMX-BF16) of the bf16 kernels: those of the CPU, or the same
/// in plain C++, with the same bits and far slower, for tests on every machine.
enum class Tiles { none, emulated, native };

/// The tile instructions in use: native if this machine has them and the kernel grants them, else
/// none; ASSAY_AMX=off in the environment means none, ASSAY_AMX=emulated emulated ones. Throws
/// UsageError if ASSAY_AMX is something else.
Tiles active_tiles();
/// Whether this build holds kernels for `tiles` and this machine can run them. Asks Linux, once,
/// for the tile registers.
bool tiles_available(Tiles tiles);
/// For tests. Throws UsageError if `tiles` are not available.
void set_active_tiles(Tiles tiles);
const char* name_of(Tiles tiles);

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

// The same for files of assay_tile_sources(), which the build compiles for native tile instructions
// (x86-64 alone) and for emulated ones. A call needs active_tiles() other than none.
#if defined(__x86_64__)
#define ASSAY_TILES_DECLARE(...) \
  namespace cpu::amx {           \
  __VA_ARGS__                    \
  }                              \
  namespace cpu::amx_emulated {  \
  __VA_ARGS__                    \
  }
#define ASSAY_TILES_CALL(NAME, ...)                  \
  (::assay::active_tiles() == ::assay::Tiles::native \
       ? ::assay::cpu::amx::NAME(__VA_ARGS__)        \
       : ::assay::cpu::amx_emulated::NAME(__VA_ARGS__))
#else
#define ASSAY_TILES_DECLARE(...) \
  namespace cpu::amx_emulated {  \
  __VA_ARGS__                    \
  }
#define ASSAY_TILES_CALL(NAME, ...) ::assay::cpu::amx_emulated::NAME(__VA_ARGS__)
#endif
