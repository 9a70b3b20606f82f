// wgmma: the asynchronous matrix products of a warpgroup on sm_90.
//
// A (64 x K) and B (N x K) are tiles in shared memory, given by 64-bit descriptors, or A lies in
// registers; the accumulators are registers of 128 threads. K is 8 for TF32, 16 for bf16. Between
// issue and wait the kernel must touch none of them: a late product therefore replaces the
// accumulators by NaN, and check mode refuses writes to the operands in shared memory.
#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/tensor_core.h"

namespace assay::emulator {
namespace {

constexpr int kM = 64;

// Address of byte `k_byte` of row `row` of a K-major operand (PTX ISA, "Shared Memory Matrix
// Descriptor"): atoms of 8 rows by `span` bytes, `stride` bytes from one atom to the next 8 rows.
uint32_t operand_address(uint64_t descriptor, int row, int k_byte) {
  const uint32_t start = static_cast<uint32_t>(descriptor & 0x3fff) << 4;
  const uint32_t stride = static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4;
  constexpr uint32_t kSpan[4] = {0, 128, 64, 32};
  const uint32_t span = kSpan[descriptor >> 62];
  if (span == 0) fail("wgmma: a layout without swizzle is not emulated");
  if ((descriptor >> 49 & 7) != 0) fail("wgmma: a base offset is not emulated");
  const auto r = static_cast<uint32_t>(row);
  return swizzled(start + r / 8 * stride + r % 8 * span + static_cast<uint32_t>(k_byte), span);
}

float from_tf32(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffffe000u);
}
float from_bf16(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}

// Element (row, k) of an operand in shared memory: TF32 if K is 8, bf16 if it is 16.
template <int kK>
float load(uint64_t descriptor, int row, int k) {
  constexpr int kBytes = 32 / kK;
  uint32_t bits = 0;
  std::memcpy(&bits, shared_pointer(operand_address(descriptor, row, kBytes * k), kBytes), kBytes);
  return kK == 8 ? from_tf32(bits) : from_bf16(bits);
}

void execute_wgmma(void* const* operands) {
  Multiprocessor& mp = *multiprocessor;
  mp.warpgroup(mp.collective_warpgroup).products.issue(operands, mp.running().site);
}
void execute_commit(void* const*) {
  Multiprocessor& mp = *multiprocessor;
  mp.warpgroup(mp.collective_warpgroup).products.commit();
}
void execute_wait(void* const* operands) {
  Multiprocessor& mp = *multiprocessor;
  mp.warpgroup(mp.collective_warpgroup)
      .products.wait(static_cast<size_t>(*static_cast<const int*>(operands[0])));
}
const WarpgroupOperation kWait{"wgmma.wait_group", execute_wait};

void execute_set_max_registers(void* const* operands) {
  const auto count = [&](int i) { return *static_cast<const int*>(operands[i]); };
  for (int i = 1; i < 128; ++i)
    if (count(i) != count(0)) fail("setmaxnreg: the counts differ inside the warpgroup");
}

}  // namespace

const WarpgroupOperation kWgmma{"wgmma.mma_async", execute_wgmma};
const WarpgroupOperation kWgmmaCommit{"wgmma.commit_group", execute_commit};
const WarpgroupOperation kSetMaxRegisters{"setmaxnreg", execute_set_max_registers};

// Registers hold A as for mma.sync, warp w the rows 16w .. 16w+15: TF32 (g, q), (g+8, q), (g, q+4),
// (g+8, q+4); bf16 pairs of columns (2q, 2q+1) for q, and 8 further for q + 4.
template <int kK>
void WgmmaQueue::Product::load_a(float (&to)[kM][kK]) const {
  if (shape.a_registers == nullptr) {
    for (int m = 0; m < kM; ++m)
      for (int k = 0; k < kK; ++k) to[m][k] = load<kK>(shape.a, m, k);
    return;
  }
  for (int t = 0; t < 128; ++t)
    for (int e = 0; e < 4; ++e) {
      const uint32_t bits = a_registers[t][e];
      float(&row)[kK] = to[16 * (t / 32) + t % 32 / 4 + e % 2 * 8];
      if constexpr (kK == 8) {
        row[t % 4 + e / 2 * 4] = from_tf32(bits);
      } else {
        row[2 * (t % 4) + e / 2 * 8] = from_bf16(bits & 0xffffu);
        row[2 * (t % 4) + e / 2 * 8 + 1] = from_bf16(bits >> 16);
      }
    }
}

template <int kK>
void WgmmaQueue::Product::multiply() const {
  constexpr int kBlock = kK == 8 ? kHopper.block_tf32 : kHopper.block_bf16;
  float pa[kM][kK], pb[kK][8], sum[kM][8];
  load_a<kK>(pa);
  for (int j = 0; j < shape.n / 8; ++j) {
    for (int k = 0; k < kK; ++k)
      for (int n = 0; n < 8; ++n) pb[k][n] = load<kK>(shape.b, 8 * j + n, k);
    // Thread (warp w, g, q) holds the mma.sync layout of rows 16w .. 16w+15.
    const auto for_each_register = [&](const auto& f) {
      for (int t = 0; t < 128; ++t)
        for (int e = 0; e < 4; ++e)
          f(d[t][4 * j + e], sum[16 * (t / 32) + t % 32 / 4 + e % 4 / 2 * 8][2 * (t % 4) + e % 2]);
    };
    for_each_register([&](float from, float& s) { s = shape.accumulate ? from : 0.0f; });
    for (int m = 0; m < kM; ++m) tensor_core_row(kBlock, kHopper.extra_bits, pa[m], pb, sum[m]);
    for_each_register([](float& to, float s) { to = s; });
  }
}

