// Reads the numbers that other programs computed (tests/golden, with the scripts that made them).
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace assay::testing {

inline nlohmann::json golden(const std::string& file) {
  std::ifstream in(std::string(ASSAY_GOLDEN_DIR) + "/" + file);
  REQUIRE_MESSAGE(in, "cannot open the golden file ", file);
  return nlohmann::json::parse(in);
}

}  // namespace assay::testing
