// From code addresses to source lines. Internal to the emulator.
#pragma once

#include <string>
#include <vector>

#include "kernels/emulator/site.h"

namespace assay::emulator {

/// A stable pointer that stands for `site` where reports keep code addresses.
const void* code_address(const Site& site);

/// "sgemm.cu:41" for a return address or a code_address(); asks the program addr2line.
std::string source_line(const void* address);
/// The mangled name of the function that begins at `address`; "?" if addr2line is not there.
std::string function_name(const void* address);
std::vector<std::string> source_lines(const std::vector<const void*>& addresses);

}  // namespace assay::emulator
