#include "data/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "data/findings.h"
#include "data/mvtec.h"
#include "data/split.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/parallel.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<std::string_view, ClassCounts>, 15> kOfficial = {{
    {"carpet", {280, 28, 89}},
    {"grid", {264, 21, 57}},
    {"leather", {245, 32, 92}},
    {"tile", {230, 33, 84}},
    {"wood", {247, 19, 60}},
    {"bottle", {209, 20, 63}},
    {"cable", {224, 58, 92}},
    {"capsule", {219, 23, 109}},
    {"hazelnut", {391, 40, 70}},
    {"metal_nut", {220, 22, 93}},
    {"pill", {267, 26, 141}},
    {"screw", {320, 41, 119}},
    {"toothbrush", {60, 12, 30}},
    {"transistor", {213, 60, 40}},
    {"zipper", {240, 32, 119}},
}};

/// Result of reading one image; `problem` is empty if it could be read.
struct Examined {
  ImageFacts facts;
  std::string problem;
};

Examined examine(const Sample& sample) {
  try {
    return {load(sample).facts, ""};
  } catch (const DataError& error) {
    return {{}, error.what()};
  }
}

void count(const Dataset& data, ClassReport& report) {
  report.counts.train_good = static_cast<int>(data.train_good.size());
  for (const Sample& sample : data.test) {
    ++(sample.defective ? report.counts.test_defective : report.counts.test_good);
    report.masks += has_mask(sample);
  }
}

void add_notes(std::span<const ReadImage> seen, ClassReport& report) {
  const ClassCounts& c = report.counts;
  constexpr int kMin = kMinValidation + kMinTrain;
  if (c.train_good > 0 && c.train_good < kMin)
    report.notes.push_back(
        fmt::format("{} good training images; training needs {}", c.train_good, kMin));
  if (c.test_good == 0 && c.test_defective == 0) {
    report.notes.push_back(
        "no test/: training holds good images out to test on, and metrics of defects are absent");
  } else if (c.test_good == 0) {
    report.notes.push_back("no test/good: AUROC cannot be computed");
  } else if (c.test_defective == 0) {
    report.notes.push_back("no defects in test: AUROC cannot be computed");
  }
  if (report.masks < c.test_defective) {
    report.notes.push_back(fmt::format("{} of {} defective images have no mask: no pixel metrics",
                                       c.test_defective - report.masks, c.test_defective));
  }
  const auto grey = std::count_if(seen.begin(), seen.end(),
                                  [](const ReadImage& s) { return s.facts->channels == 1; });
  if (grey > 0) report.notes.push_back(fmt::format("{} of {} images are grey", grey, seen.size()));
}

ClassReport check_class(Context& ctx, const fs::path& root, const std::string& name) {
  ClassReport report;
  report.name = name;
  const Dataset data = survey_mvtec(root, name, report.problems);
  count(data, report);
  const std::vector<Sample> samples = pooled(data);
  std::vector<Examined> examined(samples.size());
  parallel_for(ctx, static_cast<int64_t>(samples.size()),
               [&](int64_t i) { examined[i] = examine(samples[i]); });
  std::vector<ReadImage> seen;
  std::vector<ImageSize> sizes;
  size_t training = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!examined[i].problem.empty()) {
      report.problems.push_back(examined[i].problem);
      continue;
    }
    seen.push_back({&samples[i], &examined[i].facts});
    sizes.push_back(examined[i].facts.size);
    training += i < data.train_good.size();
  }
  report.sizes = describe_sizes(sizes);
  add_notes(seen, report);
  const std::span<const ReadImage> all = seen;
  const ImageFindings findings = check_images(all.first(training), all.subspan(training));
  report.problems.insert(report.problems.end(), findings.problems.begin(), findings.problems.end());
  report.notes.insert(report.notes.end(), data.notes.begin(), data.notes.end());
  report.notes.insert(report.notes.end(), findings.notes.begin(), findings.notes.end());
  report.files = data.files;
  return report;
}

}  // namespace

const ClassCounts* official_counts(const std::string& object_class) {
  for (const auto& [name, counts] : kOfficial) {
    if (name == object_class) return &counts;
  }
  return nullptr;
}

std::vector<ClassReport> check_data(Context& ctx, const fs::path& root) {
  std::vector<ClassReport> reports;
  for (const std::string& name : list_mvtec_classes(root)) {
    reports.push_back(check_class(ctx, root, name));
  }
  return reports;
}

}  // namespace assay
