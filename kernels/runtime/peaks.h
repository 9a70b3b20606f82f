// The measured peaks of this machine.
#pragma once

#include "kernels/runtime/context.h"

namespace assay {

struct Peaks {
  double fma_flops;   ///< FLOP/s of fp32 multiply-adds, all threads; an FMA counts as two
  double copy_bytes;  ///< byte/s, read plus written, of a copy far larger than the caches
};

/// The best of several rounds; takes about a second. The multiply-adds are independent chains in
/// registers, in the active instruction set.
Peaks measure_peaks(Context& ctx);

}  // namespace assay
