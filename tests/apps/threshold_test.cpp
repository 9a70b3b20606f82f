// The threshold is the user's: --k, --threshold and --target-fpr in train, evaluate and predict.
#include <sstream>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

nlohmann::json metrics_in(const fs::path& run) {
  return read_json(run / "metrics.json");
}

/// Numbers of a column of a CSV file without quoted fields.
std::vector<std::string> csv_column(const std::string& csv, size_t index) {
  std::vector<std::string> values;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field;
    for (size_t i = 0; i <= index; ++i) std::getline(fields, field, ',');
    values.push_back(field);
  }
  return values;
}

}  // namespace

TEST_CASE("a threshold is trained with, changed without training, kept and printed") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  const std::string test = (folder / "data/tile/test").string();
  const Outcome trained = require_success(
      run_assay(small_training(folder / "data", run, {"--epochs", "1", "--k", "2.5"})));
  CHECK(contains(trained.out, "2.5 deviations above the mean of 8 held-out good images"));
  CHECK(metrics_in(run)["threshold"] == 2.5);
  CHECK(read_json(run / "config.json")["k"] == "2.5");
  const std::string model = read_text(run / "model.safetensors");

  const auto evaluate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate", run.string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  const auto predict = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"predict", run.string(), test};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  const Outcome evaluated = require_success(evaluate({"--target-fpr", "0.01"}));
  CHECK(contains(evaluated.out, "8 images cannot promise the 1 % asked for, 11 % is the least"));
  const nlohmann::json metrics = metrics_in(run);
  CHECK(contains(metrics["threshold_rule"], "number 1 of 8 held-out good scores"));
  const double threshold = metrics["threshold"];
  CHECK(read_text(run / "model.safetensors") == model);  // nothing was trained
  const std::string good = read_text(run / "good_scores.csv");
  for (size_t i = 1; i < csv_column(good, 3).size(); ++i) {
    const bool defective = std::stod(csv_column(good, 3)[i]) > threshold;
    CHECK(csv_column(good, 4)[i] == (defective ? "defective" : "good"));
  }
  // The highest of the held-out scores is the threshold, so none of them lies above it.
  const std::vector<std::string> sets = csv_column(good, 7);
  CHECK(std::count(sets.begin(), sets.end(), "validation") == 8);
  for (size_t i = 1; i < sets.size(); ++i)
    if (sets[i] == "validation") CHECK(csv_column(good, 4)[i] == "good");

  // It is kept: evaluate and predict take it from now on.
  require_success(evaluate({}));
  CHECK(metrics_in(run)["threshold"] == threshold);
  const Outcome lines = require_success(predict({"--jsonl"}));
  CHECK(contains(lines.error, "number 1 of 8 held-out good scores"));
  std::istringstream in(lines.out);
  for (std::string line; std::getline(in, line);) {
    const auto image = nlohmann::json::parse(line);
    CHECK(image["threshold"] == threshold);
    CHECK((image["predicted"] == "defective") == (image["score"].get<double>() > threshold));
  }

  // predict alone may take another one, which is not kept.
  const Outcome text = require_success(predict({"--threshold", "1e9"}));
  CHECK(contains(text.out, "threshold 1000000000.000"));
  CHECK(!contains(text.out, "defective"));
  CHECK(contains(text.error, "given by --threshold"));
  const Outcome all = require_success(predict({"--threshold", "-1e9", "--csv"}));
  const std::vector<std::string> verdicts = csv_column(all.out, 2), limits = csv_column(all.out, 5);
  REQUIRE(verdicts.size() == 5);
  CHECK(limits[0] == "threshold");
  for (size_t i = 1; i < verdicts.size(); ++i) {
    CHECK(verdicts[i] == "defective");
    CHECK(std::stod(limits[i]) == -1e9);
  }
  require_success(evaluate({}));
  CHECK(metrics_in(run)["threshold"] == threshold);

  check_refused(evaluate({"--k", "2", "--threshold", "1"}), kUsage, "choose one");
  check_refused(predict({"--target-fpr", "1.5"}), kUsage, "--target-fpr");
  check_refused(predict({"--k", "many"}), kUsage, "'many' is no number");
  put(run / "threshold.json", std::string("{"));
  check_refused(predict({}), kCheckpoint, "threshold.json");
  fs::remove(run / "threshold.json");
  require_success(evaluate({"--k", "3"}));
  CHECK(metrics_in(run)["threshold"] == 3);
  // Resuming the finished training changes nothing.
  require_success(
      run_assay(small_training(folder / "data", run, {"--epochs", "1", "--k", "2.5", "--resume"})));
  CHECK(metrics_in(run)["threshold"] == 3);
}

TEST_CASE("every detector takes a threshold, and says which options it has") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto words = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"train",   model,  "--data", (folder / "data").string(),
                                    "--class", "tile", "--out",  (folder / model).string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  require_success(run_assay(
      words("lpd", {"--image-size", "64", "--target-fpr", "0.25", "--filter-count", "4"})));
  CHECK(contains(metrics_in(folder / "lpd")["threshold_rule"], "of 12 held-out good scores"));
  require_success(run_assay({"evaluate", (folder / "lpd").string(), "--k", "1"}));
  CHECK(
      contains(metrics_in(folder / "lpd")["threshold_rule"], "1 deviations above the mean of 12"));
  require_success(
      run_assay(words("ni-cae", {"--image-size", "32", "--epochs", "1", "--threshold", "4"})));
  CHECK(metrics_in(folder / "ni-cae")["threshold"] == 4);
  check_refused(run_assay(words("cnn", {"--k", "2"})), kUsage, "--k: is an option of");
  check_refused(run_assay(words("dcgan", {"--threshold", "2"})), kUsage, "--threshold: is");
}

}  // namespace assay::testing
