// The built-in functions of CUDA C++ that our kernels use. (Included by language.h.)
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/emulator/machine.h"

namespace assay::emulator {

enum class Shuffle : uint8_t { index, up, down, xor_ };
struct ShuffleOperand {
  uint64_t value, result;
  int lane, width;
  Shuffle kind;
};
struct BallotOperand {
  bool predicate;
  uint32_t result;
};
enum class Reduction : uint8_t {
  add,
  min_signed,
  max_signed,
  min_unsigned,
  max_unsigned,
  and_,
  or_,
  xor_
};
struct ReduceOperand {
  uint32_t value, result;
  Reduction kind;
};
extern const WarpOperation kShuffle, kBallot, kReduce;

template <class T>
T shuffle(Shuffle kind, uint32_t mask, T value, int lane, int width, Site site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  ShuffleOperand operand{0, 0, lane, width, kind};
  std::memcpy(&operand.value, &value, sizeof value);
  warp_collective(kShuffle, mask, &operand, site);
  std::memcpy(&value, &operand.result, sizeof value);
  return value;
}
inline uint32_t ballot(uint32_t mask, bool predicate, Site site) {
  BallotOperand operand{predicate, 0};
  warp_collective(kBallot, mask, &operand, site);
  return operand.result;
}
template <class T>
T warp_reduce(Reduction kind, uint32_t mask, T value, Site site) {
  ReduceOperand operand{static_cast<uint32_t>(value), 0, kind};
  warp_collective(kReduce, mask, &operand, site);
  return static_cast<T>(operand.result);
}

/// An atomic read-modify-write by compare and swap: blocks may run on different OS threads.
template <class T, class Change>
T atomic_update(T* p, Change change) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  note_atomic(p, sizeof(T));
  Bits* bits = reinterpret_cast<Bits*>(p);
  Bits old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(bits, &old,
                                      std::bit_cast<Bits>(change(std::bit_cast<T>(old))), true,
                                      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
  }
  return std::bit_cast<T>(old);
}

}  // namespace assay::emulator

// ---- warp: shuffles, votes, reductions
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::shuffle(assay::emulator::Shuffle::index, mask, value, lane, width, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::shuffle(assay::emulator::Shuffle::up, mask, value,
                                  static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::shuffle(assay::emulator::Shuffle::down, mask, value,
                                  static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::shuffle(assay::emulator::Shuffle::xor_, mask, value, lane_mask, width,
                                  site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::ballot(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::ballot(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      assay::emulator::Site site = assay::emulator::Site::current()) {
  return assay::emulator::ballot(mask, predicate == 0, site) == 0;
}

#define ASSAY_WARP_REDUCE(name, T, kind)                                                      \
  inline T name(unsigned mask, T value,                                                       \
                assay::emulator::Site site = assay::emulator::Site::current()) {              \
    return assay::emulator::warp_reduce(assay::emulator::Reduction::kind, mask, value, site); \
  }
ASSAY_WARP_REDUCE(__reduce_add_sync, int, add)
ASSAY_WARP_REDUCE(__reduce_add_sync, unsigned, add)
ASSAY_WARP_REDUCE(__reduce_min_sync, int, min_signed)
ASSAY_WARP_REDUCE(__reduce_min_sync, unsigned, min_unsigned)
ASSAY_WARP_REDUCE(__reduce_max_sync, int, max_signed)
ASSAY_WARP_REDUCE(__reduce_max_sync, unsigned, max_unsigned)
ASSAY_WARP_REDUCE(__reduce_and_sync, unsigned, and_)
ASSAY_WARP_REDUCE(__reduce_or_sync, unsigned, or_)
ASSAY_WARP_REDUCE(__reduce_xor_sync, unsigned, xor_)
#undef ASSAY_WARP_REDUCE

// ---- atomics
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  return assay::emulator::atomic_update(p, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  return assay::emulator::atomic_update(p, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> value) {
  return assay::emulator::atomic_update(p, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> value) {
  return assay::emulator::atomic_update(p, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  return assay::emulator::atomic_update(p, [=](T old) { return old == compare ? value : old; });
}
/// ((old >= limit) ? 0 : old + 1), as CUDA defines it.
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return assay::emulator::atomic_update(p,
                                        [=](unsigned old) { return old >= limit ? 0 : old + 1; });
}

// ---- memory hints: the value is the same
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T value) {
  *p = value;
}
template <class T>
void __stcg(T* p, T value) {
  *p = value;
}

// ---- numbers. The approximate functions of the device are exact here.
inline unsigned __float_as_uint(float f) {
  return std::bit_cast<unsigned>(f);
}
inline float __uint_as_float(unsigned u) {
  return std::bit_cast<float>(u);
}
inline int __float_as_int(float f) {
  return std::bit_cast<int>(f);
}
inline float __int_as_float(int i) {
  return std::bit_cast<float>(i);
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __log2f(float x) {
  return std::log2(x);
}
inline float __sinf(float x) {
  return std::sin(x);
}
inline float __cosf(float x) {
  return std::cos(x);
}
inline float __powf(float x, float y) {
  return std::pow(x, y);
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float __saturatef(float x) {
  return x > 1.0f ? 1.0f : x > 0.0f ? x : 0.0f;
}
// Never contracted into a multiply-add, on the device as here.
__attribute__((noinline)) inline float __fmul_rn(float a, float b) {
  return a * b;
}
__attribute__((noinline)) inline float __fadd_rn(float a, float b) {
  return a + b;
}
__attribute__((noinline)) inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
  return x != 0 ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0;
}
/// Byte i of the result is byte (selector >> 4i & 7) of the eight bytes of y:x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return result;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(uint64_t{a} * b >> 32);
}
using std::max;
using std::min;
