#include "kernels/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/runtime/error.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace assay::emulator {

#if defined(__SANITIZE_ADDRESS__)
namespace {
thread_local const void** left_stack = nullptr;  // where entered() stores the bounds of the stack
thread_local size_t* left_bytes = nullptr;       // that the running fiber was entered from
}  // namespace
#endif

void Fiber::own_stack(unsigned char* stack, size_t bytes) {
  stack_ = stack;
  bytes_ = bytes;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack, bytes);  // an abandoned thread left redzones there
#endif
}

#if defined(ASSAY_EMULATOR_UCONTEXT)

void Fiber::prepare(unsigned char* stack, size_t bytes, unsigned colour, void (*entry)()) {
  own_stack(stack, bytes);
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes - colour % 64 * 192;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

#else

// assay_switch_fiber(void** save, void* load): pushes what the System V ABI wants preserved, leaves
// the stack pointer in *save, takes `load` as the stack pointer and pops the same registers there.
extern "C" void assay_switch_fiber(void** save, void* load);
asm(R"(
.text
.p2align 4
.globl assay_switch_fiber
.hidden assay_switch_fiber
.type assay_switch_fiber,@function
assay_switch_fiber:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
.size assay_switch_fiber,.-assay_switch_fiber
)");

// Builds by hand the stack that assay_switch_fiber would have left behind.
void Fiber::prepare(unsigned char* stack, size_t bytes, unsigned colour, void (*entry)()) {
  own_stack(stack, bytes);
  const uintptr_t top = reinterpret_cast<uintptr_t>(stack) + bytes - 64 - colour % 64 * 192;
  void** sp = reinterpret_cast<void**>(top & ~uintptr_t{15});
  *--sp = nullptr;  // the "return address" of entry(): keeps the alignment that the ABI wants
  *--sp = reinterpret_cast<void*>(entry);
  for (int saved_register = 0; saved_register < 6; ++saved_register) *--sp = nullptr;
  stack_pointer_ = sp;
}

#endif

void Fiber::switch_to(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  left_stack = &from.stack_;
  left_bytes = &from.bytes_;
  __sanitizer_start_switch_fiber(&fake_stack, to.stack_, to.bytes_);
#endif
#if defined(ASSAY_EMULATOR_UCONTEXT)
  swapcontext(&from.context_, &to.context_);
#else
  assay_switch_fiber(&from.stack_pointer_, to.stack_pointer_);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, left_stack, left_bytes);
#endif
}

void Fiber::entered() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, left_stack, left_bytes);
#endif
}

Stacks::Stacks(size_t count, size_t bytes)
    : count_(count), bytes_(bytes), guard_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  void* base = mmap(nullptr, count * (bytes + guard_), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSAY_CHECK(base != MAP_FAILED, "emulator: no memory for {} stacks of {} bytes", count, bytes);
  base_ = static_cast<unsigned char*>(base);
  for (size_t i = 0; i < count; ++i) mprotect(stack(i) - guard_, guard_, PROT_NONE);
}

Stacks::~Stacks() {
  munmap(base_, count_ * (bytes_ + guard_));
}

}  // namespace assay::emulator
