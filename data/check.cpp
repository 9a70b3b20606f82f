#include "data/check.h"

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>
#include <utility>

#include "data/image_io.h"
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

/// What one picture turned out to be.
struct Finding {
  int height = 0, width = 0, channels = 0;
  std::string problem;
};

Finding examine(const Sample& sample) {
  try {
    const Picture picture = load(sample);
    return {picture.image.height, picture.image.width, picture.image.channels, ""};
  } catch (const DataError& error) {
    return {.problem = error.what()};
  }
}

std::string sizes_of(const std::vector<Finding>& findings) {
  std::vector<ImageSize> sizes;
  for (const Finding& f : findings) {
    if (f.problem.empty()) sizes.push_back({f.width, f.height});
  }
  return describe_sizes(sizes);
}

void count(const Dataset& data, ClassReport& report) {
  report.counts.train_good = static_cast<int>(data.train_good.size());
  for (const Sample& sample : data.test) {
    ++(sample.defective ? report.counts.test_defective : report.counts.test_good);
    report.masks += has_mask(sample);
  }
}

/// What is worth knowing but stops nothing.
void add_notes(const std::vector<Finding>& findings, ClassReport& report) {
  const ClassCounts& c = report.counts;
  constexpr int kLeast = kMinValidation + kMinTrain;
  if (c.train_good > 0 && c.train_good < kLeast)
    report.notes.push_back(
        fmt::format("{} good training pictures; training needs {}", c.train_good, kLeast));
  if (c.test_good == 0) report.notes.push_back("no test/good: AUROC cannot be computed");
  if (c.test_defective == 0) report.notes.push_back("no defects in test: AUROC cannot be computed");
  if (report.masks < c.test_defective) {
    report.notes.push_back(fmt::format("{} of {} defective pictures have no mask: no pixel metrics",
                                       c.test_defective - report.masks, c.test_defective));
  }
  const auto grey = std::count_if(findings.begin(), findings.end(),
                                  [](const Finding& f) { return f.channels == 1; });
  if (grey > 0)
    report.notes.push_back(fmt::format("{} of {} pictures are grey", grey, findings.size()));
}

/// Pictures in a format that is not read are the likely ones; the user should hear of them.
void add_note_of_others(const std::vector<std::string>& others, ClassReport& report) {
  if (others.empty()) return;
  report.notes.push_back(fmt::format("{}{} passed over, being no PNG, JPEG or BMP: {}{}",
                                     others.size(), others.size() == 1 ? " file is" : " files are",
                                     others.front(), others.size() > 1 ? ", ..." : ""));
}

ClassReport check_class(Context& ctx, const fs::path& root, const std::string& name) {
  ClassReport report;
  report.name = name;
  const Dataset data = survey_mvtec(root, name, report.problems);
  count(data, report);
  const std::vector<Sample> samples = pooled(data);
  std::vector<Finding> findings(samples.size());
  parallel_for(ctx, static_cast<int64_t>(samples.size()),
               [&](int64_t i) { findings[i] = examine(samples[i]); });
  for (const Finding& finding : findings) {
    if (!finding.problem.empty()) report.problems.push_back(finding.problem);
  }
  report.sizes = sizes_of(findings);
  add_notes(findings, report);
  add_note_of_others(list_other_files(root, name), report);
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
