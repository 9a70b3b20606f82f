#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

int checked_threads(int threads) {
  ASSAY_CHECK_AS(UsageError, threads >= 0, "--threads: ", threads, " is less than 0");
  return threads == 0 ? available_threads() : threads;
}

}  // namespace

void add_threads_option(CLI::App& verb, int& threads) {
  verb.add_option("--threads", threads, "threads of the CPU (0: all); never changes a result");
}

RunContext::RunContext(int threads, const std::string& device, const std::string& precision)
    : context_(checked_threads(threads)), scope_(context_.get()) {
  if (device == "cuda") context_.get().device = Device::cuda();
  context_.get().precision = precision_from_name(precision.c_str());
}

}  // namespace assay
