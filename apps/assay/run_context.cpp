#include <fmt/format.h>

#include <charconv>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

constexpr int kMaxThreads = 1024;

}  // namespace

int checked_threads(int threads) {
  ASSAY_CHECK_AS(UsageError, threads >= 0 && threads <= kMaxThreads,
                 "--threads: {} is not from 0 to {}", threads, kMaxThreads);
  return threads == 0 ? available_threads() : threads;
}

CLI::Validator whole_number() {
  return {[](const std::string& text) -> std::string {
            uint64_t value = 0;
            const char* end = text.data() + text.size();
            const auto [at, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && at == end) return "";
            return "'" + text + "' is no whole number from 0 to 18446744073709551615";
          },
          ""};
}

void add_preset_option(CLI::App& verb, std::string& preset) {
  verb.add_option("--preset", preset,
                  fmt::format("a named variant of the model: {}", fmt::join(preset_names(), ", ")));
}

void check_is_new(const std::filesystem::path& file) {
  std::error_code ignored;
  ASSAY_CHECK_AS(UsageError, !std::filesystem::exists(file, ignored),
                 "--out: {} is there already; choose another folder, or give --force to replace it",
                 file.string());
}

void add_threads_option(CLI::App& verb, int& threads) {
  verb.add_option("--threads", threads, "threads of the CPU (0: all); never changes a result");
}

void add_precision_option(CLI::App& verb, std::string& precision) {
  verb.add_option("--precision", precision,
                  "another than the run's, such as fp32 for a run in bf16 on a CPU without AMX");
}

RunContext::RunContext(int threads, const std::string& device, const std::string& precision)
    : context_(make_context(device == "cuda" ? Device::cuda() : Device::cpu(),
                            checked_threads(threads))),
      scope_(context_->get()) {
  set_precision(context_->get(), precision_from_name(precision.c_str()));
}

}  // namespace assay
