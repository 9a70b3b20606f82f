#include "apps/report/text.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"

namespace assay {

std::string decimal(double value, int digits) {
  const std::string text = fmt::format("{:.{}f}", std::abs(value), digits);
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return fmt::format("{}{}", value < 0 && !zero ? "\u2212" : "", text);
}

std::string number(const std::optional<double>& value, int digits) {
  return value ? decimal(*value, digits) : kNone;
}

namespace {

/// Digits so that an end of the interval other than 0 is not printed as 0.
int enough_digits(const Interval& interval, int digits) {
  const auto reads_as_zero = [&](double end) {
    return end != 0 && std::abs(end) < 0.5 * std::pow(10.0, -digits);
  };
  while (digits < 4 && (reads_as_zero(interval.low) || reads_as_zero(interval.high))) ++digits;
  return digits;
}

}  // namespace

std::string range_text(const Interval& interval, int digits) {
  digits = enough_digits(interval, digits);
  return fmt::format("{} to {}", decimal(interval.low, digits), decimal(interval.high, digits));
}

std::string interval_text(const std::optional<Interval>& interval, int digits) {
  if (!interval) return kNone;
  digits = enough_digits(*interval, digits);
  return fmt::format("[{}, {}]", decimal(interval->low, digits), decimal(interval->high, digits));
}

std::string interval_text(const std::optional<Estimate>& estimate, int digits) {
  return estimate ? interval_text(std::optional(estimate->interval), digits) : kNone;
}

std::string summary_text(const std::optional<SeedSummary>& summary, int digits) {
  if (!summary) return kNone;
  std::string text = decimal(summary->mean, digits);
  if (summary->deviation) text += " \u00b1 " + decimal(*summary->deviation, digits);
  return text;
}

std::string mean_text(const std::optional<SeedSummary>& summary, int digits) {
  return summary ? decimal(summary->mean, digits) : kNone;
}

std::string count_text(const std::optional<SeedSummary>& summary) {
  if (!summary) return kNone;
  const bool whole = std::abs(summary->mean - std::round(summary->mean)) < 1e-9;
  return decimal(summary->mean, whole ? 0 : 1);
}

std::string duration_text(double seconds) {
  if (seconds < 10) return decimal(seconds, 1) + " s";
  if (seconds < 120) return decimal(seconds, 0) + " s";
  if (seconds < 2 * 3600) return decimal(seconds / 60, 0) + " min";
  return decimal(seconds / 3600, 1) + " h";
}

std::string counted(int64_t n, const std::string& what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string size_text(const std::string& sizes) {
  std::string text;
  for (const char c : sizes) {
    if (c == 'x')
      text += "\u2009\u00d7\u2009";
    else
      text += c;
  }
  return text.empty() ? kNone : text;
}

std::string model_name(const std::string& model, const std::string& preset) {
  std::string name = find_model(model).report.title;
  if (name.empty())
    for (const char c : model)
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (preset.size() > model.size()) name += fmt::format(" {}", preset.substr(model.size() + 1));
  return name;
}

std::string name_of_group(const SeedGroup& group) {
  const RunConfig& c = group.config();
  return model_name(c.model, c.preset) + group.label.substr(c.preset.size());
}

Html synthetic_tag(bool synthetic) {
  return synthetic ? " <span class=\"tag\">synthetic</span>"_html : Html();
}

}  // namespace assay
