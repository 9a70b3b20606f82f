// AnoGAN through the program: an own training, the weights of a DCGAN's run, resume, refusals.
#include <sstream>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

std::vector<std::string> training_of(const std::string& model, const fs::path& data,
                                     const fs::path& out, const std::vector<std::string>& more = {},
                                     const std::string& threads = "1") {
  std::vector<std::string> words = {
      "train",   model,        "--data",  data.string(), "--class",      "tile",
      "--out",   out.string(), "--seed",  "7",           "--image-size", "32",
      "--batch", "2",          "--steps", "4",           "--threads",    threads};
  if (model == "anogan") words.insert(words.end(), {"--search-steps", "3"});
  // An option of `more` replaces that of the same name.
  for (size_t i = 0; i < more.size(); ++i) {
    const auto found = std::find(words.begin(), words.end(), more[i]);
    if (found == words.end() || !more[i].starts_with("--"))
      words.push_back(more[i]);
    else
      *(found + 1) = more[++i];
  }
  return words;
}

}  // namespace

TEST_CASE("AnoGAN has the weights of a DCGAN of the same options, or of one that is there") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", gan = folder / "gan", own = folder / "own",
                 taken = folder / "taken";
  write_small_class(data);
  require_success(run_assay(training_of("dcgan", data, gan)));
  const Outcome trained = require_success(run_assay(training_of("anogan", data, own)));
  CHECK(contains(trained.out, "AUROC"));
  require_success(
      run_assay(training_of("anogan", data, taken, {"--generator", gan.string()}, "2")));
  for (const char* file : {"model.safetensors", "scores.csv", "good_scores.csv", "split.json"})
    CHECK_MESSAGE(read_text(own / file) == read_text(taken / file), file);
  const nlohmann::json metrics = read_json(own / "metrics.json");
  for (const char* key : {"image_auroc", "f1", "threshold", "pixel_auroc"})
    CHECK_MESSAGE(metrics.contains(key), key);
  CHECK(metrics["steps"] == 4);
  CHECK(contains(read_text(own / "scores.csv"), "loss,residual,discrimination"));

  // Both generate the same images.
  for (const fs::path& run : {gan, own})
    require_success(run_assay({"generate", run.string(), "--count", "1", "--out",
                               (folder / ("images_" + run.filename().string())).string()}));
  CHECK(read_text(folder / "images_gan/000000.png") == read_text(folder / "images_own/000000.png"));

  // Evaluating and predicting give the scores of the training, in batches of another size.
  const std::string scores = read_text(own / "scores.csv");
  require_success(run_assay({"evaluate", own.string()}));
  CHECK(read_text(own / "scores.csv") == scores);
  const Outcome predicted =
      require_success(run_assay({"predict", own.string(), (data / "tile/test").string(), "--csv"}));
  std::istringstream lines(scores);
  std::string line;
  std::getline(lines, line);
  int images = 0;
  for (; std::getline(lines, line); ++images) {
    std::istringstream fields(line);  // path,label,defect,score,predicted,...
    std::vector<std::string> row;
    for (std::string field; std::getline(fields, field, ',');) row.push_back(field);
    CHECK_MESSAGE(contains(predicted.out, "," + row.at(3) + "," + row.at(4) + ","), line);
  }
  CHECK(images == 4);
  require_success(run_assay({"report", own.string()}));
  CHECK(contains(read_text(own / "report/index.html"), "AnoGAN"));
}

TEST_CASE("AnoGAN broken off in its search goes on to the same bits") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", whole = folder / "whole", broken = folder / "broken";
  write_small_class(data);
  require_success(run_assay(training_of("anogan", data, whole, {"--search-steps", "60"})));
  Running running(training_of("anogan", data, broken, {"--search-steps", "60"}));
  REQUIRE(running.wait_for(broken / "checkpoint.safetensors"));
  running.signal(SIGINT);
  const Outcome outcome = running.wait();
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.error, "--resume"));
  CHECK(!fs::exists(broken / "metrics.json"));
  require_success(
      run_assay(training_of("anogan", data, broken, {"--search-steps", "60", "--resume"}, "2")));
  for (const char* file : {"model.safetensors", "scores.csv", "good_scores.csv"})
    CHECK_MESSAGE(read_text(whole / file) == read_text(broken / file), file);
}

TEST_CASE("what AnoGAN cannot take over is said before anything is written") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", gan = folder / "gan", run = folder / "run";
  write_small_class(data);
  require_success(run_assay(training_of("dcgan", data, gan)));
  const auto refused = [&](const std::vector<std::string>& more, int code,
                           const std::string& part) {
    check_refused(run_assay(training_of("anogan", data, run, more)), code, part);
    CHECK(!fs::exists(run));
  };
  const std::string generator = gan.string();
  refused({"--generator", generator, "--seed", "8"}, kUsage, "give --seed 7");
  refused({"--generator", generator, "--image-size", "64"}, kUsage, "--image-size");
  refused({"--generator", generator, "--untrained"}, kUsage, "--untrained");
  refused({"--generator", (folder / "none").string()}, kCheckpoint, "no run folder");
  refused({"--lambda", "1.5"}, kUsage, "--lambda");
  refused({"--search-steps", "0"}, kUsage, "--search-steps");
  refused({"--image-size", "96"}, kUsage, "32, 64 or 128");
}

}  // namespace assay::testing
