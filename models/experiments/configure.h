// Defaults, allowed options and checks of a model's RunConfig, and reading config.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/run/config.h"

namespace assay {

/// The defaults of a model's preset ("" = the model's first). UsageError for an unknown model or
/// preset; the message lists the existing ones.
RunConfig default_config(const std::string& model, const std::string& preset = "");

/// Whether a model has an option, by its key in config.json.
bool has_option(const std::string& model, const std::string& name);
/// The models that have an option, in the order of the registry.
std::vector<std::string> models_with(const std::string& name);
/// All options of all models: those of the table, then the models' own, each once.
std::vector<Option> all_options();

/// UsageError that names the first option that the model does not have or whose value is not
/// allowed, or the first pair that does not fit.
void check(const RunConfig& config);

/// The command that repeats the run in `out`, with the options that differ from the preset's.
std::string command_of(const RunConfig& config, const std::filesystem::path& out);

/// Reads config.json. CheckpointError if it is missing, is no configuration, or fails check().
RunConfig load_config(const std::filesystem::path& file);

}  // namespace assay
