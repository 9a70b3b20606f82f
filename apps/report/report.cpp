#include "apps/report/report.h"

#include <algorithm>

#include "apps/report/findings.h"
#include "apps/report/html.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"
#include "models/run/folder.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

/// A paragraph on models, classes and data of the runs.
Html introduction(const Findings& findings) {
  std::vector<std::string> classes;
  std::string text;
  for (const ModelSpec* model : models_of(findings))
    text += (text.empty() ? "" : "; ") + model->report.introduction;
  for (const ClassFindings& c : findings.classes) classes.push_back(c.name);
  return paragraph(fmt::format(
      "{} of {} on {}. Each model learns from images of one class of product and then says of "
      "others how likely they show a defect. Models: {}.",
      counted(static_cast<int64_t>(findings.runs.size()), "run"),
      enumerated(names_of_models(findings, [](const ModelSpec&) { return true; })),
      classes.size() > 6 ? fmt::format("{} classes", classes.size()) : enumerated(classes), text));
}

Html synthetic_note(const Findings& findings) {
  if (!findings.synthetic()) return {};
  const bool all = std::all_of(findings.classes.begin(), findings.classes.end(),
                               [](const ClassFindings& c) { return c.synthetic; });
  return paragraph(
      markup("<b>Synthetic data.</b> {} of the built-in images, which a program draws (marked{}). "
             "Results on them show that the machinery works; they say nothing about real products.",
             all ? "All classes here are" : "Some classes are", synthetic_tag(true)),
      "note");
}

/// Lists runs that collapsed (with advice), failed or are not finished.
Html warnings(const Findings& findings) {
  Html items;
  for (const RunResult& run : findings.runs)
    if (const std::string words = collapse_text(run); !words.empty())
      items += markup("<li>{}</li>\n", words);
  for (const auto& [name, reason] : findings.failed)
    items += markup("<li>{} failed, so it is not in this report: {}</li>\n", name, reason);
  for (const fs::path& folder : findings.unfinished)
    if (!findings.failed.contains(folder.filename().string()))
      items += markup(
          "<li>{} is not finished, so it is not in this report; the same command goes on with "
          "it.</li>\n",
          folder.filename().string());
  return items.empty()
             ? Html()
             : markup("<div class=\"note\"><b>Look at these runs.</b><ul>\n{}</ul></div>\n", items);
}

}  // namespace

fs::path write_report(const fs::path& root) {
  const Findings findings(root);
  ASSAY_CHECK_AS(DataError, !findings.runs.empty(),
                 "{}: holds no finished run to report; train one, or run a suite into it",
                 root.string());
  Page page;
  page.lead("<h1>Finding defects in images of manufactured objects</h1>\n"_html);
  page.lead(front(findings));
  page.lead(introduction(findings));
  page.lead(synthetic_note(findings));
  page.lead(warnings(findings));
  add_answer(page, findings);
  add_training_gain(page, findings);
  add_claims(page, findings);
  add_data(page, findings);
  add_models(page, findings);
  add_classes(page, findings);
  add_generators(page, findings);
  add_speed(page, root);
  add_runs(page, findings);

  fs::path file = root / "report" / "index.html";
  check_no_link(file.parent_path());
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);  // write_file reports the error
  write_file(file, page.html("Assay: finding defects in images of manufactured objects").source());
  return file;
}

}  // namespace assay
