// The quick profile detects defects: on built-in images the models reach a minimum AUROC. The
// generator draws the object.
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// The metrics of the one cell of such a suite.
nlohmann::json metrics_of_suite(const char* model, const char* object_class,
                                const std::vector<std::string>& options = {}) {
  const TemporaryFolder folder;
  std::vector<std::string> words = {"suite",     "--data",     "builtin",
                                    "--classes", object_class, "--models",
                                    model,       "--out",      (folder / "suite").string()};
  words.insert(words.end(), options.begin(), options.end());
  const Outcome outcome = run_assay(words);
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  const auto results = nlohmann::json::parse(read_text(folder / "suite/results.json"));
  REQUIRE(results["cells"].size() == 1);
  const nlohmann::json& metrics = results["cells"][0]["metrics"];
  CHECK(metrics["synthetic"] == true);
  return metrics;
}

}  // namespace

TEST_CASE("KD-CAE reaches an AUROC of .90 on the built-in ring in the quick suite") {
  CHECK(metrics_of_suite("kd-cae", "ring")["image_auroc"] >= 0.90);
}

TEST_CASE("CNN reaches an AUROC of .80 on the built-in leather in the quick suite") {
  CHECK(metrics_of_suite("cnn", "leather")["image_auroc"] >= 0.80);
}

TEST_CASE(
    "DCGAN draws the built-in ring in half the steps of the quick suite; no network has won") {
  const nlohmann::json metrics = metrics_of_suite("dcgan", "ring", {"--steps", "1000"});
  CHECK(metrics["discriminator_won"] == false);
  CHECK(metrics["blew_up"] == false);
  CHECK(metrics["collapsed"] == false);
  const nlohmann::json& memory = metrics["memorisation"];
  CHECK(memory["far"] < 0.5 * memory["generated"]["images"].get<double>());
  CHECK(memory["copies"] == 0);
}

}  // namespace assay::testing
