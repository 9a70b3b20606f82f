// The quick profile detects defects: on built-in images the models reach a minimum AUROC.
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// The image AUROC of the one cell of such a suite.
double image_auroc_of_suite(const char* model, const char* object_class) {
  const TemporaryFolder folder;
  const Outcome outcome = run_assay({"suite", "--data", "builtin", "--classes", object_class,
                                     "--models", model, "--out", (folder / "suite").string()});
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  const auto results = nlohmann::json::parse(read_text(folder / "suite/results.json"));
  REQUIRE(results["cells"].size() == 1);
  const nlohmann::json& metrics = results["cells"][0]["metrics"];
  CHECK(metrics["synthetic"] == true);
  return metrics["image_auroc"];
}

}  // namespace

TEST_CASE("KD-CAE reaches an AUROC of .90 on the built-in ring in the quick suite") {
  CHECK(image_auroc_of_suite("kd-cae", "ring") >= 0.90);
}

TEST_CASE("CNN reaches an AUROC of .80 on the built-in leather in the quick suite") {
  CHECK(image_auroc_of_suite("cnn", "leather") >= 0.80);
}

}  // namespace assay::testing
