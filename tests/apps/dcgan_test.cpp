// The DCGAN through the program: train, interrupt, resume, generate, report.
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

std::vector<std::string> training(const fs::path& data, const fs::path& out,
                                  const std::vector<std::string>& more = {},
                                  const std::string& threads = "1") {
  std::vector<std::string> words = {
      "train",   "dcgan",      "--data",         data.string(), "--class",   "tile",
      "--out",   out.string(), "--batch",        "1",           "--seed",    "7",
      "--steps", "6",          "--sample-every", "2",           "--threads", threads};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void check_same_files(const fs::path& a, const fs::path& b, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    CHECK_MESSAGE(read_text(a / name) == read_text(b / name), name);
}

}  // namespace

TEST_CASE("a DCGAN is trained, described in words, asked for images and reported") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  const Outcome trained = require_success(run_assay(training(folder / "data", run)));
  CHECK(contains(trained.out, "nearest training image"));
  const nlohmann::json metrics = read_json(run / "metrics.json");
  for (const char* key : {"loss_d", "loss_g", "d_real", "d_fake", "memorisation", "collapsed",
                          "discriminator_won", "blew_up", "remarks", "seconds_train"})
    CHECK_MESSAGE(metrics.contains(key), key);
  CHECK(!metrics.contains("image_auroc"));
  CHECK(metrics["steps"] == 6);
  for (const auto& remark : metrics["remarks"]) CHECK(contains(trained.out, remark));
  const nlohmann::json& memory = metrics["memorisation"];
  CHECK(memory["generated"]["images"] == 64);
  CHECK(memory["training"]["images"] == metrics["images"]["train"]);
  CHECK(memory["training"]["least"] <= memory["training"]["median"]);
  for (const char* name : {"step_000002.png", "step_000006.png", "real.png", "nearest.png"})
    CHECK_MESSAGE(fs::exists(run / "figures" / name), name);

  // Evaluating again gives the same metrics.
  const std::string before = read_text(run / "metrics.json");
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "metrics.json") == before);

  // Image i does not depend on how many there are, and another seed gives others.
  const auto generate = [&](const char* count, const fs::path& out,
                            const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"generate", run.string(), "--count",
                                      count,      "--out",      out.string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  require_success(generate("2", folder / "two"));
  require_success(generate("3", folder / "three", {"--threads", "2"}));
  require_success(generate("2", folder / "other", {"--seed", "8"}));
  check_same_files(folder / "two", folder / "three", {"000000.png", "000001.png"});
  CHECK(fs::exists(folder / "three/000002.png"));
  CHECK(!fs::exists(folder / "two/000002.png"));
  CHECK(read_text(folder / "two/000000.png") != read_text(folder / "other/000000.png"));
  CHECK(generate("0", folder / "none").code == 2);

  CHECK(run_assay({"predict", run.string(), (folder / "data/tile/test").string()}).code == 2);
  require_success(run_assay({"report", run.string()}));
  const std::string report = read_text(run / "report/index.html");
  CHECK(contains(report, "Does it copy training images?"));
  CHECK(contains(report, "after 6 generator steps"));
}

TEST_CASE("a DCGAN broken off by Ctrl-C goes on to the same bits, at any number of threads") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path whole = folder / "whole", broken = folder / "broken";
  require_success(run_assay(training(folder / "data", whole)));

  Running running(training(folder / "data", broken));
  REQUIRE(running.wait_for(broken / "figures/step_000002.png"));
  running.signal(SIGINT);
  const Outcome outcome = running.wait();
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.error, "--resume"));
  CHECK(!fs::exists(broken / "metrics.json"));

  const auto again = [&] {
    return run_assay(training(folder / "data", broken, {"--resume"}, "2"));
  };
  require_success(again());
  check_same_files(whole, broken,
                   {"model.safetensors", "checkpoint.safetensors", "memorisation.csv", "split.json",
                    "figures/step_000006.png", "figures/nearest.png"});
  const auto written = fs::last_write_time(broken / "metrics.json");
  require_success(again());  // finished: nothing changes
  CHECK(fs::last_write_time(broken / "metrics.json") == written);
}

TEST_CASE("what a DCGAN cannot do is said before it starts") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto code = [&](const std::vector<std::string>& more) {
    return run_assay(training(folder / "data", folder / "run", more)).code;
  };
  CHECK(code({"--image-size", "96"}) == 2);
  CHECK(code({"--k-steps", "0"}) == 2);
  CHECK(code({"--preset", "kd-cae"}) == 2);
  CHECK(code({"--lr", "1e30"}) == 1);
  CHECK(!fs::exists(folder / "run/metrics.json"));
  CHECK(run_assay({"generate", (folder / "run").string(), "--count", "1", "--out",
                   (folder / "out").string()})
            .code == 4);
  CHECK(!fs::exists(folder / "out"));
}

}  // namespace assay::testing
