// --precision bf16 on the CPU through the program, with and without tile instructions.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// `assay` with ASSAY_AMX in its environment.
Outcome assay_with_amx(const std::string& value, const std::vector<std::string>& words) {
  std::vector<std::string> line = {"/usr/bin/env", "ASSAY_AMX=" + value, kProgram};
  line.insert(line.end(), words.begin(), words.end());
  return Running(Running::Program{line}).wait();
}

}  // namespace

TEST_CASE("bf16 without tile instructions is refused in one line that says what to do") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const std::vector<std::string> words =
      small_training(folder / "data", folder / "run", {"--precision", "bf16", "--epochs", "1"});
  const Outcome refused = assay_with_amx("off", words);
  check_refused(refused, kUsage, "amx_bf16");
  CHECK(contains(refused.error, "use fp32"));
  CHECK(!fs::exists(folder / "run"));
  check_refused(assay_with_amx("off", {"profile", "kd-cae", "--precision", "bf16"}), kUsage,
                "ASSAY_AMX=emulated");
  check_refused(assay_with_amx("off", {"suite", "--data", "builtin", "--out",
                                       (folder / "suite").string(), "--precision", "bf16"}),
                kUsage, "amx_bf16");
  check_refused(assay_with_amx("on", words), kUsage, "ASSAY_AMX=on");

  require_success(assay_with_amx("emulated", words));
  const std::string run = (folder / "run").string(), images = (folder / "data/tile/test").string();
  check_refused(assay_with_amx("off", {"predict", run, images}), kUsage, "amx_bf16");
  check_refused(assay_with_amx("off", {"evaluate", run}), kUsage, "amx_bf16");
  require_success(assay_with_amx("off", {"report", run}));
  CHECK(contains(require_success(assay_with_amx("off", {"info"})).out, "none"));
  CHECK(contains(require_success(assay_with_amx("emulated", {"info"})).out, "emulated"));
}

TEST_CASE("a run in bf16 is resumed, evaluated and read in bf16") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const char* name, const std::vector<std::string>& more) {
    std::vector<std::string> options = {"--precision", "bf16"};
    options.insert(options.end(), more.begin(), more.end());
    return assay_with_amx("emulated", small_training(folder / "data", folder / name, options));
  };
  require_success(train("run", {"--epochs", "3"}));
  CHECK(read_json(folder / "run/config.json")["precision"] == "bf16");
  CHECK(read_json(folder / "run/metrics.json")["precision"] == "bf16");
  check_refused(assay_with_amx("emulated", small_training(folder / "data", folder / "run",
                                                          {"--epochs", "3", "--resume"})),
                kUsage, "precision \"bf16\", not \"fp32\"");

  std::vector<std::string> words =
      small_training(folder / "data", folder / "threads", {"--precision", "bf16", "--epochs", "3"});
  *std::next(std::find(words.begin(), words.end(), "--threads")) = "3";
  require_success(assay_with_amx("emulated", words));
  check_same_results(folder / "run", folder / "threads");

  const std::string scores = read_text(folder / "run/scores.csv"), run = (folder / "run").string();
  require_success(assay_with_amx("emulated", {"evaluate", run}));
  CHECK(read_text(folder / "run/scores.csv") == scores);
  const Outcome predicted = require_success(
      assay_with_amx("emulated", {"predict", run, (folder / "data/tile/test").string(), "--json"}));
  for (const auto& image : nlohmann::json::parse(predicted.out)) {
    const std::string name = fs::relative(image["path"].get<std::string>(), folder / "data/tile");
    std::string row = scores.substr(scores.find("\n" + name + ",") + 1);
    row.resize(row.find('\n'));
    CHECK_MESSAGE(contains(row, "," + image["score"].dump() + ","), row);
  }

  // Not the bits of fp32: the precision is not only a name.
  require_success(run_assay(small_training(folder / "data", folder / "fp32", {"--epochs", "3"})));
  CHECK(read_text(folder / "fp32/model.safetensors") !=
        read_text(folder / "run/model.safetensors"));
}

