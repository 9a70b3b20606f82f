// `assay data check`: finds all problems of a folder in MVTec's layout in one pass.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/listing.h"
#include "kernels/runtime/context.h"

namespace assay {

/// Images of a class.
struct ClassCounts {
  int train_good = 0, test_good = 0, test_defective = 0;
  friend bool operator==(const ClassCounts&, const ClassCounts&) = default;
};

struct ClassReport {
  std::string name;
  ClassCounts counts;
  int masks = 0;
  std::string sizes;                  ///< "900x900", or "700x700 to 1024x1024"
  std::vector<std::string> problems;  ///< one sentence each; training would refuse the class
  std::vector<std::string> notes;     ///< one sentence each; these stop nothing
  FileCounts files;                   ///< every file below the class's folder
};

/// Reads every file of every class. DataError when `root` is no folder.
std::vector<ClassReport> check_data(Context& ctx, const std::filesystem::path& root);

/// The counts of MVTec AD (Bergmann et al. 2019, table 1); nullptr for a name that is none of its
/// classes.
const ClassCounts* official_counts(const std::string& object_class);

}  // namespace assay
