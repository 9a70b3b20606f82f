#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"

namespace assay {
namespace {

/// Number of test images of each kind, "good" included. A cross-validated run scored training
/// images too, which are left out by their path.
std::map<std::string, int64_t> kinds_in_test(const RunResult& run) {
  const CsvTable scores = read_csv(run.folder.scores());
  const size_t path = scores.column("path"), defect = scores.column("defect");
  std::map<std::string, int64_t> kinds;
  for (const auto& row : scores.rows)
    if (row[path].rfind("train/", 0) != 0) ++kinds[row[defect]];
  return kinds;
}

bool has_folds(const RunResult& run) {
  return find_model(run.config.model).learns_from_defects;
}

/// The run whose counts of images are shown: one without folds if there is one.
const RunResult& run_with_split(const ClassFindings& c) {
  for (const SeedGroup* group : c.groups)
    if (!has_folds(*group->runs.front())) return *group->runs.front();
  return c.groups.empty() ? *c.generators.front() : *c.groups.front()->runs.front();
}

std::string split_text(const RunResult& run) {
  const CommonMetrics& m = run.common();
  const std::string text = fmt::format("{} + {}", m.train_images, m.validation_images);
  return has_folds(run) ? text + " in a fold" : text;
}

/// "The threshold comes from held-out good images (A, B); from ... (C); never from test images."
std::string thresholds(const Findings& findings) {
  std::vector<std::string> sources;
  for (const ModelSpec* model : models_of(findings))
    if (const std::string& source = model->report.threshold;
        model->make_detector && std::find(sources.begin(), sources.end(), source) == sources.end())
      sources.push_back(source);
  if (sources.empty()) return "";
  for (std::string& source : sources)
    source +=
        fmt::format(" ({})", fmt::join(names_of_models(findings,
                                                       [&](const ModelSpec& model) {
                                                         return model.make_detector &&
                                                                model.report.threshold == source;
                                                       }),
                                       ", "));
  return fmt::format("The threshold comes from {}; never from test images. ",
                     fmt::join(sources, "; from "));
}

std::string where_models_learn(const Findings& findings) {
  const auto sentence = [](const std::vector<std::string>& models, const char* one,
                           const char* several) {
    return models.empty() ? "" : enumerated(models) + (models.size() == 1 ? one : several);
  };
  const std::string text = sentence(
      names_of_models(findings, [](const ModelSpec& m) { return !m.learns_from_defects; }),
      " learns from good training images alone. ", " learn from good training images alone. ");
  return text + thresholds(findings) +
         sentence(
             models_that_learn_from_defects(findings),
             " pools all images of a class; the fold that did not train on an image scores it.",
             " pool all images of a class; the fold that did not train on an image scores it.");
}

}  // namespace

void add_data(Page& page, const Findings& findings) {
  page.section("data", "Data");
  Table table({"class", "from", "kinds of defects in the test", "size, pixels",
               "train good + held out", "test good", "test defective"},
              3);
  for (const ClassFindings& c : findings.classes) {
    const RunResult& run = run_with_split(c);
    std::map<std::string, int64_t> kinds;
    if (run.detector()) kinds = kinds_in_test(run);
    const int64_t good = kinds["good"];
    kinds.erase("good");
    int64_t defective = 0;
    std::vector<std::string> defects;
    for (const auto& [kind, count] : kinds) {
      defective += count;
      defects.push_back(fmt::format("{} {}", kind, count));
    }
    table.row({class_link(c), data_name(run.config),
               defects.empty() ? Html(kNone)
                               : markup("<span class=\"wrap\">{}</span>", enumerated(defects)),
               size_text(run.common().image_sizes), split_text(run),
               run.detector() ? std::to_string(good) : kNone,
               run.detector() ? std::to_string(defective) : kNone});
  }
  page.add(table.html());
  page.add(paragraph(where_models_learn(findings), "soft"));
}

}  // namespace assay
