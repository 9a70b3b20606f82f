#include "models/evaluation/threshold.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/runtime/error.h"
#include "models/run/csv.h"
#include "models/run/reader.h"

namespace assay {
namespace {

struct RuleOption {
  ThresholdRule::Kind kind;
  const char* name;  // in config.json and threshold.json
  std::string RunConfig::*value;
};
constexpr RuleOption kOptions[] = {
    {ThresholdRule::Kind::deviations, "k", &RunConfig::k},
    {ThresholdRule::Kind::fixed, "threshold", &RunConfig::threshold},
    {ThresholdRule::Kind::rate, "target_fpr", &RunConfig::target_fpr}};

/// P(X >= j) for X ~ Bin(n, p), which is the distribution function of Beta(j, n + 1 - j) at p.
double binomial_tail(int64_t n, int64_t j, double p) {
  double sum = 0;
  for (int64_t i = j; i <= n; ++i) {
    const auto x = static_cast<double>(i), m = static_cast<double>(n);
    sum += std::exp(std::lgamma(m + 1) - std::lgamma(x + 1) - std::lgamma(m - x + 1) +
                    x * std::log(p) + (m - x) * std::log1p(-p));
  }
  return std::min(sum, 1.0);
}

double beta_quantile(int64_t n, int64_t j, double share) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (binomial_tail(n, j, middle) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

ThresholdRule threshold_rule(const RunConfig& config) {
  ThresholdRule rule;
  for (const RuleOption& option : kOptions) {
    const std::string& value = config.*option.value;
    if (value.empty()) continue;
    ASSAY_CHECK_AS(UsageError, rule.kind == ThresholdRule::Kind::own,
                   "--k, --threshold and --target-fpr: each sets the threshold; choose one");
    rule = {option.kind, std::strtod(value.c_str(), nullptr)};
  }
  return rule;
}

void set_threshold_rule(RunConfig& config, const ThresholdRule& rule) {
  for (const RuleOption& option : kOptions)
    config.*option.value = option.kind == rule.kind ? csv_number(rule.value) : "";
}

ThresholdRule kept_threshold_rule(const RunConfig& config, const RunFolder& folder) {
  const std::filesystem::path file = folder.threshold();
  if (!is_there(file)) return threshold_rule(config);
  const nlohmann::ordered_json json = read_run_json(file);
  const JsonReader in(json, file.string());
  for (const RuleOption& option : kOptions)
    if (in.has(option.name)) return {option.kind, in.number(option.name)};
  throw CheckpointError(fmt::format(
      "{}: is damaged; remove it, which returns to the threshold of the training", file.string()));
}

void keep_threshold_rule(const ThresholdRule& rule, const RunFolder& folder) {
  nlohmann::json json;
  for (const RuleOption& option : kOptions)
    if (option.kind == rule.kind) json[option.name] = rule.value;
  write_file(folder.threshold(), json.dump() + "\n");
}

PromisedRate promised_rate(std::span<const double> good_scores, double target) {
  const auto n = static_cast<int64_t>(good_scores.size());
  ASSAY_CHECK(n > 0 && target > 0 && target < 1, "promised_rate: {} scores for a rate of {}", n,
              target);
  const auto all = static_cast<double>(n + 1);
  // 0.1 * 10 must count as 1.
  const auto wanted = static_cast<int64_t>(std::floor(target * all * (1 + 1e-12)));
  PromisedRate promise;
  promise.kept = wanted >= 1;
  promise.position = std::clamp<int64_t>(wanted, 1, n);
  promise.threshold = good_scores[static_cast<size_t>(n - promise.position)];
  promise.rate = static_cast<double>(promise.position) / all;
  promise.interval = {beta_quantile(n, promise.position, 0.025),
                      beta_quantile(n, promise.position, 0.975)};
  return promise;
}

}  // namespace assay
