#include <algorithm>
#include <filesystem>

#include "apps/report/charts.h"
#include "apps/report/image_panels.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/run/csv.h"
#include "models/run/history.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

Html game_charts(const RunResult& run) {
  const History history = History::read(run.folder.history());
  const std::vector<double> steps = history.column("step");
  const auto series = [&](const char* name, const char* column, int colour) {
    Series line{name, {}, colour};
    const std::vector<double> values = history.column(column);
    for (size_t i = 0; i < steps.size(); ++i) line.points.emplace_back(steps[i], values[i]);
    return line;
  };
  return beside(
      line_chart({.title = "Losses of the two networks",
                  .x = {.title = "generator steps"},
                  .y = {.title = "binary cross-entropy (nats)", .kind = ScaleKind::logarithmic}},
                 {series("discriminator", "loss_d", 1), series("generator", "loss_g", 0)}) +
      line_chart({.title = "What the discriminator believes",
                  .x = {.title = "generator steps"},
                  .y = {.title = "probability of being real", .high = 1}},
                 {series("real images, D(x)", "d_real", 1),
                  series("generated ones, D(G(z))", "d_fake", 0)}));
}

/// The last grid of samples that the training wrote.
fs::path last_grid(const RunResult& run) {
  fs::path last;
  if (fs::exists(run.folder.figures()))
    for (const auto& entry : fs::directory_iterator(run.folder.figures()))
      if (entry.path().filename().string().rfind("step_", 0) == 0)
        last = std::max(last, entry.path());
  return last;
}

/// "250" of step_000250.png.
std::string steps_of(const fs::path& grid) {
  const std::optional<double> steps =
      grid.empty() ? std::nullopt : parse_number(grid.stem().string().substr(5));
  return steps ? fmt::format("{:.0f}", *steps) : "";
}

/// Generated images beside real ones, as figure 6 of arXiv:2107.09204.
Html sheets(const RunResult& run) {
  const fs::path grid = last_grid(run), figures = run.folder.figures();
  return markup(
      "<div class=\"sheets\">\n{}{}{}</div>\n",
      captioned_image(grid, "Generated, after " + steps_of(grid) + " generator steps"),
      captioned_image(figures / "real.png", "Real: training images as the network sees them"),
      captioned_image(figures / "nearest.png",
                      "Generated above, below each the training image nearest to it"));
}

Html memorisation_table(const GeneratorMetrics& m) {
  Table table({"images", "number", "min", "median", "max"});
  const auto add = [&](const char* name, const GeneratorMetrics::Distances& d) {
    table.row({name, std::to_string(d.images), decimal(d.min, 3), decimal(d.median, 3),
               decimal(d.max, 3)});
  };
  add("generated", m.generated);
  add("good, held out of training", m.held_out);
  add("training, to the nearest other one", m.training);
  return table.html();
}

void add_generator(Page& page, const ClassFindings& c, size_t i) {
  const RunResult& run = *c.generators[i];
  const GeneratorMetrics& m = *run.generator();
  page.subsection(
      fmt::format("gan-{}{}", c.id, c.generators.size() > 1 ? fmt::format("-{}", i + 1) : ""),
      markup("{}, {}, seed {}{}", c.name, model_name(run.config.model, run.config.preset),
             run.config.seed, synthetic_tag(c.synthetic)),
      c.name);
  std::string diagnostics;
  for (const std::string& sentence : m.diagnostics) diagnostics += sentence + " ";
  page.add(paragraph(diagnostics));
  page.add(sheets(run));
  page.add(game_charts(run));
  page.add("<h4>Does it copy training images?</h4>\n"_html);
  page.add(memorisation_table(m));
}

}  // namespace

void add_generators(Page& page, const Findings& findings) {
  if (std::all_of(findings.classes.begin(), findings.classes.end(),
                  [](const ClassFindings& c) { return c.generators.empty(); }))
    return;
  page.section("generators", "Generated images");
  page.add(paragraph(
      "A generator makes images and detects nothing, so it has no part in the answer above. "
      "Does it copy training images? The tables give the distance of each image to the nearest "
      "training image: root mean squared difference of the pixels, from 0 (equal) to 1 (black "
      "and white). Copies are closer to training images than these are to each other. A shifted "
      "copy is not found by this distance.",
      "soft"));
  for (const ClassFindings& c : findings.classes)
    for (size_t i = 0; i < c.generators.size(); ++i) add_generator(page, c, i);
}

}  // namespace assay
