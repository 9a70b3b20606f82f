#include "kernels/emulator/profile.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <map>

#include "kernels/emulator/report.h"

namespace assay::emulator {
namespace {

struct Total {
  bool write = false;
  uint64_t requests = 0, cost = 0, ideal = 0;
};
std::map<std::pair<const void*, bool>, Total>& totals() {  // by (code address, global)
  static auto* map = new std::map<std::pair<const void*, bool>, Total>;
  return *map;
}

// Distinct 32-byte sectors that the lanes touch.
uint64_t sectors(const uint64_t* address, uint32_t lanes, unsigned bytes) {
  std::vector<uint64_t> touched;
  for (unsigned i = 0; i < 32; ++i)
    if (lanes >> i & 1)
      for (uint64_t s = address[i] / 32; s <= (address[i] + bytes - 1) / 32; ++s)
        touched.push_back(s);
  std::sort(touched.begin(), touched.end());
  return static_cast<uint64_t>(std::unique(touched.begin(), touched.end()) - touched.begin());
}

// 32 banks of 4 bytes. 8-byte accesses go by half warps, 16-byte ones by quarters; lanes that read
// the same word share it. A group takes as many wavefronts as its busiest bank has different words.
void wavefronts(const uint64_t* address, uint32_t lanes, unsigned bytes, uint64_t& cost,
                uint64_t& ideal) {
  const unsigned group = bytes >= 16 ? 8 : bytes == 8 ? 16 : 32;
  for (unsigned begin = 0; begin < 32; begin += group) {
    std::vector<uint64_t> words[32];
    size_t busiest = 0;
    for (unsigned i = begin; i < begin + group; ++i) {
      if ((lanes >> i & 1) == 0) continue;
      for (uint64_t w = address[i] / 4; w <= (address[i] + bytes - 1) / 4; ++w) {
        std::vector<uint64_t>& bank = words[w % 32];
        if (std::find(bank.begin(), bank.end(), w) == bank.end()) bank.push_back(w);
        busiest = std::max(busiest, bank.size());
      }
    }
    cost += busiest;
    ideal += busiest > 0;
  }
}

}  // namespace

void Profiler::count(const void* pc, const Instruction& instruction, const Request& r) {
  Total& total = totals()[{pc, instruction.global}];
  total.write = instruction.write;
  ++total.requests;
  if (instruction.global) {
    total.cost += sectors(r.address, r.lanes, r.bytes);
    total.ideal += (static_cast<uint64_t>(std::popcount(r.lanes)) * r.bytes + 31) / 32;
  } else {
    wavefronts(r.address, r.lanes, r.bytes, total.cost, total.ideal);
  }
}

void Profiler::begin_block(size_t warps) {
  warps_.assign(warps, {});
}

void Profiler::access(unsigned warp, unsigned lane, uint64_t address, size_t bytes, const void* pc,
                      bool global, bool write) {
  Instruction& instruction = warps_[warp][pc];
  instruction.global = global;
  instruction.write = write;
  const uint32_t number = instruction.executed[lane]++ - instruction.first;
  if (number >= instruction.requests.size()) instruction.requests.resize(number + 1);
  Request& request = instruction.requests[number];
  request.address[lane] = address;
  request.lanes |= 1u << lane;
  request.bytes = static_cast<uint8_t>(bytes);
  // A full request is counted and removed; those with absent lanes wait for the end of the block.
  size_t full = 0;
  while (full < instruction.requests.size() && instruction.requests[full].lanes == ~0u)
    count(pc, instruction, instruction.requests[full++]);
  instruction.requests.erase(instruction.requests.begin(),
                             instruction.requests.begin() + static_cast<ptrdiff_t>(full));
  instruction.first += static_cast<uint32_t>(full);
}

void Profiler::end_block() {
  for (const auto& warp : warps_)
    for (const auto& [pc, instruction] : warp)
      for (const Request& request : instruction.requests)
        if (request.lanes != 0) count(pc, instruction, request);
  warps_.clear();
}

void clear_profile() {
  totals().clear();
}

std::vector<LineProfile> profile() {
  std::vector<const void*> addresses;
  for (const auto& entry : totals()) addresses.push_back(entry.first.first);
  const std::vector<std::string> lines = source_lines(addresses);
  std::map<std::tuple<std::string, bool, bool>, LineProfile> by_line;
  size_t i = 0;
  for (const auto& [key, total] : totals()) {
    const std::string& line = lines[i++];
    LineProfile& p = by_line
                         .try_emplace({line, key.second, total.write},
                                      LineProfile{line, key.second, total.write, 0, 0, 0})
                         .first->second;
    p.requests += total.requests;
    p.cost += total.cost;
    p.ideal += total.ideal;
  }
  std::vector<LineProfile> result;
  for (auto& entry : by_line) result.push_back(std::move(entry.second));
  return result;
}

std::string profile_report() {
  if (totals().empty())
    return "no access of a kernel was seen: there was none, or this is not the check build\n";
  std::string table =
      "memory        line                        requests  wavefronts or sectors / least\n";
  for (const LineProfile& p : profile()) {
    table += fmt::format("{} {:<5}  {:<26} {:>9}  {:>12} / {:<12}{}\n",
                         p.global ? "global" : "shared", p.write ? "store" : "load", p.line,
                         p.requests, p.cost, p.ideal, 5 * p.cost > 6 * p.ideal ? "  <--" : "");
  }
  return table;
}

}  // namespace assay::emulator
