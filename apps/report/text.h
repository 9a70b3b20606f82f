// Numbers and names of the report as text, with typographic signs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/report/html.h"
#include "apps/suite/results.h"

namespace assay {

/// Shown in place of a number that does not exist.
inline constexpr const char* kNone = "\u2013";

/// "0.861", or kNone for a metric that does not exist.
std::string number(const std::optional<double>& value, int digits = 3);
/// Fixed-point, with the typographic minus sign.
std::string decimal(double value, int digits);
/// "0.06 to 0.21".
std::string range_text(const Interval& interval, int digits = 2);
/// "[0.75, 0.95]".
std::string interval_text(const std::optional<Interval>& interval, int digits = 2);
std::string interval_text(const std::optional<Estimate>& estimate, int digits = 2);
/// "0.861", or "0.861 ± 0.020" over several seeds.
std::string summary_text(const std::optional<SeedSummary>& summary, int digits = 3);
/// The mean without deviation, for a metric that is the same in all seeds.
std::string mean_text(const std::optional<SeedSummary>& summary, int digits = 2);
/// "3", or "2.6" if seeds differ.
std::string count_text(const std::optional<SeedSummary>& summary);
/// "27 s", "12 min", "3.4 h".
std::string duration_text(double seconds);
/// "1 image", "40 images".
std::string counted(int64_t n, const std::string& what);
/// "a, b and c".
template <class Text>
Text enumerated(const std::vector<Text>& names) {
  Text text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}
/// 128x128 with the typographic multiplication sign.
std::string size_text(const std::string& sizes);

/// The model in capitals, with the additional part of the preset's name: "A-MODEL 128".
std::string model_name(const std::string& model, const std::string& preset);
/// The name of the group's model, with noise and options if the label has them.
std::string name_of_group(const SeedGroup& group);

/// A tag after the name of synthetic data; "" for other data.
Html synthetic_tag(bool synthetic);

}  // namespace assay
