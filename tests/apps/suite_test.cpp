// Suites through the program: shards, a class that fails, a kill at any moment, runs that collapse.
#include <nlohmann/json.hpp>
#include <set>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

using Json = nlohmann::json;

std::vector<std::string> suite(const fs::path& data, const fs::path& out,
                               const std::vector<std::string>& more = {},
                               const std::string& steps = "6") {
  std::vector<std::string> words = {"suite",    "--data",  data.string(),  "--out", out.string(),
                                    "--models", "kd-cae",  "--image-size", "16",    "--threads",
                                    "1",        "--steps", steps};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Json results_of(const fs::path& out) {
  return Json::parse(read_text(out / "results.json"));
}

std::set<std::string> runs_in(const Json& results) {
  std::set<std::string> runs;
  for (const Json& cell : results["cells"]) runs.insert(cell["run"]);
  return runs;
}

}  // namespace

TEST_CASE("shards run at once in one folder, and together they are the whole suite") {
  const TemporaryFolder folder;
  for (const char* name : {"tile", "wall"}) write_small_class(folder / "data", name);
  const std::vector<std::string> seeds = {"--seeds", "3"};
  const Outcome whole = run_assay(suite(folder / "data", folder / "whole", seeds));
  CAPTURE(whole.error);
  REQUIRE(whole.code == 0);
  const auto shard = [&](const char* which, const fs::path& out) {
    return suite(folder / "data", out, {"--seeds", "3", "--shard", which});
  };
  {
    Running first(shard("1/2", folder / "shared")), second(shard("2/2", folder / "shared"));
    CHECK(first.wait().code == 0);
    CHECK(second.wait().code == 0);
  }
  REQUIRE(run_assay({"report", (folder / "shared").string()}).code == 0);
  const Json shared = results_of(folder / "shared"), expected = results_of(folder / "whole");
  REQUIRE(runs_in(expected).size() == 6);
  CHECK(runs_in(shared) == runs_in(expected));
  CHECK(shared["seeds"] == expected["seeds"]);  // the same numbers, mean and deviation

  // Machines without a common folder: their folders are copied into one.
  const Outcome part = run_assay(shard("1/2", folder / "here"));
  CHECK(contains(part.out, "3 runs of other shards are not finished"));
  REQUIRE(run_assay(shard("2/2", folder / "there")).code == 0);
  fs::copy(folder / "there", folder / "here",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  REQUIRE(run_assay({"report", (folder / "here").string()}).code == 0);
  CHECK(results_of(folder / "here")["seeds"] == expected["seeds"]);
  CHECK(run_assay(shard("3/2", folder / "x")).code == 2);
}

TEST_CASE("one bad class does not stop the rest, and is named at the end") {
  const TemporaryFolder folder;
  for (const char* name : {"brick", "tile"}) write_small_class(folder / "data", name);
  put(folder / "data/brick/train/good/broken.png", std::string("no image"));
  const Outcome outcome = run_assay(suite(folder / "data", folder / "out"));
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.error, "1 of the suite's runs failed: kd-cae-brick-seed1: "));
  CHECK(contains(outcome.error, "broken.png"));
  CHECK(runs_in(results_of(folder / "out")) == std::set<std::string>{"kd-cae-tile-seed1"});
  CHECK(contains(read_text(folder / "out/report/index.html"), "kd-cae-brick-seed1 failed"));
  CHECK(contains(results_of(folder / "out")["failed"]["kd-cae-brick-seed1"], "broken.png"));
  // After the repair the suite trains the missing run.
  fs::remove(folder / "data/brick/train/good/broken.png");
  REQUIRE(run_assay(suite(folder / "data", folder / "out")).code == 0);
  CHECK(runs_in(results_of(folder / "out")).size() == 2);
  CHECK(results_of(folder / "out")["failed"].empty());
  CHECK(!contains(read_text(folder / "out/report/index.html"), " failed"));
}

