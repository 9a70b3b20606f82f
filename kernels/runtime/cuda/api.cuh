// The CUDA runtime API: the toolkit's, or the emulator's functions of the same names.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include "kernels/emulator/api.h"
#endif
