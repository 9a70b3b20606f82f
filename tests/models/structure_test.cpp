// What the sources of models/ and apps/ may say: which folder includes which, and where a model may
// be named.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace assay {
namespace {
namespace fs = std::filesystem;

const fs::path kRoot = ASSAY_SOURCE_DIR;

struct Line {
  std::string file;  ///< from the root of the repository
  int number;
  std::string text;
};

/// Every line of the C++ files below a folder.
std::vector<Line> lines_below(const std::string& folder) {
  std::vector<Line> lines;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".h" && path.extension() != ".cpp") continue;
    std::ifstream in(path);
    int number = 0;
    for (std::string text; std::getline(in, text);)
      lines.push_back({path.lexically_relative(kRoot).generic_string(), ++number, text});
  }
  return lines;
}

/// The project's folder that an #include names: "models/run"; "" for another line.
std::string included_folder(const std::string& text) {
  static const std::regex include(R"re(^\s*#include "([^"]+)/[^/"]+")re");
  std::smatch match;
  return std::regex_search(text, match, include) ? match[1].str() : "";
}

/// The folders of models/: each includes itself and those before it.
const std::vector<std::string> kFolders = {"networks", "run",       "evaluation",
                                           "training", "detectors", "experiments"};

ptrdiff_t folder_index(const std::string& path) {
  const auto at = std::find_if(kFolders.begin(), kFolders.end(), [&](const std::string& name) {
    return (path + "/").starts_with("models/" + name + "/");
  });
  return at == kFolders.end() ? -1 : at - kFolders.begin();
}

/// Whether a line of models/ includes against the direction. networks and run are both at the
/// ground: neither includes the other.
bool breaks_direction(const std::string& file, const std::string& text) {
  const std::string folder = included_folder(text);
  if (folder == "apps" || folder.starts_with("apps/")) return true;
  const ptrdiff_t from = folder_index(file), to = folder_index(folder);
  return to >= 0 && (to > from || (from == 1 && to == 0));
}

/// Whether a line names a model of the library. The initial weights of a GAN have its name too.
bool names_model(const std::string& text) {
  static const std::regex model(R"re(kd[-_ ]?cae|ni[-_ ]?cae|dcgan|anogan|\bcnn|\blpd)re",
                                std::regex::icase);
  static const std::regex initial_weights("Init::dcgan");
  return std::regex_search(std::regex_replace(text, initial_weights, ""), model);
}

/// A model's own code: its network, detector, training step, and how it is trained and evaluated.
bool is_of_one_model(const std::string& file) {
  static const std::vector<std::string> own = {"models/networks/",
                                               "models/training/step.",
                                               "models/detectors/anogan_detector.",
                                               "models/detectors/cnn_detector.",
                                               "models/detectors/kd_cae_detector.",
                                               "models/detectors/lpd",
                                               "models/experiments/registry.cpp",
                                               "models/experiments/anogan_run.",
                                               "models/experiments/augmentation.",
                                               "models/experiments/cnn_run.",
                                               "models/experiments/gan_run.",
                                               "models/experiments/study.",
                                               "models/experiments/lpd"};
  return std::any_of(own.begin(), own.end(),
                     [&](const std::string& start) { return file.starts_with(start); });
}

void check_none(const std::vector<std::string>& folders,
                const std::function<bool(const Line&)>& is_wrong) {
  size_t seen = 0;
  for (const std::string& folder : folders)
    for (const Line& line : lines_below(folder)) {
      ++seen;
      if (is_wrong(line)) FAIL_CHECK(line.file << ":" << line.number << ": " << line.text);
    }
  CHECK(seen > 1000);
}

}  // namespace

TEST_CASE("the folders of models/ include in one direction") {
  CHECK(breaks_direction("models/run/config.cpp", "#include \"models/detectors/detector.h\""));
  CHECK(breaks_direction("models/run/config.cpp", "#include \"models/networks/network.h\""));
  CHECK(breaks_direction("models/training/step.h", "#include \"apps/suite/suite.h\""));
  CHECK(!breaks_direction("models/training/step.h", "#include \"models/run/config.h\""));
  check_none({"models"}, [](const Line& line) { return breaks_direction(line.file, line.text); });
}

TEST_CASE("every file of models/ is in one of its folders") {
  for (const Line& line : lines_below("models"))
    if (line.number == 1) CHECK_MESSAGE(folder_index(line.file) >= 0, line.file);
}

TEST_CASE("only the registry and a model's own files name a model") {
  CHECK(names_model("if (config.model == \"kd-cae\") return 3;"));
  CHECK(names_model("dynamic_cast<NiCae*>(network)"));
  CHECK(names_model("The CNN learns from defects"));
  CHECK(!names_model("for (const Init init : {Init::he, Init::dcgan})"));
  check_none({"models", "apps"}, [](const Line& line) {
    return !is_of_one_model(line.file) && names_model(line.text);
  });
}

TEST_CASE("only run_metrics.cpp knows the keys of metrics.json") {
  const auto reads_key = [](const std::string& text) {
    static const std::regex key(
        R"re((\[|value\(|contains\(|at\()"(image_\w+|f1\w*|threshold\w*|precision_score|recall)re"
        R"re(|fpr95|tp|fp|tn|fn|pixel_\w+|aupro|intervals|calibration|folds\w*|heat_scale|collapsed)re"
        R"re(|remarks|memorisation|synthetic|conditions|seconds_train|best_epoch|images)")re");
    return std::regex_search(text, key);
  };
  CHECK(reads_key("metrics[\"image_auroc\"]"));
  CHECK(reads_key("json.value(\"collapsed\", false)"));
  CHECK(!reads_key("column(\"image_auroc\", &DetectorMetrics::image_auroc)"));
  check_none({"models", "apps"}, [&](const Line& line) {
    // A detector's keys are those of the metadata in its weight file.
    return line.file != "models/evaluation/run_metrics.cpp" &&
           !line.file.starts_with("models/detectors/") && reads_key(line.text);
  });
}

}  // namespace assay
