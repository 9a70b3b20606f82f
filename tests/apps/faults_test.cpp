// A system that refuses and processes that are killed: every verb ends in success or one line and
// an exit code of ours, and goes on afterwards to the files of an undisturbed run.
// ASSAY_FAULTS=1000 fails up to 1000 calls of each kind, ASSAY_KILLS=20 kills each kind of run 20
// times.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "tests/apps/program.h"

namespace assay::testing {

extern const char* const kFaults;  // the library of preload_faults.cpp

namespace {

struct Verb {
  std::string name;
  std::vector<std::string> words;
};

Outcome run_with_fault(const std::vector<std::string>& words, const std::string& fault) {
  Running::Program program{
      {"/usr/bin/env", std::string("LD_PRELOAD=") + kFaults, "ASSAY_FAULT=" + fault, kProgram}};
  program.line.insert(program.line.end(), words.begin(), words.end());
  return Running(program).wait();
}

/// The numbers of some calls out of `count`: the first, the last and some between.
std::vector<long> some_of(long count) {
  const char* how_many = std::getenv("ASSAY_FAULTS");
  const long most = std::min(count, how_many == nullptr ? 5L : std::max(1L, std::atol(how_many)));
  std::set<long> chosen;
  for (long i = 0; i < most; ++i) chosen.insert(1 + i * (count - 1) / std::max(1L, most - 1));
  return {chosen.begin(), chosen.end()};
}

std::map<std::string, long> count_calls(const std::vector<std::string>& words,
                                        const fs::path& file) {
  require_success(run_with_fault(words, "count:" + file.string()));
  std::map<std::string, long> counts;
  std::istringstream in(read_text(file));
  std::string kind;
  for (long count = 0; in >> kind >> count;) counts[kind] += count;
  return counts;
}

/// What a fault may lead to.
void check_outcome(const Outcome& outcome, const std::string& kind) {
  CAPTURE(outcome.error);
  CHECK(outcome.code >= 0);  // no signal
  CHECK(outcome.code <= kDevice);
  if (outcome.code == 0) return;
  const size_t last = outcome.error.rfind("assay: error: ");
  REQUIRE(last != std::string::npos);
  CHECK(outcome.error.find("assay: error: ") == last);
  CHECK(std::count(outcome.error.begin() + static_cast<std::ptrdiff_t>(last), outcome.error.end(),
                   '\n') == 1);
  CHECK(!contains(outcome.error, "terminate"));
  for (const char* refused : {"malloc", "worker_malloc", "heap", "thread", "open"})
    if (kind == refused) CHECK(outcome.code == kFailure);
}

/// The files of a run without what the clock says, and without machine.json, where a fact of the
/// machine that cannot be read is "unknown".
std::map<std::string, std::string> files_of(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file() || entry.path().filename() == "machine.json") continue;
    const std::string name = entry.path().lexically_relative(run).string();
    std::string text = read_text(entry.path());
    if (name.ends_with("metrics.json")) {
      nlohmann::json json = nlohmann::json::parse(text);
      json.erase("seconds_train");
      if (json.contains("folds"))
        for (auto& fold : json["folds"]) fold.erase("seconds_train");
      text = json.dump();
    } else if (name.ends_with("history.csv")) {
      std::istringstream lines(text);
      text.clear();
      for (std::string line; std::getline(lines, line);)
        text += line.substr(0, line.rfind(',')) + "\n";
    }
    files[name] = text;
  }
  return files;
}

/// Both texts around the first byte that differs.
std::string first_difference(const std::string& a, const std::string& b) {
  size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  const size_t from = i < 60 ? 0 : i - 60;
  return fmt::format("...{}... and ...{}...", a.substr(from, 120), b.substr(from, 120));
}

void check_same_files(const fs::path& expected, const fs::path& found) {
  const auto a = files_of(expected), b = files_of(found);
  for (const auto& file : a) {
    CAPTURE(file.first);
    CHECK(b.contains(file.first));
    if (b.contains(file.first))
      CHECK_MESSAGE(b.at(file.first) == file.second,
                    first_difference(b.at(file.first), file.second));
  }
  for (const auto& file : b) {
    CAPTURE(file.first);
    CHECK(a.contains(file.first));
  }
}

}  // namespace

