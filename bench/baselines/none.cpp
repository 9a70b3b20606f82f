// A build without cuDNN and cuBLAS: the benchmarks run ours alone.
#include "bench/baselines/baseline.h"

namespace assay::bench {

std::unique_ptr<DnnLibrary> open_dnn(void*) {
  return nullptr;
}
std::unique_ptr<BlasLibrary> open_blas(void*) {
  return nullptr;
}

}  // namespace assay::bench
