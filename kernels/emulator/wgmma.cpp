// wgmma: the asynchronous matrix products of a warpgroup on sm_90.
//
// A and B are tiles in shared memory, given by 64-bit descriptors; the accumulators are registers
// of 128 threads. Between issue and wait the kernel must touch neither: a late product therefore
// replaces the accumulators by NaN, and check mode refuses writes to the operands.
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

constexpr int kM = 64, kN = 64, kK = 8;
constexpr int kRegisters = kN / 2;  // accumulators a thread: 64 * N / 128

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

float load_tf32(uint64_t descriptor, int row, int k) {
  uint32_t bits;
  std::memcpy(&bits, shared_pointer(operand_address(descriptor, row, 4 * k), 4), 4);
  return std::bit_cast<float>(bits & 0xffffe000u);
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

}  // namespace

const WarpgroupOperation kWgmmaM64N64K8Tf32{"wgmma.m64n64k8.tf32", execute_wgmma};
const WarpgroupOperation kWgmmaCommit{"wgmma.commit_group", execute_commit};

void WgmmaQueue::Product::run() const {
  float pa[kM][kK], pb[kK][kN], sum[kM][kN];
  for (int k = 0; k < kK; ++k) {
    for (int m = 0; m < kM; ++m) pa[m][k] = load_tf32(a, m, k);
    for (int n = 0; n < kN; ++n) pb[k][n] = load_tf32(b, n, k);
  }
  // Thread (warp w, g, q) holds the mma.sync layout of rows 16w .. 16w+15, for each 8 columns.
  const auto for_each_register = [&](const auto& f) {
    for (int t = 0; t < 128; ++t)
      for (int e = 0; e < kRegisters; ++e)
        f(d[t][e],
          sum[16 * (t / 32) + t % 32 / 4 + e % 4 / 2 * 8][8 * (e / 4) + 2 * (t % 4) + e % 2]);
  };
  for_each_register([&](float from, float& s) { s = accumulate ? from : 0.0f; });
  for (int m = 0; m < kM; ++m)
    tensor_core_row(kHopper.block_tf32, kHopper.extra_bits, pa[m], pb, sum[m]);
  for_each_register([](float& to, float s) { to = s; });
}

void WgmmaQueue::Product::hide_accumulators() {
  saved.resize(size_t{128} * kRegisters);
  for (size_t t = 0; t < 128; ++t)
    for (size_t e = 0; e < kRegisters; ++e) {
      saved[t * kRegisters + e] = d[t][e];
      d[t][e] = std::numeric_limits<float>::quiet_NaN();
    }
}

void WgmmaQueue::Product::restore_accumulators() {
  if (saved.empty()) return;
  for (size_t t = 0; t < 128; ++t) std::copy_n(&saved[t * kRegisters], kRegisters, d[t]);
  saved.clear();
}

// Reports the bytes that the product reads to the checker: +1 at its issue, -1 at its wait.
void WgmmaQueue::Product::note_operands(int delta) const {
  if (!multiprocessor->checking()) return;
  for (const uint64_t operand : {a, b})
    for (int row = 0; row < kM; ++row)
      for (int k = 0; k < kK; k += 4)
        multiprocessor->checker->wgmma_read(operand_address(operand, row, 4 * k), 16, warpgroup,
                                            site, delta);
}

void WgmmaQueue::issue(void* const* operands, Site site) {
  const auto& first = *static_cast<const WgmmaOperand*>(operands[0]);
  Product p;
  p.a = first.a;
  p.b = first.b;
  p.accumulate = first.accumulate;
  p.warpgroup = multiprocessor->collective_warpgroup;
  p.site = site;
  for (int i = 0; i < 128; ++i) {
    const auto& x = *static_cast<const WgmmaOperand*>(operands[i]);
    if (x.a != p.a || x.b != p.b || x.accumulate != p.accumulate)
      fail(fmt::format("wgmma at {}: descriptors differ inside the warpgroup", text(site)));
    p.d[i] = x.d;
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
  if (groups_.size() <= pending) return;
  const size_t complete_groups = groups_.size() - pending;
  const size_t end = groups_[complete_groups - 1];
  for (size_t i = 0; i < end; ++i) {
    Product& p = products_[i];
    p.note_operands(-1);
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
