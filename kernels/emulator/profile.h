// The cost of a kernel's memory accesses on hardware, per source line: shared-memory wavefronts
// (bank conflicts) and global-memory sectors, and the minimum for the same data. So a test can
// assert that there are no bank conflicts without a GPU.
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
  uint64_t ideal;     ///< the minimum cost for the same data
};

/// The accesses since the last clear_profile(), made in a check build while config().profile is
/// set.
std::vector<LineProfile> profile();
void clear_profile();
/// profile() as a table to print. Lines that cost over 20 % more than the minimum are marked.
std::string profile_report();

/// Combines the accesses of single threads to warp-wide requests: the k-th execution of a code
/// address by each lane of a warp belongs to the k-th request. Internal.
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
