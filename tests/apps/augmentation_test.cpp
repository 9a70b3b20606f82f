// --augment of the CNN through the program.
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// Of the built-in rings each of two folds has 32 good and 10 defective training images.
std::vector<std::string> rings(const fs::path& out, const std::vector<std::string>& more,
                               const std::string& threads = "1") {
  std::vector<std::string> words = {
      "train",      "cnn",     "--data",  "builtin", "--class",   "ring",         "--out",
      out.string(), "--folds", "2",       "--seed",  "3",         "--image-size", "32",
      "--batch",    "8",       "--steps", "8",       "--threads", threads};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

const std::vector<std::string> kGenerated = {"--augment", "generated",         "--augment-factor",
                                             "2",         "--generator-steps", "3"};

}  // namespace

TEST_CASE("a CNN learns from generated images, and says which label has too few for a DCGAN") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const Outcome trained = require_success(run_assay(rings(run, kGenerated)));
  CHECK(contains(trained.error,
                 "fold 1: 10 defective training images are too few for a DCGAN (16 at least)"));
  CHECK(contains(trained.error, "fold 2: DCGAN of good images: two generated images differ by"));
  const nlohmann::json metrics = read_json(run / "metrics.json");
  // 32 + 10 images and 64 generated ones are 14 batches of 8, so 8 steps do not end an epoch.
  CHECK(metrics["folds"][0]["steps"] == 8);
  CHECK(metrics["folds"][0]["train"] == 42);
  CHECK(fs::exists(run / "fold0/generator_good/generated.safetensors"));
  CHECK(!fs::exists(run / "fold0/generator_good/checkpoint.safetensors"));
  CHECK(!fs::exists(run / "fold0/generator_defective"));

  const std::string before = read_text(run / "metrics.json"),
                    scores = read_text(run / "scores.csv");
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "metrics.json") == before);
  CHECK(read_text(run / "scores.csv") == scores);

  // Other images make another network, also where a mirror image or the same is added.
  std::vector<std::string> found = {scores};
  for (const char* kind : {"none", "repeat", "flip"}) {
    const fs::path other = folder / kind;
    require_success(run_assay(rings(other, {"--augment", kind, "--augment-factor", "2"})));
    found.push_back(read_text(other / "scores.csv"));
    for (size_t i = 0; i + 1 < found.size(); ++i) CHECK(found[i] != found.back());
  }
  // --force leaves nothing of the generators.
  require_success(run_assay(rings(run, {"--force"})));
  CHECK(!fs::exists(run / "fold0/generator_good"));
  CHECK(read_text(run / "scores.csv") == found[1]);
}

TEST_CASE("a CNN with generated images broken off by Ctrl-C goes on to the same bits") {
  const TemporaryFolder folder;
  const fs::path whole = folder / "whole", broken = folder / "broken";
  require_success(run_assay(rings(whole, kGenerated)));
  // Once when the first generator is trained, once in the second fold.
  for (const char* file :
       {"fold0/generator_good/checkpoint.safetensors", "fold0/checkpoint.safetensors"}) {
    std::vector<std::string> more = kGenerated;
    more.emplace_back("--resume");
    Running running(rings(broken, more, "2"));
    REQUIRE(running.wait_for(broken / file));
    running.signal(SIGINT);
    running.wait();
  }
  std::vector<std::string> more = kGenerated;
  more.emplace_back("--resume");
  require_success(run_assay(rings(broken, more, "2")));
  for (const char* file : {"scores.csv", "fold0/model.safetensors", "fold1/model.safetensors"})
    CHECK_MESSAGE(read_text(whole / file) == read_text(broken / file), file);
}

TEST_CASE("an augmentation that does not exist is refused before anything is written") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    check_refused(run_assay(rings(folder / "run", more)), kUsage, part);
    CHECK(!fs::exists(folder / "run"));
  };
  refused({"--augment", "mixup"}, "--augment");
  refused({"--augment", "flip", "--augment-factor", "4"}, "--augment-factor: 4 mirror images");
  refused({"--augment-factor", "0"}, "--augment-factor");
  refused({"--generator-steps", "0"}, "--generator-steps");
}

}  // namespace assay::testing
