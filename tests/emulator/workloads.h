// The example kernels on small awkward shapes, each compared with plain double loops.
#pragma once

#include <string>

#include "tests/emulator/kernels/kernels.h"

namespace assay::testing {

/// Each runs its kernel with `bug` and returns "" or the difference from the reference. Throws
/// DeviceError with the emulator's report.
std::string check_sgemm(Bug bug = Bug::none);
std::string check_conv_tf32(Bug bug = Bug::none);
std::string check_batchnorm_statistics(Bug bug = Bug::none);
std::string check_maxpool(Bug bug = Bug::none);
std::string check_kde(Bug bug = Bug::none);
std::string check_gemm_bf16(Bug bug = Bug::none);
std::string check_wgmma_gemm(Bug bug = Bug::none);
std::string check_wgmma_generic(Bug bug = Bug::none);
std::string check_wgmma_conv(Bug bug = Bug::none);
std::string check_last_block_sum(Bug bug = Bug::none);

struct Workload {
  const char* name;
  std::string (*check)(Bug);
};
inline constexpr Workload kWorkloads[] = {
    {"sgemm", check_sgemm},
    {"conv_tf32", check_conv_tf32},
    {"batchnorm_statistics", check_batchnorm_statistics},
    {"maxpool", check_maxpool},
    {"kde", check_kde},
    {"gemm_bf16", check_gemm_bf16},
    {"wgmma_gemm", check_wgmma_gemm},
    {"wgmma_generic", check_wgmma_generic},
    {"wgmma_conv", check_wgmma_conv},
    {"last_block_sum", check_last_block_sum},
};

}  // namespace assay::testing
