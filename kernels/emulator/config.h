// The emulator's settings: schedules, policies, sizes.
//
// CUDA promises little about order: threads of a block run in any order between barriers, an
// asynchronous copy lands at any moment between its issue and its wait, independent streams
// interleave freely. A kernel is correct only if it is correct for every choice, so a test can make
// the choices, adverse ones included, and repeat them from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace assay::emulator {

/// In which order the threads of a block, and the blocks of a grid, get their turn.
enum class Order : uint8_t { sequential, reverse, random };

/// When an asynchronous operation (cp.async, TMA, wgmma) happens: at its issue, at the wait for it
/// (until then its destination holds NaN), or at random at either. `late` finds a missing wait;
/// `early` finds a buffer that is refilled while it is still read. Test with both.
enum class Async : uint8_t { early, late, random };

/// When the operations of streams run: as soon as they are queued, only when the host waits for
/// them, or at random times. With `late` and `random` the streams take turns at random.
enum class Streams : uint8_t { eager, late, random };

struct Config {
  Order order = Order::sequential;
  Async async = Async::late;
  Streams streams = Streams::random;
  uint64_t seed = 1;         ///< of every random choice; results repeat exactly
  int os_threads = 0;        ///< OS threads that run blocks; 0: all of the machine
  bool strict_sites = true;  ///< one barrier or collective reached from two places is an error
  bool strict_exit = false;  ///< a thread that exits while others wait in a barrier is an error
  bool check = true;         ///< check every access, in a check build
  bool profile = false;      ///< count bank conflicts and sectors (check build)
  size_t stack_bytes = 64 << 10;          ///< registers and local memory of one CUDA thread
  size_t memory_bytes = size_t{8} << 30;  ///< memory of the emulated device
};

/// The configuration of this process. It starts from the environment variable ASSAY_EMULATOR, a
/// list such as "order=random,async=early,streams=late,seed=7,threads=2"; an unknown word throws
/// UsageError. With "profile=1" in it the program prints profile_report() to stderr as it ends.
/// Change it only while no kernel runs.
Config& config();

/// Sets `config` from such a list.
void apply(Config& config, const std::string& list);

}  // namespace assay::emulator
