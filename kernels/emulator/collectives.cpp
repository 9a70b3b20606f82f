// Operations of a whole warp or warpgroup.
//
// Each lane leaves a pointer to its operands (on its stack, which does not change while it waits)
// and yields; the last lane to arrive does the work of all. That costs one switch per lane. It also
// allows a check that hardware does not make: all lanes must be in the same operation, at the same
// source line, with the same mask.
#include <fmt/core.h>

#include <bit>

#include "kernels/emulator/check.h"
#include "kernels/emulator/language.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {
namespace {

// Calls f(lane) for each lane of `mask`.
template <class F>
void for_each_lane(uint32_t mask, const F& f) {
  for (; mask != 0; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
}

std::string describe(const Thread& t) {
  return fmt::format("{} at {} (lane {}, mask {:x})", t.collective->name, text(t.site), t.lane,
                     t.mask);
}

}  // namespace

bool complete_warp_collective(unsigned w, unsigned lane) {
  Multiprocessor& mp = *multiprocessor;
  Warp& warp = mp.warp(w);
  Thread* const lanes = &mp.thread(32 * w);
  const Thread& asked = lanes[lane];
  const uint32_t needed = asked.mask & ~warp.exited;
  if ((warp.arrived & needed) != needed) return false;

  void* operands[32] = {};
  for_each_lane(needed, [&](unsigned i) {
    const Thread& t = lanes[i];
    if (t.collective != asked.collective || t.mask != asked.mask ||
        (config().strict_sites && !same_place(t.site, asked.site)))
      fail(fmt::format("divergent warp collective: {}, but {}", describe(asked), describe(t)));
    operands[i] = t.operands;
  });
  ++mp.statistics.collectives;
  mp.collective_warp = w;
  asked.collective->execute(operands, needed);
  warp.arrived &= ~needed;
  for_each_lane(needed, [&](unsigned i) {
    if (lanes[i].state == State::waiting) mp.make_ready(lanes[i]);
  });
  return true;
}

void warp_collective(const WarpOperation& operation, uint32_t mask, void* operands, Site site) {
  Multiprocessor& mp = *multiprocessor;
  Thread& me = mp.running();
  if ((mask >> me.lane & 1) == 0)
    fail(fmt::format("{} at {}: the calling lane is not in its mask", operation.name, text(site)));
  me.collective = &operation;
  me.mask = mask;
  me.operands = operands;
  me.site = site;
  me.operation = operation.name;
  mp.warp(me.warp).arrived |= 1u << me.lane;
  if (!complete_warp_collective(me.warp, me.lane)) mp.wait(operation.name, site);
}

void warpgroup_collective(const WarpgroupOperation& operation, void* operands, Site site) {
  Multiprocessor& mp = *multiprocessor;
  Thread& me = mp.running();
  const unsigned g = me.index / 128;
  if (g >= mp.warpgroups())
    fail(fmt::format("{} at {}: the block ends inside this warpgroup", operation.name, text(site)));
  Warpgroup& group = mp.warpgroup(g);
  if (group.arrived == 0) {
    group.collective = &operation;
    group.site = site;
  } else if (group.collective != &operation || !same_place(group.site, site)) {
    fail(fmt::format("divergent warpgroup collective: {} at {}, but {} at {}", operation.name,
                     text(site), group.collective->name, text(group.site)));
  }
  group.operands[me.index % 128] = operands;
  if (++group.arrived < 128) {
    mp.wait(operation.name, site);
    return;
  }
  group.arrived = 0;
  mp.collective_warpgroup = g;
  ++mp.statistics.collectives;
  me.site = site;
  operation.execute(group.operands);
  for (unsigned i = 128 * g; i < 128 * (g + 1); ++i)
    if (i != me.index) mp.make_ready(mp.thread(i));
}

// ---- shuffles, votes, reductions, __syncwarp

namespace {

template <class Operand>
Operand& operand_of(void* const* operands, unsigned lane) {
  return *static_cast<Operand*>(operands[lane]);
}

// CUDA C++ Programming Guide, "Warp Shuffle Functions". Segments of `width` lanes do not mix; a
// lane whose source lies outside of its segment keeps its own value.
unsigned source_lane(const ShuffleOperand& s, unsigned lane) {
  const int self = static_cast<int>(lane), first = self & ~(s.width - 1), end = first + s.width;
  int source = self;
  switch (s.kind) {
    case Shuffle::index:
      source = first + (s.lane & (s.width - 1));
      break;
    case Shuffle::up:
      source = self - s.lane;
      break;
    case Shuffle::down:
      source = self + s.lane;
      break;
    case Shuffle::xor_:
      source = self ^ s.lane;
      break;
  }
  // .bfly may read segments below its own, never above (PTX ISA, shfl.sync)
  const bool reachable = source < end && (source >= first || s.kind == Shuffle::xor_);
  return static_cast<unsigned>(reachable ? source : self);
}

void execute_shuffle(void* const* operands, uint32_t mask) {
  for_each_lane(mask, [&](unsigned lane) {
    auto& s = operand_of<ShuffleOperand>(operands, lane);
    if (s.width < 1 || s.width > 32 || !std::has_single_bit(static_cast<unsigned>(s.width)))
      fail(fmt::format("shuffle: width {} is no power of two up to 32", s.width));
    const unsigned source = source_lane(s, lane);
    if ((mask >> source & 1) == 0)
      fail(
          fmt::format("shuffle: lane {} reads lane {}, which does not take part (it is not in the "
                      "mask or has exited)",
                      lane, source));
    s.result = operand_of<ShuffleOperand>(operands, source).value;
  });
}

void execute_ballot(void* const* operands, uint32_t mask) {
  uint32_t votes = 0;
  for_each_lane(mask, [&](unsigned lane) {
    votes |= uint32_t{operand_of<BallotOperand>(operands, lane).predicate} << lane;
  });
  for_each_lane(mask,
                [&](unsigned lane) { operand_of<BallotOperand>(operands, lane).result = votes; });
}

uint32_t combine(Reduction kind, uint32_t a, uint32_t b) {
  const int sa = static_cast<int>(a), sb = static_cast<int>(b);
  switch (kind) {
    case Reduction::add:
      return a + b;
    case Reduction::min_signed:
      return static_cast<uint32_t>(std::min(sa, sb));
    case Reduction::max_signed:
      return static_cast<uint32_t>(std::max(sa, sb));
    case Reduction::min_unsigned:
      return std::min(a, b);
    case Reduction::max_unsigned:
      return std::max(a, b);
    case Reduction::and_:
      return a & b;
    case Reduction::or_:
      return a | b;
    case Reduction::xor_:
      return a ^ b;
  }
  return 0;
}

void execute_reduce(void* const* operands, uint32_t mask) {
  const auto first = static_cast<unsigned>(std::countr_zero(mask));
  const Reduction kind = operand_of<ReduceOperand>(operands, first).kind;
  uint32_t result = operand_of<ReduceOperand>(operands, first).value;
  for_each_lane(mask & (mask - 1), [&](unsigned lane) {
    result = combine(kind, result, operand_of<ReduceOperand>(operands, lane).value);
  });
  for_each_lane(mask,
                [&](unsigned lane) { operand_of<ReduceOperand>(operands, lane).result = result; });
}

void execute_sync_warp(void* const*, uint32_t mask) {
  Multiprocessor& mp = *multiprocessor;
  if (!mp.checking()) return;
  std::vector<Thread*> threads;
  for_each_lane(mask,
                [&](unsigned i) { threads.push_back(&mp.thread(32 * mp.collective_warp + i)); });
  mp.checker->barrier(threads, false);
}

const WarpOperation kSyncWarp{"__syncwarp", execute_sync_warp};

}  // namespace

const WarpOperation kShuffle{"a warp shuffle", execute_shuffle};
const WarpOperation kBallot{"a warp vote", execute_ballot};
const WarpOperation kReduce{"a warp reduction", execute_reduce};

void sync_warp(uint32_t mask, Site site) {
  warp_collective(kSyncWarp, mask, nullptr, site);
}

}  // namespace assay::emulator
