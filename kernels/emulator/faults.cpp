#include "kernels/emulator/faults.h"

#include <fmt/core.h>
#include <signal.h>

#include <memory>
#include <mutex>

#include "kernels/emulator/device_memory.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/report.h"

namespace assay::emulator {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
constexpr size_t kStackBytes = 64 << 10;
struct sigaction previous[4];
int users = 0;
std::mutex mutex;

// Runs on the alternate stack, then abandons the kernel. That is safe because the faulting
// instruction is a kernel's, so no lock is held and no allocation is half done.
void on_fault(int signal, siginfo_t* info, void*) {
  Multiprocessor* mp = multiprocessor;
  if (mp == nullptr || !mp->in_kernel()) {  // not a kernel's: repeat the fault without a handler
    struct sigaction default_action = {};
    default_action.sa_handler = SIG_DFL;
    sigaction(signal, &default_action, nullptr);
    return;
  }
  if (signal == SIGILL || signal == SIGTRAP)
    fail(fmt::format("undefined behaviour (array bound, shift or overflow) at {}",
                     source_line(static_cast<const char*>(info->si_addr) + 1)));
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const unsigned me = mp->running().index;
  const auto stack = reinterpret_cast<uintptr_t>(mp->stacks().stack(me));
  if (address < stack && mp->stacks().contains(info->si_addr))
    fail("stack overflow: the thread's local memory is larger than config().stack_bytes");
  if (is_device_address(address)) fail("global memory access out of bounds, or to freed memory");
  fail(fmt::format("access to the invalid address {} (or a misaligned vector)", info->si_addr));
}

}  // namespace

FaultHandlers::FaultHandlers() {
  const std::lock_guard lock(mutex);
  if (users++ > 0) return;
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  for (int i = 0; i < 4; ++i) sigaction(kSignals[i], &action, &previous[i]);
}

FaultHandlers::~FaultHandlers() {
  const std::lock_guard lock(mutex);
  if (--users > 0) return;
  for (int i = 0; i < 4; ++i) sigaction(kSignals[i], &previous[i], nullptr);
}

namespace {
struct AlternateStack {
  std::unique_ptr<unsigned char[]> memory{new unsigned char[kStackBytes]};
  stack_t before{};
};
AlternateStack& alternate_stack() {
  thread_local AlternateStack s;
  return s;
}
}  // namespace

FaultStack::FaultStack() {
  AlternateStack& s = alternate_stack();
  stack_t mine{};
  mine.ss_sp = s.memory.get();
  mine.ss_size = kStackBytes;
  sigaltstack(&mine, &s.before);
}
FaultStack::~FaultStack() {
  sigaltstack(&alternate_stack().before, nullptr);
}

}  // namespace assay::emulator
