#include <fmt/format.h>

#include <memory>
#include <type_traits>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

std::string heading_of(const Option& option) {
  switch (option.group) {
    case OptionGroup::data:
      return "Images";
    case OptionGroup::training:
      return "Training";
    default:
      return fmt::format("{}", fmt::join(models_with(option.name), ", "));
  }
}

std::string text_of(const OptionValue& value) {
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

/// "; <model>: <default>" for each model whose default is not that of the table.
std::string other_defaults(const Option& option) {
  std::string text;
  for (const std::string& model : models_with(option.name)) {
    const OptionValue value = option.get(default_config(model));
    if (value != option.initial) text += fmt::format("; {}: {}", model, text_of(value));
  }
  return text;
}

template <class T>
CLI::Option* add_to(CLI::App& verb, const Option& option, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return verb.add_flag(option.flag, value, option.help);
  } else {
    CLI::Option* added = verb.add_option(option.flag, value, option.help + other_defaults(option));
    if constexpr (std::is_same_v<T, uint64_t>) added->check(whole_number());
    if (const std::string text = text_of(option.initial); !text.empty()) added->default_str(text);
    return added;
  }
}

std::function<void(RunConfig&)> add_options(CLI::App& verb, const std::vector<Option>& options) {
  std::vector<std::function<void(RunConfig&)>> setters;
  for (const Option& option : options) {
    std::visit(
        [&](const auto& initial) {
          const auto value = std::make_shared<std::decay_t<decltype(initial)>>();
          CLI::Option* added = add_to(verb, option, *value)->group(heading_of(option));
          setters.push_back([option, added, value](RunConfig& config) {
            if (added->count() > 0) option.set(config, *value);
          });
        },
        option.initial);
  }
  return [setters](RunConfig& config) {
    for (const auto& set : setters) set(config);
  };
}

}  // namespace

std::function<void(RunConfig&)> add_run_options(CLI::App& verb) {
  return add_options(verb, all_options());
}

std::function<std::optional<ThresholdRule>(const RunConfig&)> add_threshold_options(
    CLI::App& verb) {
  std::vector<Option> options = option_table();
  std::erase_if(options, [](const Option& option) {
    return option.name != "k" && option.name != "threshold" && option.name != "target_fpr";
  });
  const auto set = add_options(verb, options);
  return [set](RunConfig config) -> std::optional<ThresholdRule> {
    set_threshold_rule(config, {});
    set(config);
    check(config);
    const ThresholdRule rule = threshold_rule(config);
    if (rule.kind == ThresholdRule::Kind::own) return std::nullopt;
    return rule;
  };
}

}  // namespace assay
