// The functions that code compiled with -fsanitize=thread calls before each memory access. Only
// the check build links this file, and never together with libtsan.
#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace {

using namespace assay::emulator;

inline void access(const void* p, size_t bytes, bool write, const void* pc, bool aligned) {
  Multiprocessor* mp = multiprocessor;
  if (mp != nullptr && mp->in_kernel() && mp->checking())
    mp->checker->access(p, bytes, write ? kWrite : kRead, pc, aligned);
}

}  // namespace

extern "C" {

void __tsan_init() {
  assay::emulator::set_instrumented();
}
void __tsan_func_entry(void*) {}
void __tsan_func_exit(void*) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define ASSAY_TSAN_ACCESS(N)                                 \
  void __tsan_read##N(void* p) {                             \
    access(p, N, false, __builtin_return_address(0), true);  \
  }                                                          \
  void __tsan_write##N(void* p) {                            \
    access(p, N, true, __builtin_return_address(0), true);   \
  }                                                          \
  void __tsan_unaligned_read##N(void* p) {                   \
    access(p, N, false, __builtin_return_address(0), false); \
  }                                                          \
  void __tsan_unaligned_write##N(void* p) {                  \
    access(p, N, true, __builtin_return_address(0), false);  \
  }
ASSAY_TSAN_ACCESS(1)
ASSAY_TSAN_ACCESS(2)
ASSAY_TSAN_ACCESS(4)
ASSAY_TSAN_ACCESS(8)
ASSAY_TSAN_ACCESS(16)

void __tsan_read_range(void* p, unsigned long n) {
  access(p, n, false, __builtin_return_address(0), false);
}
void __tsan_write_range(void* p, unsigned long n) {
  access(p, n, true, __builtin_return_address(0), false);
}
void* __tsan_memcpy(void* to, const void* from, unsigned long n) {
  access(from, n, false, __builtin_return_address(0), false);
  access(to, n, true, __builtin_return_address(0), false);
  return __builtin_memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
  access(from, n, false, __builtin_return_address(0), false);
  access(to, n, true, __builtin_return_address(0), false);
  return __builtin_memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, unsigned long n) {
  access(to, n, true, __builtin_return_address(0), false);
  return __builtin_memset(to, value, n);
}

// Atomics of the host code (reference counts, guards of static variables) are not checked. Those of
// kernels are CUDA's atomicAdd etc., which call the checker themselves.
#define ASSAY_TSAN_ATOMIC(bits, T)                                                                 \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                         \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                                      \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                                      \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                                     \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                                     \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) {                                      \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) {                                     \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T v, int, int) {   \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* expected, T v, int, int) {     \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T expected, T v, int, int) {         \
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    return expected;                                                                               \
  }
ASSAY_TSAN_ATOMIC(8, unsigned char)
ASSAY_TSAN_ATOMIC(32, unsigned)
ASSAY_TSAN_ATOMIC(64, unsigned long)
void __tsan_atomic_thread_fence(int) {}

}  // extern "C"
