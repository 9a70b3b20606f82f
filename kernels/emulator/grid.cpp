// A grid: its blocks are distributed over OS threads, each of which is a multiprocessor.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <optional>

#include "kernels/emulator/check.h"
#include "kernels/emulator/faults.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/philox.h"

namespace assay::emulator {
namespace {

std::mutex statistics_mutex;
Statistics total;

void add_to_total(Statistics& s) {
  const std::lock_guard lock(statistics_mutex);
  total.switches += s.switches;
  total.barriers += s.barriers;
  total.collectives += s.collectives;
  total.accesses_checked += s.accesses_checked;
  s = {};
}

// The order in which blocks start. With several OS threads they also overlap.
std::vector<uint32_t> block_order(size_t blocks) {
  std::vector<uint32_t> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  if (config().order == Order::reverse) std::reverse(order.begin(), order.end());
  if (config().order == Order::random)
    RandomSequence(config().seed, RandomStream::shuffle).shuffle(order);
  return order;
}

// The checker keeps one shadow of global memory, so checked blocks run on one OS thread.
int os_threads(size_t blocks) {
  if (instrumented() && config().check) return 1;
  const int wanted = config().os_threads > 0 ? config().os_threads : available_threads();
  return static_cast<int>(std::min<size_t>(static_cast<size_t>(wanted), blocks));
}

ThreadPool& pool_of(int threads) {
  static ThreadPool* pool = nullptr;  // leaked on purpose: kernels may run while the program ends
  if (pool == nullptr || pool->threads() < threads) {
    delete pool;
    pool = new ThreadPool(threads);
  }
  return *pool;
}

// Stacks and shared memory are kept from launch to launch.
Multiprocessor& multiprocessor_of_this_thread(unsigned threads) {
  thread_local std::unique_ptr<Multiprocessor> kept;
  if (!kept || kept->stack_bytes() != config().stack_bytes)
    kept = std::make_unique<Multiprocessor>(config().stack_bytes);
  kept->fit(threads);
  return *kept;
}

void check_launch_shape(dim3 grid, dim3 block, size_t dynamic_shared) {
  const size_t threads = size_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64)
    throw Error(fmt::format("launch: a block of {}x{}x{} threads", block.x, block.y, block.z));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535)
    throw Error(fmt::format("launch: a grid of {}x{}x{} blocks", grid.x, grid.y, grid.z));
  if (dynamic_shared > SharedMemory::kMaxBytes)
    throw Error(fmt::format("launch: {} bytes of dynamic shared memory; the most is {}",
                            dynamic_shared, SharedMemory::kMaxBytes));
}

}  // namespace

Statistics statistics(bool reset) {
  const std::lock_guard lock(statistics_mutex);
  const Statistics result = total;
  if (reset) total = {};
  return result;
}

void run_grid(dim3 grid, dim3 block, size_t dynamic_shared, const std::function<void()>& body) {
  check_launch_shape(grid, block, dynamic_shared);
  const FaultHandlers handlers;
  const std::vector<uint32_t> order = block_order(size_t{grid.x} * grid.y * grid.z);
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};

  const auto work = [&] {
    const FaultStack stack;
    Multiprocessor& mp = multiprocessor_of_this_thread(block.x * block.y * block.z);
    multiprocessor = &mp;
    std::optional<Error> error;
    try {
      for (size_t i; !stop && (i = next++) < order.size();) {
        const uint32_t b = order[i];
        mp.run_block({b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y}, grid, block,
                     dynamic_shared, body);
      }
    } catch (const std::exception& e) {
      stop = true;
      error = Error(e.what());
    }
    multiprocessor = nullptr;
    current = nullptr;
    add_to_total(mp.statistics);
    if (error) throw *error;
  };
  const int threads = os_threads(order.size());
  if (threads == 1) return work();
  parallel_for(pool_of(threads), threads, [&](int64_t) { work(); });
}

}  // namespace assay::emulator
