// The machine that a run ran on, for machine.json and `assay info`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace assay {

/// The name of the processor from /proc/cpuinfo; "unknown" if there is none.
std::string cpu_name();

/// {"cpu", "instruction_set", "threads"} of the current context.
nlohmann::ordered_json machine_json();

}  // namespace assay
