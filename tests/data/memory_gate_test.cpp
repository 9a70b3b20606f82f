#include "data/memory_gate.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace assay {

TEST_CASE("threads together hold no more than the limit, and what exceeds it is held alone") {
  constexpr size_t kLimit = 100;
  MemoryGate gate(kLimit);
  std::atomic<size_t> held{0}, rounds{0};
  std::atomic<bool> exceeded{false};
  const auto hold = [&](size_t bytes) {
    const MemoryGate::Lease lease(gate, bytes);
    const size_t now = held.fetch_add(bytes) + bytes;
    if (bytes > kLimit ? now != bytes : now > kLimit) exceeded = true;
    std::this_thread::yield();
    held.fetch_sub(bytes);
    ++rounds;
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&hold, t] {
      for (size_t i = 0; i < 200; ++i) hold(1 + (t * 31 + i * 17) % 120);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(rounds == 800);
  CHECK(!exceeded);
  CHECK(held == 0);

  // Two that fit together are held at the same time.
  const MemoryGate::Lease first(gate, 50), second(gate, 50);
}

}  // namespace assay
