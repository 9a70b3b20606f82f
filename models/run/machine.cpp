#include "models/run/machine.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/runtime/context.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/transfer.h"

namespace assay {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

nlohmann::ordered_json machine_json() {
  return {{"device", device_name(current_context().device)},
          {"cpu", cpu_name()},
          {"instruction_set", name_of(active_isa())},
          {"threads", current_context().threads->threads()}};
}

}  // namespace assay