void WgmmaQueue::Product::run() const {
  shape.is_bf16 ? multiply<16>() : multiply<8>();
}

// Reports registers of A that have changed since the issue.
void WgmmaQueue::Product::check_registers() const {
  for (size_t i = 0; i < a_at_issue.size(); ++i)
    if (a_registers[i / 4][i % 4] != a_at_issue[i])
      fail(fmt::format("wgmma at {}: registers of A have changed before the wait", text(site)));
}

void WgmmaQueue::Product::hide_accumulators() {
  saved.resize(128 * accumulators());
  for (size_t t = 0; t < 128; ++t)
    for (size_t e = 0; e < accumulators(); ++e) {
      saved[t * accumulators() + e] = d[t][e];
      d[t][e] = std::numeric_limits<float>::quiet_NaN();
    }
}

void WgmmaQueue::Product::restore_accumulators() {
  if (saved.empty()) return;
  for (size_t t = 0; t < 128; ++t) std::copy_n(&saved[t * accumulators()], accumulators(), d[t]);
  saved.clear();
}

// Reports the bytes that the product reads to the checker: +1 at its issue, -1 at its wait.
void WgmmaQueue::Product::note_operands(int delta) const {
  if (!multiprocessor->checking()) return;
  const auto note = [&](uint64_t operand, int rows) {
    for (int row = 0; row < rows; ++row)
      for (int k_byte = 0; k_byte < 32; k_byte += 16)
        multiprocessor->checker->wgmma_read(operand_address(operand, row, k_byte), 16, warpgroup,
                                            site, delta);
  };
  if (shape.a_registers == nullptr) note(shape.a, kM);
  note(shape.b, shape.n);
}

void WgmmaQueue::issue(void* const* operands, Site site) {
  Product p;
  p.shape = *static_cast<const WgmmaOperand*>(operands[0]);
  p.warpgroup = multiprocessor->collective_warpgroup;
  p.site = site;
  for (int i = 0; i < 128; ++i) {
    const auto& x = *static_cast<const WgmmaOperand*>(operands[i]);
    if (x.a != p.shape.a || x.b != p.shape.b || x.accumulate != p.shape.accumulate)
      fail(fmt::format("wgmma at {}: descriptors differ inside the warpgroup", text(site)));
    p.d[i] = x.d;
    p.a_registers[i] = x.a_registers;
    if (x.a_registers != nullptr)
      p.a_at_issue.insert(p.a_at_issue.end(), x.a_registers, x.a_registers + 4);
  }
  p.note_operands(+1);
  // Products run in order, so one behind a late product is late too.
  const auto is_late = [](const Product& other) { return other.late; };
  p.late =
      multiprocessor->happens_late() || std::any_of(products_.begin(), products_.end(), is_late);
  if (!p.late) p.run();
  products_.push_back(std::move(p));
  if (products_.back().late) hide_first_of_each_accumulator(0);
}

// Every accumulator of a late product holds NaN; the first product in the queue that adds to it has
// saved the true values.
void WgmmaQueue::hide_first_of_each_accumulator(size_t from) {
  for (size_t i = from; i < products_.size(); ++i) {
    Product& p = products_[i];
    const auto has_same_accumulator = [&](const Product& other) {
      return other.late && other.d[0] == p.d[0];
    };
    if (p.late && p.saved.empty() &&
        std::none_of(products_.begin() + static_cast<ptrdiff_t>(from),
                     products_.begin() + static_cast<ptrdiff_t>(i), has_same_accumulator))
      p.hide_accumulators();
  }
}

void WgmmaQueue::wait(size_t pending) {
  if (products_.size() > (groups_.empty() ? 0 : groups_.back()))
    fail(fmt::format("wgmma.wait_group at {} while the wgmma at {} has no wgmma.commit_group",
                     text(multiprocessor->running().site), text(products_.back().site)));
  if (groups_.size() <= pending) return;
  const size_t complete_groups = groups_.size() - pending;
  const size_t end = groups_[complete_groups - 1];
  for (size_t i = 0; i < end; ++i) {
    Product& p = products_[i];
    p.note_operands(-1);
    p.check_registers();
    if (!p.late) continue;
    p.restore_accumulators();
    p.run();
  }
  hide_first_of_each_accumulator(end);
  products_.erase(products_.begin(), products_.begin() + static_cast<ptrdiff_t>(end));
  groups_.erase(groups_.begin(), groups_.begin() + static_cast<ptrdiff_t>(complete_groups));
  for (size_t& group_end : groups_) group_end -= end;
}

void wgmma_fence() {
  multiprocessor->running().wgmma_fenced = true;
}

void wgmma_check_fence(Site site) {
  if (!multiprocessor->running().wgmma_fenced)
    fail(
        fmt::format("wgmma.mma_async at {} without a wgmma.fence since the last wait", text(site)));
}

void wgmma_wait(int pending_groups, Site site) {
  warpgroup_collective(kWait, &pending_groups, site);
  Thread& me = multiprocessor->running();
  me.wgmma_fenced = pending_groups > 0 && me.wgmma_fenced;
}

}  // namespace assay::emulator