TEST_CASE("whatever call fails, a verb ends in one line and loses nothing") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path base = folder / "base", run = folder / "run";
  const std::vector<std::string> epochs = {"--epochs", "1", "--resume"};
  require_success(run_assay(small_training(folder / "data", base, epochs)));
  const std::vector<Verb> verbs = {
      {"train", small_training(folder / "data", run, epochs)},
      {"evaluate", {"evaluate", run.string(), "--threads", "2"}},
      {"predict",
       {"predict", run.string(), (folder / "data/tile/test").string(), "--threads", "2", "--out",
        (folder / "heat").string(), "--force"}},
      {"report", {"report", run.string()}}};
  for (const Verb& verb : verbs) {
    CAPTURE(verb.name);
    const auto fresh = [&] {
      fs::remove_all(run);
      if (verb.name != "train") fs::copy(base, run, fs::copy_options::recursive);
    };
    fresh();
    for (const auto& calls : count_calls(verb.words, folder / ("count-" + verb.name))) {
      const std::string kind = calls.first;
      for (const long k : some_of(calls.second)) {
        CAPTURE(kind);
        CAPTURE(k);
        fresh();
        check_outcome(run_with_fault(verb.words, fmt::format("{}:{}", kind, k)), kind);
        // A finished run stays finished, and what was broken off goes on.
        if (verb.name != "train") CHECK(fs::exists(run / "metrics.json"));
        require_success(run_assay(verb.words));
        if (verb.name == "report") fs::remove_all(run / "report");
        check_same_files(base, run);
      }
    }
  }
}

TEST_CASE("a killed run of each kind goes on to the same files, and leaves no temporary ones") {
  const char* how_many = std::getenv("ASSAY_KILLS");
  const int kills = how_many == nullptr ? 2 : std::atoi(how_many);
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile", 10);
  const auto words = [&](const std::string& model, const fs::path& out) {
    std::vector<std::string> line = {"train",   model,  "--data",    (folder / "data").string(),
                                     "--class", "tile", "--out",     out.string(),
                                     "--batch", "2",    "--threads", "1",
                                     "--resume"};
    const std::vector<std::string> more =
        model == "kd-cae"
            ? std::vector<std::string>{"--image-size",  "16",    "--epochs",     "5",
                                       "--train-noise", "noisy", "--test-noise", "noisy"}
        : model == "ni-cae" ? std::vector<std::string>{"--image-size", "32", "--epochs", "5"}
        : model == "cnn"
            ? std::vector<std::string>{"--image-size", "32", "--epochs", "3", "--folds", "2"}
        : model == "dcgan"
            ? std::vector<std::string>{"--image-size", "32", "--steps", "6", "--sample-every", "2"}
            : std::vector<std::string>{"--image-size", "64"};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  };
  unsigned random = 12345;  // a linear congruential generator: the same kills every time
  for (const std::string model : {"kd-cae", "ni-cae", "cnn", "lpd", "dcgan"}) {
    CAPTURE(model);
    const fs::path whole = folder / (model + "-whole"), run = folder / "run";
    const auto begin = std::chrono::steady_clock::now();
    require_success(run_assay(words(model, whole)));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    for (int i = 0; i < kills; ++i) {
      fs::remove_all(run);
      int broken = 0;
      for (; broken < 3; ++broken) {  // the same run is killed again and again
        Running running(words(model, run));
        random = random * 1664525 + 1013904223;
        std::this_thread::sleep_for(took * ((random >> 8) % 1000 / 1000.0));
        running.signal(SIGKILL);
        running.wait();
      }
      require_success(run_assay(words(model, run)));
      check_same_files(whole, run);
      // An evaluation of a finished run.
      Running running(std::vector<std::string>{"evaluate", run.string(), "--threads", "1"});
      random = random * 1664525 + 1013904223;
      std::this_thread::sleep_for(took * ((random >> 8) % 1000 / 1000.0));
      running.signal(SIGKILL);
      running.wait();
      CHECK(fs::exists(run / "metrics.json"));
      require_success(run_assay({"evaluate", run.string(), "--threads", "1"}));
      check_same_files(whole, run);
    }
  }
}

}  // namespace assay::testing
