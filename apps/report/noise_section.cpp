#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "apps/report/charts.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "apps/report/training_gain.h"
#include "data/noise.h"
#include "models/evaluation/statistics.h"
#include "models/experiments/noise_sweep.h"
#include "models/experiments/study.h"

namespace assay {
namespace {

/// The sweeps of a group's runs, point by point.
struct GroupSweep {
  const SeedGroup* group;
  std::vector<std::vector<NoisePoint>> runs;  ///< of equal grids

  size_t points() const { return runs.front().size(); }
  const NoisePoint& at(size_t i) const { return runs.front()[i]; }
  /// Mean over the runs; from the lowest to the highest of all runs and draws.
  DrawnMetric over_runs(size_t i, DrawnMetric NoisePoint::*metric) const {
    DrawnMetric all{0, std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    for (const std::vector<NoisePoint>& run : runs) {
      const DrawnMetric& m = run[i].*metric;
      all.mean += m.mean / static_cast<double>(runs.size());
      all.low = std::min(all.low, m.low);
      all.high = std::max(all.high, m.high);
    }
    return all;
  }
  /// The drop of F1 in per cent of the run's own F1 without noise. Empty where some run has an F1
  /// of 0 without noise.
  std::optional<DrawnMetric> f1_drop(size_t i) const {
    DrawnMetric all{0, std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    for (const std::vector<NoisePoint>& run : runs) {
      const double clean = run.front().f1.mean;
      if (clean <= 0) return std::nullopt;
      const auto drop = [&](double f1) { return 100 * (clean - f1) / clean; };
      all.mean += drop(run[i].f1.mean) / static_cast<double>(runs.size());
      all.low = std::min(all.low, drop(run[i].f1.high));
      all.high = std::max(all.high, drop(run[i].f1.low));
    }
    return all;
  }
  /// The point of equation 7 of the study; empty where the grid lacks it.
  std::optional<size_t> study_point() const {
    for (size_t i = 0; i < points(); ++i)
      if (at(i).variance == kNoiseVariance && at(i).share == kNoiseShare) return i;
    return std::nullopt;
  }
};

bool same_grid(const std::vector<NoisePoint>& a, const std::vector<NoisePoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const NoisePoint& x, const NoisePoint& y) {
                      return x.variance == y.variance && x.share == y.share;
                    });
}

std::vector<GroupSweep> sweeps_of(const ClassFindings& c) {
  std::vector<GroupSweep> sweeps;
  for (const SeedGroup* group : c.groups) {
    GroupSweep sweep{group, {}};
    for (const RunResult* run : group->runs) {
      std::vector<NoisePoint> points = read_noise_sweep(run->folder);
      if (points.empty() || (!sweep.runs.empty() && !same_grid(points, sweep.runs.front())))
        continue;
      sweep.runs.push_back(std::move(points));
    }
    if (!sweep.runs.empty()) sweeps.push_back(std::move(sweep));
  }
  return sweeps;
}

/// A metric of all models along one side of the grid: the mean and its band.
Html sweep_chart(const std::vector<GroupSweep>& sweeps, const std::string& title, const Axis& x,
                 const Axis& y, DrawnMetric NoisePoint::*metric, double NoisePoint::*along,
                 const std::function<bool(const NoisePoint&)>& is_shown) {
  std::vector<Series> lines;
  std::map<int, int> of_colour;
  for (const GroupSweep& sweep : sweeps) {
    const int colour = colour_of(sweep.group->config().model);
    Series mean{name_of_group(*sweep.group), {}, colour, of_colour[colour]++};
    for (size_t i = 0; i < sweep.points(); ++i) {
      if (!is_shown(sweep.at(i))) continue;
      const DrawnMetric m = sweep.over_runs(i, metric);
      const double at = sweep.at(i).*along;
      mean.points.emplace_back(at, m.mean);
      mean.band.push_back({at, m.low, m.high});
    }
    lines.push_back(std::move(mean));
  }
  return line_chart({.title = title, .x = x, .y = y}, lines);
}

std::string percent_text(double value) {
  return decimal(value, 1) + "\u00a0%";
}

/// What the study's noise does to F1, and whether that is what the study prints.
std::string drop_sentence(const GroupSweep& sweep, const ClassFindings& c) {
  const auto at = sweep.study_point();
  const auto drop = at ? sweep.f1_drop(*at) : std::nullopt;
  if (!drop) return "";
  std::string text = fmt::format(
      "{}: noise of the study\u2019s variance {:g} on {:g}\u00a0% of the test images changes F1 "
      "by "
      "{} ({} to {} over {} and choices of the images)",
      name_of_group(*sweep.group), kNoiseVariance, 100 * kNoiseShare, percent_text(-drop->mean),
      percent_text(-drop->high), percent_text(-drop->low),
      counted(static_cast<int64_t>(sweep.runs.size()), "seed"));
  const auto published =
      c.synthetic ? std::nullopt : published_noise_drop(sweep.group->config().model, c.name);
  if (!published) return text + ".";
  text += fmt::format("; the study prints a fall of {:.2f}\u00a0%, which lies {} that range",
                      *published,
                      drop->low <= *published && *published <= drop->high ? "in" : "outside");
  for (size_t i = 0; i < sweep.points(); ++i)
    if (const auto other = sweep.f1_drop(i); other && other->mean >= *published)
      return fmt::format(
          "{}. The mildest noise of the sweep whose mean fall reaches it has a variance of {:g} on "
          "{:g}\u00a0% of the images.",
          text, sweep.at(i).variance, 100 * sweep.at(i).share);
  return text + ". No noise of the sweep lowers F1 so far on average.";
}

/// The image AUROC on test images without noise against the variance of the noise in training: a
/// line for each share of noisy images, which begins at the model that is trained without. Empty
/// where no run has another noise than the study's.
Html training_noise_chart(const ClassFindings& c) {
  std::map<std::pair<const SeedGroup*, double>, std::map<double, const SeedGroup*>> lines;
  bool varies = false;
  for (const SeedGroup* group : c.groups) {
    const RunConfig& config = group->config();
    if (config.train_noise != "noisy" || config.test_noise != "clean") continue;
    const SeedGroup* clean = clean_partner(c, *group);
    if (clean == nullptr) continue;
    auto& line = lines[{clean, config.noise_share}];
    line[0] = clean;
    line[config.noise_variance] = group;
    varies = varies || !has_noise_of_study(config);
  }
  if (!varies) return {};
  std::vector<Series> series;
  std::map<int, int> of_colour;
  for (const auto& [key, line] : lines) {
    const auto& [clean, share] = key;
    const int colour = colour_of(clean->config().model);
    Series mean{fmt::format("{}, {:g}\u00a0% of the images", name_of_group(*clean), 100 * share),
                {},
                colour,
                of_colour[colour]++};
    for (const auto& [variance, group] : line) {
      std::vector<double> values;
      for (const RunResult* run : group->runs)
        if (const auto auroc = run->detector()->image_auroc) values.push_back(*auroc);
      if (values.empty()) continue;
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      mean.points.emplace_back(variance, summarize_seeds(values).mean);
      mean.band.push_back({variance, *low, *high});
    }
    series.push_back(std::move(mean));
  }
  return line_chart({.title = "Noise in training alone",
                     .x = {.title = "variance of the noise"},
                     .y = {.title = "image AUROC", .low = 0.4, .high = 1}},
                    series);
}

void add_training_noise(Page& page, const Findings& findings) {
  std::vector<std::pair<const ClassFindings*, Html>> charts;
  for (const ClassFindings& c : findings.classes)
    if (Html chart = training_noise_chart(c); !chart.empty())
      charts.emplace_back(&c, std::move(chart));
  if (charts.empty()) return;
  page.subsection("training-noise", "Noise on the training images alone", "Noise in training");
  for (const auto& [c, chart] : charts)
    page.add(markup("<h4>{}{}</h4>\n{}", c->name, synthetic_tag(c->synthetic), beside(chart)));
  page.add(paragraph(
      "Line: mean over seeds; area: from the lowest to the highest of them. Good images that are "
      "held out for the threshold are as noisy as those of the training.",
      "soft"));
}

}  // namespace

void add_noise_sweeps(Page& page, const Findings& findings) {
  add_training_noise(page, findings);
  std::vector<std::pair<const ClassFindings*, std::vector<GroupSweep>>> classes;
  for (const ClassFindings& c : findings.classes)
    if (std::vector<GroupSweep> sweeps = sweeps_of(c); !sweeps.empty())
      classes.emplace_back(&c, std::move(sweeps));
  if (classes.empty()) return;
  page.subsection("noise-sweep", "Noise on the test images alone", "Noise sweep");
  for (const auto& [c, sweeps] : classes) {
    page.add(markup("<h4>{}{}</h4>\n", c->name, synthetic_tag(c->synthetic)));
    page.add(beside(
        sweep_chart(sweeps, "All test images noisy", {.title = "variance of the noise"},
                    {.title = "image AUROC", .low = 0.4, .high = 1}, &NoisePoint::image_auroc,
                    &NoisePoint::variance, [](const NoisePoint& p) { return p.share == 1; }) +
        sweep_chart(sweeps, fmt::format("Noise of variance {:g}", kNoiseVariance),
                    {.title = "share of noisy test images"}, {.title = "F1", .low = 0, .high = 1},
                    &NoisePoint::f1, &NoisePoint::share,
                    [](const NoisePoint& p) { return p.variance == kNoiseVariance; })));
    for (const GroupSweep& sweep : sweeps)
      if (const std::string text = drop_sentence(sweep, *c); !text.empty())
        page.add(paragraph(text));
  }
  page.add(paragraph(
      "One training serves a whole curve: the threshold stays that of the training. "
      "Line: mean over seeds and over 20 choices of the noisy images; area: from the lowest "
      "to the highest of them.",
      "soft"));
}

}  // namespace assay
