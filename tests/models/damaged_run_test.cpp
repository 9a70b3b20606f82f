// A run folder from a stranger: whatever its files hold, reading them is an answer or a
// CheckpointError that names the file.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "models/evaluation/run_metrics.h"
#include "models/experiments/configure.h"
#include "models/experiments/predictor.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"
#include "models/run/history.h"
#include "models/run/reader.h"
#include "models/training/checkpoint.h"
#include "tensor/json.h"
#include "tests/support/files.h"

namespace assay {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::contains;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

struct Damage {
  std::string name;
  std::function<void(const fs::path&)> apply;
};

/// `elsewhere`: outside of the run, for symbolic links.
std::vector<Damage> damages(const fs::path& elsewhere) {
  const auto text = [](const char* name, auto change) {
    return Damage{name, [change](const fs::path& file) {
                    const std::string before = text_of(file);
                    fs::remove(file);
                    testing::put(file, change(before));
                  }};
  };
  return {
      {"missing", [](const fs::path& file) { fs::remove(file); }},
      text("empty", [](const std::string&) { return std::string(); }),
      text("cut", [](const std::string& all) { return all.substr(0, all.size() / 2); }),
      text("no JSON", [](const std::string&) { return std::string("\xFF\xFE{]"); }),
      text("another JSON", [](const std::string&) { return std::string("[1, 2]"); }),
      text("nested", [](const std::string&) { return nested(100'000); }),
      text("nested in a key",
           [](const std::string&) { return "{\"model\": " + nested(100'000) + "}"; }),
      {"a folder",
       [](const fs::path& file) {
         fs::remove(file);
         fs::create_directory(file);
       }},
      {"a pipe",
       [](const fs::path& file) {
         fs::remove(file);
         REQUIRE(mkfifo(file.c_str(), 0600) == 0);
       }},
      {"a symbolic link",
       [elsewhere](const fs::path& file) {
         fs::rename(file, elsewhere);
         fs::create_symlink(elsewhere, file);
       }},
  };
}

/// Runs f; true when it threw a CheckpointError whose message is one line that names a file of the
/// run. Any other exception fails.
bool refused(const RunFolder& folder, const std::function<void()>& f) {
  try {
    f();
    return false;
  } catch (const CheckpointError& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(contains(message, folder.root().string()));
    CHECK(message.size() < 1000);
    for (const char* internal : {"json.exception", "stoll", "basic_filebuf", "\n"})
      CHECK(!contains(message, internal));
    return true;
  } catch (const std::exception& error) {
    FAIL_CHECK("not a CheckpointError: " << error.what());
    return true;
  }
}

/// A class of small images beside the run folder; a kind of defect has the name of a file of ours.
fs::path write_class(const fs::path& root) {
  for (int i = 0; i < 12; ++i)
    testing::put(root / fmt::format("tile/train/good/{}.png", i), testing::small_image(i));
  for (int i = 0; i < 6; ++i) {
    testing::put(root / fmt::format("tile/test/good/{}.png", i), testing::small_image(20 + i));
    testing::put(root / fmt::format("tile/test/noise/{}.png", i),
                 testing::small_image(40 + i, 5, 4));
  }
  return root;
}

RunConfig small_run(const std::string& model, const RunFolder& folder) {
  RunConfig config = default_config(model);
  config.data = write_class(folder.root().parent_path() / "data").string();
  config.object_class = "tile";
  config.image_size = model == "lpd" ? 64 : model == "cnn" ? 32 : 16;
  config.folds = model == "cnn" ? 2 : config.folds;
  config.epochs = 1;
  config.bit_depth = "16";
  config.test_noise = has_option(model, "test_noise") ? "noisy" : config.test_noise;
  train_run(config, folder, Start::fresh, {});
  return config;
}

/// Every file of a run but its figures, relative to it.
std::vector<fs::path> files_of(const fs::path& run) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(run))
    if (entry.is_regular_file() && entry.path().extension() != ".png")
      files.push_back(entry.path().lexically_relative(run));
  return files;
}

void copy_run(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

/// Calls f with a copy of the JSON for every value in it, that value replaced by each of `others`.
void for_each_change(const Json& whole, const std::function<void(const Json&)>& f) {
  const std::vector<Json> others = {
      nullptr, -1, 2.5, 1e300, "x", true, Json::array({1}), Json::object(), UINT64_MAX};
  std::vector<Json::json_pointer> places;
  const std::function<void(const Json&, const Json::json_pointer&)> visit =
      [&](const Json& value, const Json::json_pointer& at) {
        if (!at.empty()) places.push_back(at);
        if (value.is_object())
          for (const auto& [key, item] : value.items()) visit(item, at / key);
        if (value.is_array())
          for (size_t i = 0; i < value.size(); ++i) visit(value[i], at / i);
      };
  visit(whole, Json::json_pointer());
  for (const auto& place : places) {
    CAPTURE(place.to_string());
    for (const Json& other : others) {
      CAPTURE(other.dump());
      Json changed = whole;
      changed[place] = other;
      f(changed);
    }
    if (!whole[place.parent_pointer()].is_object()) continue;
    Json changed = whole;
    changed[place.parent_pointer()].erase(place.back());
    f(changed);
  }
}

}  // namespace

TEST_CASE("JSON nests no deeper than the parser's bound") {
  CHECK(!parse_json(nested(kMaxJsonDepth)).is_discarded());
  CHECK(parse_json(nested(kMaxJsonDepth + 1)).is_discarded());
  CHECK(parse_json(nested(1'000'000)).is_discarded());
  // Brackets in a text are no levels, and its quotes may be escaped.
  const std::string brackets = "[\"\\\"" + std::string(1000, '[') + "\"]";
  CHECK(parse_json(brackets).at(0).get<std::string>().size() == 1001);
  CHECK(parse_json("{\"a\": [1, ]}").is_discarded());
}

TEST_CASE("every damage to every file of a run is an answer or an error that names the file") {
  for (const char* model : {"kd-cae", "cnn", "lpd"}) {
    const testing::TemporaryFolder temporary;
    const RunFolder whole(temporary / "whole"), run(temporary / "run");
    small_run(model, whole);
    for (const fs::path& file : files_of(whole.root())) {
      for (const Damage& damage : damages(temporary / "elsewhere")) {
        CAPTURE(model);
        CAPTURE(file);
        CAPTURE(damage.name);
        copy_run(whole.root(), run.root());
        damage.apply(run.root() / file);
        const std::string name = file.filename().string();
        const bool is_model =
            name == "config.json" || name == "model.safetensors" || name == "latents.safetensors";
        if (file == "fold0/config.json") continue;
        CHECK(refused(run, [&] { Predictor(run.root(), {.threads = 1}).side(); }) == is_model);
        CHECK(refused(run, [&] { read_metrics(run); }) == (file == "metrics.json"));
        const bool evaluation_reads = is_model || name == "split.json" || name == "history.csv" ||
                                      (name == "noise.json" && damage.name != "missing");
        const bool is_in_the_way =
            damage.name == "a folder" && (name == "metrics.json" || name == "scores.csv");
        // An evaluation that succeeds takes its time: one for each file is enough.
        if (evaluation_reads || is_in_the_way || damage.name == "cut")
          CHECK(refused(run, [&] { evaluate_run(run); }) == (evaluation_reads || is_in_the_way));
      }
    }
  }
}

TEST_CASE("every value of config.json and metrics.json may be of any type") {
  for (const char* model : {"kd-cae", "cnn"}) {
    CAPTURE(model);
    const testing::TemporaryFolder temporary;
    const RunFolder run(temporary / "run");
    small_run(model, run);
    const Json metrics = read_run_json(run.metrics()), config = read_run_json(run.config());
    int refusals = 0;
    for_each_change(metrics, [&](const Json& changed) {
      fs::remove(run.metrics());
      testing::put(run.metrics(), changed.dump());
      refusals += refused(run, [&] { read_metrics(run); });
    });
    CHECK(refusals > 100);
    refusals = 0;
    for_each_change(config, [&](const Json& changed) {
      testing::put(run.config(), changed.dump());
      refusals += refused(run, [&] { load_config(run.config()); });
    });
    CHECK(refusals > 100);
  }
}

TEST_CASE("numbers of a run are never read as zero where they are none") {
  const testing::TemporaryFolder temporary;
  const RunFolder run(temporary / "run");
  const std::string head = "epoch,train_loss,seconds\n";
  for (const char* row : {"1,abc,1\n", "1,,1\n", "1,nan,1\n", "1,inf,1\n", "x,1,1\n", "1.5,1,1\n",
                          "-1,1,1\n", "1e300,1,1\n", "1,0x10,1\n", "1,1 ,1\n"}) {
    CAPTURE(row);
    testing::put(run.history(), head + row);
    CHECK(refused(run, [&] { History::read(run.history()); }));
  }
  testing::put(run.history(), head + "1,0.5,1\n");
  CHECK(History::read(run.history()).rows().size() == 1);
}

TEST_CASE("nothing is written through a symbolic link in a run") {
  const testing::TemporaryFolder temporary;
  const RunFolder run(temporary / "run");
  small_run("kd-cae", run);
  // Figures: replaced by a folder of the run's own.
  testing::put(temporary / "mine/thesis.png", std::string("mine"));
  fs::remove_all(run.figures());
  fs::create_directory_symlink(temporary / "mine", run.figures());
  CHECK_NOTHROW(evaluate_run(run));
  CHECK(!fs::is_symlink(run.figures()));
  CHECK(std::distance(fs::directory_iterator(temporary / "mine"), fs::directory_iterator()) == 1);
  // Files: replaced, their target stays.
  testing::put(temporary / "scores", std::string("mine"));
  fs::remove(run.scores());
  fs::create_symlink(temporary / "scores", run.scores());
  evaluate_run(run);
  CHECK(!fs::is_symlink(run.scores()));
  CHECK(text_of(temporary / "scores") == "mine");
  // Folds: refused, and --force removes nothing behind them.
  testing::put(temporary / "fold/history.csv", std::string("mine"));
  fs::create_directory_symlink(temporary / "fold", run.root() / "fold0");
  CHECK_THROWS_AS(run.fold(0).create(), Error);
  run.clear();
  CHECK(text_of(temporary / "fold/history.csv") == "mine");
}

TEST_CASE("a noise sweep removes what a killed process left") {
  const testing::TemporaryFolder temporary;
  const RunFolder run(temporary / "run");
  small_run("kd-cae", run);
  const fs::path left = run.root() / "noise_sweep.csv.elsewhere-1.tmp";
  testing::put(left, std::string("half a file"));
  sweep_run(run);
  CHECK(!fs::exists(left));
  CHECK(fs::exists(run.noise_sweep()));
}

TEST_CASE("a model file of another version, another model or without its checksum is refused") {
  const testing::TemporaryFolder temporary;
  const RunFolder run(temporary / "run");
  small_run("kd-cae", run);
  const SafeTensors model = read_checked(run.model());
  const auto message = [&](const char* key, const char* value) {
    SafeTensors changed = model;
    changed.metadata[key] = value;
    write_checked(run.model(), changed);
    return testing::message_of<CheckpointError>([&] { load_detector(run); });
  };
  CHECK(contains(message("version", "2"), "version 2"));
  CHECK(contains(message("model", "ni-cae"), "ni-cae"));
  CHECK(contains(message("threshold", "inf"), "threshold 'inf'"));
  CHECK(contains(message("threshold", "nan"), "threshold 'nan'"));
  CHECK(contains(message("calibration_images", "1e300"), "calibration_images"));
  SafeTensors stripped = model;
  stripped.metadata.erase("checksum");
  write_safetensors(run.model(), stripped);
  CHECK(contains(testing::message_of<CheckpointError>([&] { load_detector(run); }), "checksum"));
  write_checked(run.model(), model);
  CHECK_NOTHROW(load_detector(run));
}

}  // namespace assay
