// Fibers: functions that can be suspended and resumed.
//
// A CUDA thread is a fiber: an ordinary C++ call of the kernel on a stack of its own. Where the
// hardware would let the thread wait (a barrier, a shuffle), the emulator saves six registers and
// the stack pointer, and continues another thread where that one stopped. This costs a few
// nanoseconds, while an OS thread would cost microseconds; that is what makes 256 threads a block
// affordable. On x86-64 the switch is 16 instructions; elsewhere, and if ASSAY_EMULATOR_UCONTEXT is
// defined, it is POSIX swapcontext, slower but plain C++.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(ASSAY_EMULATOR_UCONTEXT)
#define ASSAY_EMULATOR_UCONTEXT 1
#endif
#if defined(ASSAY_EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace assay::emulator {

/// A flow of control. A default-constructed Fiber is the one that is running (on the OS thread's
/// own stack); others get a stack and an entry.
class Fiber {
 public:
  /// The next switch to this fiber calls entry() on [stack, stack + bytes). `entry` must not
  /// return. `colour` shifts the first frame: without it the hot frames of all fibers would lie in
  /// the same sets of the cache.
  void prepare(unsigned char* stack, size_t bytes, unsigned colour, void (*entry)());

  /// Suspends `from` and resumes `to`. Returns when another fiber switches back.
  static void switch_to(Fiber& from, Fiber& to);

  /// To be called first in an entry function (AddressSanitizer learns that the stack changed).
  static void entered();

 private:
  void own_stack(unsigned char* stack, size_t bytes);

#if defined(ASSAY_EMULATOR_UCONTEXT)
  ucontext_t context_{};
#else
  void* stack_pointer_ = nullptr;
#endif
  const void* stack_ = nullptr;  // for AddressSanitizer
  size_t bytes_ = 0;
};

/// Stacks for the fibers of one block, each behind an inaccessible page that stops an overflow.
class Stacks {
 public:
  Stacks(size_t count, size_t bytes);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  size_t count() const { return count_; }
  size_t stack_bytes() const { return bytes_; }
  unsigned char* stack(size_t i) const { return base_ + i * (bytes_ + guard_) + guard_; }
  /// Whether `address` lies in one of the stacks or in a guard page.
  bool contains(const void* address) const {
    const auto* a = static_cast<const unsigned char*>(address);
    return a >= base_ && a < base_ + count_ * (bytes_ + guard_);
  }
  bool in_stack(size_t i, const void* address) const {
    const auto* a = static_cast<const unsigned char*>(address);
    return a >= stack(i) && a < stack(i) + bytes_;
  }

 private:
  size_t count_, bytes_, guard_;
  unsigned char* base_;
};

}  // namespace assay::emulator