TEST_CASE("a suite takes no run with other options for its own") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  const auto run = [&](const std::string& steps, const std::vector<std::string>& more) {
    return run_assay(suite(folder / "data", folder / "out", more, steps));
  };
  REQUIRE(run("6", {"--seeds", "2"}).code == 0);
  const Outcome other = run("7", {});
  CHECK(other.code == 1);
  CHECK(contains(other.error, "epochs 6, not 7"));
  CHECK(contains(run("7", {"--list"}).out, "other     assay train"));
  CHECK(run("6", {}).code == 0);
  // Evaluated under another condition the run counts for that condition; the report says so.
  REQUIRE(
      run_assay({"evaluate", (folder / "out/kd-cae-tile-seed1").string(), "--test-noise", "noisy"})
          .code == 0);
  CHECK(contains(run("6", {"--list"}).out, "other     assay train"));
  REQUIRE(run_assay({"report", (folder / "out").string()}).code == 0);
  CHECK(contains(read_text(folder / "out/report/index.html"), "--test-noise noisy</code>"));
  // A copy does not count as a further seed, whatever runs are listed between the two.
  fs::copy(folder / "out/kd-cae-tile-seed2", folder / "out/z-copy", fs::copy_options::recursive);
  fs::copy(folder / "out/kd-cae-tile-seed2", folder / "out/other", fs::copy_options::recursive);
  std::string config = read_text(folder / "out/other/config.json");
  config.replace(config.find("\"lr\": 0.001"), 11, "\"lr\": 0.002");
  put(folder / "out/other/config.json", config);
  REQUIRE(run_assay({"report", (folder / "out").string()}).code == 0);
  CHECK(runs_in(results_of(folder / "out")) ==
        std::set<std::string>{"kd-cae-tile-seed1", "kd-cae-tile-seed2", "other"});
  CHECK(run("6", {"--image-size", "15"}).code == 2);
}

TEST_CASE("a cell takes over no training that had other options") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  const auto run = [&](const char* noise, const char* steps) {
    return run_assay(suite(folder / "data", folder / "out", {"--noise", noise}, steps));
  };
  REQUIRE(run("clean/clean", "6").code == 0);
  REQUIRE(run("clean/clean,clean/noisy", "6").code == 0);
  const fs::path mine = folder / "out/kd-cae-tile-seed1",
                 shared = folder / "out/kd-cae-tile-seed1-clean-noisy";
  CHECK(read_text(mine / "history.csv") == read_text(shared / "history.csv"));  // its seconds too
  fs::remove_all(shared);
  CHECK(run("clean/clean,clean/noisy", "8").code == 1);  // the clean run has 6 steps
  const std::string history = read_text(shared / "history.csv");
  CHECK(history.substr(0, 200) != read_text(mine / "history.csv").substr(0, 200));
  CHECK(Json::parse(read_text(shared / "metrics.json"))["steps"] == 8);
}

TEST_CASE("a damaged run is named, and stops neither the suite nor the report") {
  const TemporaryFolder folder;
  for (const char* name : {"tile", "wall"}) write_small_class(folder / "data", name);
  const auto run = [&](const char* classes, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--classes", classes};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(suite(folder / "data", folder / "out", words));
  };
  REQUIRE(run("tile").code == 0);
  put(folder / "out/kd-cae-tile-seed1/metrics.json", std::string("{"));
  CHECK(contains(run("tile,wall", {"--list"}).out, "a damaged file"));
  const Outcome outcome = run("tile,wall");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.error, "kd-cae-tile-seed1: the finished run there has a damaged file"));
  CHECK(runs_in(results_of(folder / "out")) == std::set<std::string>{"kd-cae-wall-seed1"});
  REQUIRE(run_assay({"report", (folder / "out").string()}).code == 0);
  CHECK(contains(read_text(folder / "out/report/index.html"), "kd-cae-tile-seed1"));
  REQUIRE(run_assay({"evaluate", (folder / "out/kd-cae-tile-seed1").string()}).code == 0);
  CHECK(run("tile,wall").code == 0);
  CHECK(results_of(folder / "out")["failed"].empty());
}

