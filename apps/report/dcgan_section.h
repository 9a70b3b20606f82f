// What the report says of a DCGAN: it judges no pictures, so it stands in no table of the others.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/run_folder.h"

namespace assay {

/// Remarks, curves, generated pictures beside real ones, and the memorisation table (figure 6 of
/// arXiv:2107.09204). `title` is HTML.
std::string dcgan_section(const std::string& title, const RunFolder& folder,
                          const nlohmann::ordered_json& metrics);

}  // namespace assay
