#include "kernels/runtime/cuda/launch_log.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

#include "kernels/runtime/cuda/api.cuh"
#if !defined(__CUDACC__)
#include "kernels/emulator/report.h"
#endif

namespace assay::cuda {
namespace {

thread_local LaunchLog* innermost = nullptr;

std::string mangled_name(const void* kernel) {
#if defined(__CUDACC__)
  const char* name = nullptr;
  return cudaFuncGetName(&name, kernel) == cudaSuccess && name != nullptr ? name : "?";
#else
  return emulator::function_name(kernel);
#endif
}

std::string demangled(const std::string& name) {
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr), std::free);
  return text ? text.get() : name;
}

void erase_all(std::string& text, const std::string& what) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.erase(at, what.size());
}

}  // namespace

LaunchLog::LaunchLog() : previous_(innermost) {
  innermost = this;
}
LaunchLog::~LaunchLog() {
  innermost = previous_;
}

void LaunchLog::note(const KernelLaunch& launch) {
  if (innermost != nullptr) innermost->launches_.push_back(launch);
}

std::string kernel_name(const void* kernel) {
  std::string name = demangled(mangled_name(kernel));
  for (const char* noise : {"(anonymous namespace)::", "assay::", "cuda::", "void "})
    erase_all(name, noise);
  // The parameters begin at the first parenthesis outside of template arguments.
  int depth = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0) return name.substr(0, i);
  }
  return name;
}

}  // namespace assay::cuda
