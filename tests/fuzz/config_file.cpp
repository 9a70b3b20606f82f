#include "apps/assay/program.h"
#include "tests/fuzz/scratch.h"

// `assay describe kd-cae --config FILE` prints a table or refuses the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const assay::ScratchFolder scratch;
  const std::string file = scratch.write("options.toml", data, size).string();
  const int code = assay::run_quietly({"assay", "describe", "kd-cae", "--config", file});
  if (code != 0 && code != 2) __builtin_trap();
  return 0;
}
