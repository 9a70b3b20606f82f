#include "kernels/emulator/fiber.h"

#include <doctest/doctest.h>

#include <vector>

namespace assay::emulator {
namespace {

constexpr int kFibers = 3, kRounds = 4;
Fiber home, fibers[kFibers];
std::vector<int> trace;

// The body of each fiber: after each round it switches to the next fiber, at the end to the caller.
void visit() {
  Fiber::entered();
  static int started = 0;
  const int me = started++;
  double kept = me + 0.5;  // must survive the switches in a register or on the stack
  for (int round = 0; round < kRounds; ++round) {
    trace.push_back(static_cast<int>(kept) * 10 + round);
    const bool last = me == kFibers - 1 && round == kRounds - 1;
    Fiber::switch_to(fibers[me], last ? home : fibers[(me + 1) % kFibers]);
  }
}

}  // namespace

TEST_CASE("fibers take turns, and keep their locals") {
  Stacks stacks(kFibers, 64 << 10);
  for (int i = 0; i < kFibers; ++i)
    fibers[i].prepare(stacks.stack(static_cast<size_t>(i)), stacks.stack_bytes(),
                      static_cast<unsigned>(i), &visit);
  Fiber::switch_to(home, fibers[0]);
  CHECK_EQ(trace, std::vector<int>{0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23});
}

TEST_CASE("a stack knows its own addresses") {
  const Stacks stacks(2, 64 << 10);
  CHECK(stacks.in_stack(0, stacks.stack(0)));
  CHECK_FALSE(stacks.in_stack(0, stacks.stack(1)));
  CHECK(stacks.contains(stacks.stack(1) - 1));  // the guard page
  CHECK_FALSE(stacks.contains(&stacks));
}

}  // namespace assay::emulator
