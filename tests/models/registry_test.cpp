// The registry of models and the table of options.
#include "models/experiments/registry.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "tests/support/files.h"

namespace assay {
namespace {

/// A model that is complete and does nothing.
ModelSpec small_model(const std::string& name) {
  ModelSpec model;
  model.name = name;
  model.presets = find_model(model_names().front()).presets;
  for (Preset& preset : model.presets) preset.name = name + "-" + preset.name;
  model.train = [](const RunConfig&, const RunFolder&, Start, const TrainingHooks&) {
    return DetectorMetrics();
  };
  model.evaluate = [](const RunConfig&, const RunFolder&, const RunFolder&) {
    return DetectorMetrics();
  };
  model.make_detector = [](const RunConfig&) { return nullptr; };
  return model;
}

}  // namespace

TEST_CASE("every model of the library is complete") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const ModelSpec& model = find_model(name);
    CHECK(model.presets.front().name == name);  // `assay describe MODEL` takes the first
    for (const Preset& preset : model.presets)
      CHECK((model.make_step != nullptr) == (preset.make != nullptr));
    CHECK(!model.collapse_hint.empty());
    CHECK(!model.report.introduction.empty());
    for (const char* profile : {"quick", "paper"}) {
      REQUIRE(model.suite.count(profile) == 1);
      CHECK(model_of_preset(model.suite.at(profile).preset).name == name);
    }
    for (const Preset& preset : model.presets)
      CHECK_NOTHROW(check(default_config(name, preset.name)));
  }
  CHECK_THROWS_AS(find_model("resnet"), UsageError);
  CHECK_THROWS_AS(find_preset("resnet"), UsageError);
  CHECK_THROWS_AS(make_network("resnet"), UsageError);
}

TEST_CASE("every option of the table belongs to a model and survives config.json") {
  const testing::TemporaryFolder folder;
  for (const Option& option : option_table()) {
    CAPTURE(option.name);
    const std::vector<std::string> models = models_with(option.name);
    REQUIRE(!models.empty());
    RunConfig config = default_config(models.front());
    CHECK(json_of(config).contains(option.name));
    if (std::holds_alternative<int>(option.initial)) option.set(config, 7);
    if (std::holds_alternative<bool>(option.initial)) option.set(config, true);
    const RunConfig again = config_from(json_of(config), find_model(models.front()).own_options);
    CHECK(differences(config, again).empty());
    CHECK(option.get(again) == option.get(config));
  }
}

TEST_CASE("a model of a program's own brings an option in one line") {
  ModelSpec model = small_model("with-option");
  model.own_options = {own_option("taps", 3, at_least{1}, "taps of the filter")};
  register_model(model);
  const testing::TemporaryFolder folder;
  RunConfig config = default_config("with-option");
  CHECK(config.own<int>("taps") == 3);
  CHECK(has_option("with-option", "taps"));
  CHECK(models_with("taps") == std::vector<std::string>{"with-option"});
  config.own_values["taps"] = 5;
  check(config);
  CHECK(command_of(config, "run").find(" --taps 5 ") != std::string::npos);
  save(config, folder / "config.json");
  CHECK(load_config(folder / "config.json").own<int>("taps") == 5);
  config.own_values["taps"] = 0;
  CHECK_THROWS_WITH_AS(check(config), "--taps: 0 is less than 1", UsageError);
  RunConfig other = default_config(model_names().front());
  other.own_values["taps"] = 5;
  CHECK_THROWS_AS(check(other), UsageError);
}

TEST_CASE("a run of a model that this program does not have is refused by name") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "config.json") << R"({"model": "elsewhere"})";
  const std::string message =
      fmt::format("{}: is a run of 'elsewhere', which this program does not have; there are: {}",
                  (folder / "config.json").string(), fmt::join(model_names(), ", "));
  CHECK_THROWS_WITH_AS(load_config(folder / "config.json"), message.c_str(), CheckpointError);
}

TEST_CASE("a model that is not complete, or has a name that is taken, is refused") {
  const auto refused = [](auto change) {
    ModelSpec model = small_model("refused");
    change(model);
    const size_t before = model_names().size();
    CHECK_THROWS_AS(register_model(model), UsageError);
    CHECK(model_names().size() == before);
  };
  const std::string taken = model_names().front();
  refused([&](ModelSpec& m) { m.name = taken; });
  refused([](ModelSpec& m) { m.name = ""; });
  refused([](ModelSpec& m) { m.presets.clear(); });
  refused([&](ModelSpec& m) { m.presets.front().name = taken; });
  refused([](ModelSpec& m) {
    m.presets.front().make = nullptr;
    m.make_step = [](Network&, const RunConfig&) { return std::unique_ptr<TrainingStep>(); };
  });
  refused([](ModelSpec& m) { m.train = nullptr; });
  refused([](ModelSpec& m) { m.make_detector = nullptr; });
  refused([](ModelSpec& m) { m.options = {"no_such_option"}; });
  refused([](ModelSpec& m) {
    m.own_options = {own_option("seed", uint64_t{0}, anything{}, "taken by the table")};
  });
}

}  // namespace assay
