// What a kernel's memory accesses cost on the hardware, per source line: shared-memory wavefronts
// (bank conflicts) and global-memory sectors, against the least that the same data needs. A bank
// conflict can be found, and asserted in a test, without a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace assay::emulator {

/// The accesses of one source line to one kind of memory.
struct LineProfile {
  std::string line;  ///< "sgemm.cu:41"
  bool global, write;
  uint64_t requests;  ///< warp-wide instructions
  uint64_t cost;      ///< shared: wavefronts; global: 32-byte sectors
  uint64_t ideal;     ///< the least cost that moves the same data
};

/// Everything since the last clear_profile(), while config().profile was set in a check build.
std::vector<LineProfile> profile();
void clear_profile();
/// The same as a table to print; lines that cost over 20 % more than they must are marked. Where
/// nothing was seen it says so.
std::string profile_report();

/// Puts the accesses of single threads together to warp-wide requests: the k-th execution of a
/// code address by each lane of a warp belongs to the k-th request. Internal.
class Profiler {
 public:
  void begin_block(size_t warps);
  void access(unsigned warp, unsigned lane, uint64_t address, size_t bytes, const void* pc,
              bool global, bool write);
  void end_block();

 private:
  struct Request {
    uint64_t address[32];
    uint32_t lanes = 0;
    uint8_t bytes = 0;
  };
  struct Instruction {
    bool global = false, write = false;
    uint32_t executed[32] = {};
    uint32_t first = 0;  // number of requests[0]
    std::vector<Request> requests;
  };
  static void count(const void* pc, const Instruction& instruction, const Request& request);

  std::vector<std::unordered_map<const void*, Instruction>> warps_;
};

}  // namespace assay::emulator
