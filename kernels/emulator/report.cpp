#include "kernels/emulator/report.h"

#include <dlfcn.h>

#include <cstdio>
#include <map>
#include <memory>
#include <unordered_map>

#include "kernels/runtime/error.h"

namespace assay::emulator {
namespace {

struct Interned {
  std::map<std::pair<std::string, unsigned>, std::unique_ptr<Site>> by_place;
  std::unordered_map<const void*, const Site*> by_address;
};
Interned& interned() {
  static auto* table = new Interned;
  return *table;
}

std::string file_and_line(std::string line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  if (const size_t note = line.find(" (discriminator"); note != std::string::npos)
    line.resize(note);
  const size_t slash = line.rfind('/');
  return slash == std::string::npos ? line : line.substr(slash + 1);
}

}  // namespace

const void* code_address(const Site& site) {
  // Sites are made by inlined default arguments, so one place may have many file pointers.
  thread_local const char* last_file = nullptr;
  thread_local unsigned last_line = 0;
  thread_local const void* last = nullptr;
  if (last_file == site.file_name() && last_line == site.line()) return last;
  auto& place = interned().by_place[{site.file_name(), site.line()}];
  if (!place) {
    place = std::make_unique<Site>(site);
    interned().by_address[place.get()] = place.get();
  }
  last_file = site.file_name();
  last_line = site.line();
  return last = place.get();
}

std::vector<std::string> source_lines(const std::vector<const void*>& addresses) {
  std::vector<std::string> lines(addresses.size(), "?");
  std::map<std::string, std::vector<size_t>> by_program;
  std::map<std::string, std::string> command;
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (const auto it = interned().by_address.find(addresses[i]);
        it != interned().by_address.end()) {
      lines[i] = text(*it->second);
      continue;
    }
    Dl_info info;
    if (dladdr(addresses[i], &info) == 0 || info.dli_fname == nullptr) continue;
    // A return address belongs to the instruction before it.
    const auto offset =
        reinterpret_cast<uintptr_t>(addresses[i]) - reinterpret_cast<uintptr_t>(info.dli_fbase) - 1;
    by_program[info.dli_fname].push_back(i);
    command[info.dli_fname] += fmt::format(" 0x{:x}", offset);
  }
  for (const auto& [program, indices] : by_program) {
    const std::string call = "addr2line -e '" + program + "'" + command[program] + " 2>/dev/null";
    FILE* pipe = popen(call.c_str(), "r");
    if (pipe == nullptr) continue;
    char line[1024];
    for (const size_t i : indices)
      if (std::fgets(line, sizeof line, pipe) != nullptr) lines[i] = file_and_line(line);
    pclose(pipe);
  }
  return lines;
}

std::string function_name(const void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "?";
  const auto offset =
      reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(info.dli_fbase);
  const std::string call =
      fmt::format("addr2line -f -e '{}' 0x{:x} 2>/dev/null", info.dli_fname, offset);
  FILE* pipe = popen(call.c_str(), "r");
  if (pipe == nullptr) return "?";
  char line[4096];
  std::string name = std::fgets(line, sizeof line, pipe) != nullptr ? line : "?";
  pclose(pipe);
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

std::string source_line(const void* address) {
  return source_lines({address})[0];
}

}  // namespace assay::emulator