TEST_CASE("a run in bf16 judges in fp32 on a CPU without AMX, where that is asked for") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  require_success(assay_with_amx(
      "emulated", {"train", "kd-cae", "--data", "builtin", "--class", "ring", "--image-size", "32",
                   "--steps", "3", "--precision", "bf16", "--out", run}));
  CHECK(assay_with_amx("off", {"evaluate", run}).code == 2);
  CHECK(assay_with_amx("off", {"predict", run, run + "/figures"}).code == 2);
  require_success(assay_with_amx("off", {"evaluate", run, "--precision", "fp32"}));
  CHECK(nlohmann::json::parse(read_text(run + "/metrics.json"))["precision"] == "fp32");
  CHECK(nlohmann::json::parse(read_text(run + "/config.json"))["precision"] == "bf16");
  const Outcome predicted =
      assay_with_amx("off", {"predict", run, run + "/figures", "--precision", "fp32"});
  CHECK(predicted.code == 0);
  CHECK(contains(assay_with_amx("off", {"evaluate", run, "--precision", "half"}).error, "half"));
}

TEST_CASE("a suite in bf16 has its own runs") {
  const TemporaryFolder folder;
  const auto list = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"suite",      "--data",   "builtin", "--out",
                                      folder / "s", "--models", "kd-cae",  "--list"};
    words.insert(words.end(), more.begin(), more.end());
    return require_success(run_assay(words)).out;
  };
  CHECK(!contains(list({}), "bf16"));
  const std::string commands = list({"--precision", "bf16"});
  CHECK(contains(commands, "--precision bf16"));
  CHECK(contains(commands, "-seed1-bf16"));
}

TEST_CASE("describe says where bf16 runs in fp32 between conversions") {
  const Outcome wide = require_success(run_assay({"describe", "kd-cae", "--algorithms"}));
  CHECK(!contains(wide.out, "conversions"));
  const Outcome narrow = require_success(
      assay_with_amx("emulated", {"describe", "kd-cae", "--algorithms", "--precision", "bf16"}));
  CHECK(contains(narrow.out, "in fp32, between conversions from and to bf16"));
  CHECK(contains(narrow.out, "not tiles: the tile instructions are emulated"));
  const Outcome named = require_success(
      assay_with_amx("emulated", {"describe", "ni-cae", "--algorithms", "--precision", "bf16",
                                  "--algorithm", "tiles", "--batch", "32"}));
  CHECK(contains(named.out, "kernels/conv2d/cpu/tiles/pass.cpp"));
  CHECK(contains(named.out, "kernels/conv2d/cpu/tiles/wgrad.cpp"));
  CHECK(contains(named.out, "kernels/gemm/cpu/tiles.cpp"));
  CHECK(!contains(named.out, "between conversions"));
  const Outcome without = require_success(
      assay_with_amx("off", {"describe", "kd-cae", "--algorithms", "--precision", "bf16"}));
  CHECK(contains(without.out, "not tiles: no tile instructions (AMX) on this machine"));
  const Outcome profile = require_success(
      assay_with_amx("emulated", {"profile", "kd-cae", "--precision", "bf16", "--image-size", "16",
                                  "--batch", "1", "--repeat", "1"}));
  CHECK(contains(profile.out, "convert"));
  CHECK(contains(profile.out, "fp32 "));
  const Outcome tiles = require_success(
      assay_with_amx("emulated", {"profile", "kd-cae", "--precision", "bf16", "--image-size", "32",
                                  "--batch", "2", "--repeat", "1", "--algorithm", "tiles"}));
  CHECK(contains(tiles.out, "tiles, tiles"));
  CHECK(!contains(tiles.out, "fp32 "));
}

}  // namespace assay::testing
