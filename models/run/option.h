// Options of a run: config.json, the command line and its help are made from them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace assay {

struct RunConfig;

using OptionValue = std::variant<std::string, bool, int, int64_t, uint64_t, double>;

/// The heading of an option in the help.
enum class OptionGroup : uint8_t {
  data,      ///< the choice of images
  training,  ///< for every model
  model,     ///< for the models whose ModelSpec names it
};

struct Option {
  std::string name;  ///< key in config.json
  std::string flag;  ///< on the command line: "--kde-bandwidth"
  OptionGroup group;
  OptionValue initial;  ///< the default; its type is the type of the option
  std::function<OptionValue(const RunConfig&)> get;
  std::function<void(RunConfig&, const OptionValue&)> set;  ///< the value has the type of `initial`
  std::function<void(const OptionValue&)> check;            ///< throws UsageError
  std::string help;
};

/// The rows of option_table.h, in its order.
const std::vector<Option>& option_table();

/// An option of one model that is not in the table; read it by RunConfig::own<T>(name).
/// `check(flag, value)` throws UsageError for a value that is not allowed.
template <class T, class Check>
Option own_option(const std::string& name, T initial, Check check, std::string help);

/// UsageError unless value >= min.
struct at_least {
  double min;
  void operator()(const std::string& flag, double value) const;
};

/// UsageError unless the value is "auto" or a number of bits from 8 to 16.
struct depth_of_bits {
  void operator()(const std::string& flag, const std::string& value) const;
};

/// UsageError unless the text is empty (not given) or a number between `low` and `high`, exclusive.
struct optional_number {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  void operator()(const std::string& flag, const std::string& text) const;
};

/// UsageError unless the value is finite and positive.
struct positive {
  void operator()(const std::string& flag, double value) const;
};

/// UsageError unless 0 <= value <= 1.
struct share {
  void operator()(const std::string& flag, double value) const;
};

/// UsageError unless the value is one of the names.
struct one_of {
  std::vector<std::string> names;
  void operator()(const std::string& flag, const std::string& value) const;
};

/// UsageError unless the text is UTF-8, as config.json requires.
struct utf8 {
  void operator()(const std::string& flag, const std::string& value) const;
};

/// Accepts every value.
struct anything {
  template <class T>
  void operator()(const std::string&, const T&) const {}
};

}  // namespace assay