TEST_CASE("whatever is damaged of a finished run leaves out that run alone") {
  static const TemporaryFolder whole;
  if (!fs::exists(whole / "out")) {
    for (const char* name : {"tile", "wall"}) write_small_class(whole / "data", name);
    REQUIRE(run_assay(suite(whole / "data", whole / "out")).code == 0);
  }
  const TemporaryFolder folder;
  fs::copy(whole / "out", folder / "out", fs::copy_options::recursive);
  const fs::path run = folder / "out/kd-cae-tile-seed1";
  Json metrics = Json::parse(read_text(run / "metrics.json"));
  SUBCASE("no scores") {
    put(run / "scores.csv", std::string());
  }
  SUBCASE("scores cut short") {
    put(run / "scores.csv", std::string("path,label\n"));
  }
  SUBCASE("good scores") {
    put(run / "good_scores.csv", std::string("nothing"));
  }
  SUBCASE("history") {
    put(run / "history.csv", std::string("epoch\n1\n"));
  }
  SUBCASE("images") {
    metrics["images"] = Json::object();
  }
  SUBCASE("intervals") {
    metrics["intervals"]["image_auroc"] = {1};
  }
  SUBCASE("counts") {
    metrics["tp"] = "x";
  }
  SUBCASE("conditions") {
    metrics["conditions"] = 3;
  }
  put(run / "metrics.json", metrics.dump());
  const Outcome report = run_assay({"report", (folder / "out").string()});
  CAPTURE(report.error);
  REQUIRE(report.code == 0);
  CHECK(runs_in(results_of(folder / "out")) == std::set<std::string>{"kd-cae-wall-seed1"});
  CHECK(contains(read_text(folder / "out/report/index.html"), "kd-cae-tile-seed1 failed"));
}

TEST_CASE("neither a linked run nor a damaged list of failures costs more than its own part") {
  const TemporaryFolder folder;
  for (const char* name : {"tile", "wall"}) write_small_class(folder / "data", name);
  REQUIRE(run_assay(suite(folder / "data", folder / "out")).code == 0);
  const fs::path run = folder / "out/kd-cae-tile-seed1";
  fs::rename(run, folder / "elsewhere");
  fs::create_directory_symlink(folder / "elsewhere", run);
  put(folder / "out/failures.json", std::string("[[["));

  REQUIRE(run_assay({"report", (folder / "out").string()}).code == 0);
  const Json results = results_of(folder / "out");
  CHECK(runs_in(results) == std::set<std::string>{"kd-cae-wall-seed1"});
  CHECK(contains(results["failed"]["kd-cae-tile-seed1"].dump(), "is a symbolic link"));
  CHECK(contains(results["failed"]["failures.json"].dump(), "failures.json"));

  const std::string before = read_text(folder / "elsewhere/metrics.json");
  const Outcome again = run_assay(suite(folder / "data", folder / "out"));
  CHECK(again.code == 1);
  CHECK(contains(again.error, "is a symbolic link"));
  CHECK(read_text(folder / "elsewhere/metrics.json") == before);
  CHECK(!results_of(folder / "out")["failed"].contains("failures.json"));  // written anew
}

TEST_CASE("a damaged training is not taken over, but trained anew") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  REQUIRE(run_assay(suite(folder / "data", folder / "out")).code == 0);
  const fs::path run = folder / "out/kd-cae-tile-seed1";
  fs::resize_file(run / "checkpoint.safetensors", 1000);
  REQUIRE(run_assay(suite(folder / "data", folder / "out", {"--noise", "clean/clean,clean/noisy"}))
              .code == 0);
  CHECK(read_text(folder / "out/kd-cae-tile-seed1-clean-noisy/model.safetensors") ==
        read_text(run / "model.safetensors"));
}

TEST_CASE("what a suite cannot mean is refused") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  const auto refused = [&](const std::vector<std::string>& more) {
    return run_assay(suite(folder / "data", folder / "out", more)).code == 2;
  };
  CHECK(refused({"--classes", "tile,tile"}));
  CHECK(refused({"--noise", "clean/clean,clean/clean"}));
  for (const char* shard : {"99999999999/99999999999", "1", "1/", "/2", "1/2x", "0/2"})
    CHECK_MESSAGE(refused({"--shard", shard}), shard);
  CHECK(run_assay(suite(folder / "data", "")).code == 2);
  CHECK(run_assay({"suite", "--data", (folder / "data").string(), "--out", (folder / "o").string(),
                   "--models", "kd-cae", "--steps", "4294967297", "--list"})
            .out.find("--epochs 2147483647") != std::string::npos);
}

