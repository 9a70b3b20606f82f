// What a user of the emulator can choose: schedules, policies, sizes.
//
// CUDA promises little about order: threads of a block run in any order between barriers, an
// asynchronous copy lands at any moment between its issue and its wait, independent streams
// interleave freely. A kernel is right only if it is right for every choice, so the emulator lets a
// test make the choices, the mean ones included, and repeat them from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace assay::emulator {

/// In which order the threads of a block, and the blocks of a grid, get their turn.
enum class Order : uint8_t { sequential, reverse, random };

/// When an asynchronous operation (cp.async, TMA, wgmma) really happens: at its issue, at the wait
/// for it (until then its destination holds NaN), or by the toss of a coin. `late` finds a missing
/// wait; `early` finds a buffer that is refilled while somebody still reads it. Test with both.
enum class Async : uint8_t { early, late, random };

/// When the operations of streams run: as soon as they are queued, only when the host waits for
/// them, or now and then. In the last two, streams take turns at random.
enum class Streams : uint8_t { eager, late, random };

struct Config {
  Order order = Order::sequential;
  Async async = Async::late;
  Streams streams = Streams::random;
  uint64_t seed = 1;              ///< of every random choice; results repeat exactly
  int os_threads = 0;             ///< blocks run on so many OS threads; 0: all that there are
  bool strict_sites = true;       ///< one barrier or collective reached from two places is an error
  bool strict_exit = false;       ///< so is a thread that exits while others wait in __syncthreads
  bool check = true;              ///< check every access, where the kernels were built for it
  bool profile = false;           ///< count bank conflicts and sectors (check build)
  size_t stack_bytes = 64 << 10;  ///< of one CUDA thread: registers and local memory
  size_t memory_bytes = size_t{8} << 30;  ///< of the emulated device
};

/// The configuration of this process. It starts from the environment variable ASSAY_EMULATOR, a
/// list such as "order=random,async=early,streams=late,seed=7,threads=2"; an unknown word throws
/// UsageError. With "profile=1" in it the program prints profile_report() to stderr as it ends.
/// Change it only while no kernel runs.
Config& config();

/// Sets `config` from such a list.
void apply(Config& config, const std::string& list);

}  // namespace assay::emulator
