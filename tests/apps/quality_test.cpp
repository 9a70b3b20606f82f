// The quick profile must mean something: on built-in pictures KD-CAE tells defects from good ones.
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace assay::testing {

TEST_CASE("KD-CAE reaches an AUROC of .90 on the built-in ring in 250 steps") {
  const TemporaryFolder folder;
  const Outcome outcome = run_assay({"suite", "--data", "builtin", "--classes", "ring", "--models",
                                     "kd-cae", "--out", (folder / "suite").string()});
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  const auto results = nlohmann::json::parse(read_text(folder / "suite/results.json"));
  REQUIRE(results["cells"].size() == 1);
  const nlohmann::json& metrics = results["cells"][0]["metrics"];
  CHECK(metrics["synthetic"] == true);
  CHECK(metrics["image_auroc"].get<double>() >= 0.90);
}

}  // namespace assay::testing