TEST_CASE("models without a seed in common are named, and not compared") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  const auto train = [&](const char* model, const char* seed) {
    return run_assay({"train", model, "--data", (folder / "data").string(), "--class", "tile",
                      "--out", (folder / "out" / model).string(), "--image-size", "32", "--epochs",
                      "1", "--seed", seed});
  };
  REQUIRE(train("kd-cae", "1").code == 0);
  REQUIRE(train("ni-cae", "2").code == 0);
  REQUIRE(run_assay({"report", (folder / "out/").string()}).code == 0);
  const std::string page = read_text(folder / "out/report/index.html");
  CHECK(contains(page, "No comparison on tile: "));
  CHECK(!contains(page, "Only "));
}

TEST_CASE("classes whose names differ in signs alone have links of their own") {
  const TemporaryFolder folder;
  for (const char* name : {"a b", "a-b"}) write_small_class(folder / "data", name);
  REQUIRE(run_assay(suite(folder / "data", folder / "out", {"--classes", "a b,a-b"})).code == 0);
  const std::string page = read_text(folder / "out/report/index.html");
  const size_t first = page.find("id=\"class-a-b\"");
  REQUIRE(first != std::string::npos);
  CHECK(page.find("id=\"class-a-b\"", first + 1) == std::string::npos);
}

TEST_CASE("a suite killed again and again ends as the unbroken one") {
  const TemporaryFolder folder;
  for (const char* name : {"tile", "wall"}) write_small_class(folder / "data", name);
  const auto words = [&](const fs::path& out) { return suite(folder / "data", out, {}, "20"); };
  REQUIRE(run_assay(words(folder / "whole")).code == 0);
  int kills = 0;
  for (int wait = 5;; wait = wait * 3 / 2 + 1) {  // ms; from before the first file to the report
    Running running(words(folder / "broken"));
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait);
    while (!running.ended() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (running.ended()) {
      CHECK(running.wait().code == 0);
      break;
    }
    running.signal(SIGKILL);
    running.wait();
    ++kills;
  }
  CHECK(kills >= 3);
  for (const char* run : {"kd-cae-tile-seed1", "kd-cae-wall-seed1"})
    for (const char* file : {"model.safetensors", "scores.csv", "split.json"})
      CHECK_MESSAGE(
          read_text(folder / "broken" / run / file) == read_text(folder / "whole" / run / file),
          run << "/" << file);
  CHECK(runs_in(results_of(folder / "broken")) == runs_in(results_of(folder / "whole")));
}

TEST_CASE("a collapsed run is named in words, with what cures it") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  // If all good images are the same, no network can distinguish them.
  for (const auto& entry : fs::directory_iterator(folder / "data/tile/train/good"))
    put(entry.path(), small_image(1, 20, 20));
  const Outcome outcome = run_assay(suite(folder / "data", folder / "out"));
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  for (const std::string& text : {outcome.out, read_text(folder / "out/report/index.html")}) {
    CHECK(contains(text, "kd-cae-tile-seed1 collapsed"));
    CHECK(contains(text, "--init he"));
  }
}

TEST_CASE("a report says which runs are not finished") {
  const TemporaryFolder folder;
  for (const char* name : {"tile", "wall"}) write_small_class(folder / "data", name);
  Running running(suite(folder / "data", folder / "out", {}, "80"));
  REQUIRE(running.wait_for(folder / "out/kd-cae-wall-seed1/checkpoint.safetensors"));
  running.signal(SIGKILL);
  running.wait();
  const Outcome listed = run_assay(suite(folder / "data", folder / "out", {"--list"}, "80"));
  CHECK(contains(listed.out, "finished  assay train kd-cae"));
  CHECK(contains(listed.out, "begun     assay train kd-cae"));
  REQUIRE(run_assay({"report", (folder / "out").string()}).code == 0);
  CHECK(contains(read_text(folder / "out/report/index.html"), "kd-cae-wall-seed1 is not finished"));
}

TEST_CASE("progress never guesses at a time that it does not know") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  const Outcome outcome = run_assay(suite(folder / "data", folder / "out"));
  const size_t first = outcome.error.find("[1/1] kd-cae-tile-seed1: step 1 of at most 6");
  REQUIRE(first != std::string::npos);
  const std::string line = outcome.error.substr(first, outcome.error.find('\n', first) - first);
  CHECK_MESSAGE(!contains(line, "left"), line);
  CHECK(contains(outcome.error, "[1/1] kd-cae-tile-seed1: finished: image AUROC"));
}

}  // namespace assay::testing
