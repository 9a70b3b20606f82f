#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"
#include "models/run/reader.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

/// The layers of each network that was trained.
void add_networks(Page& page, const Findings& findings) {
  page.section("networks", "Networks");
  std::set<std::tuple<std::string, int, int>> shown;
  for (const RunResult& run : findings.runs) {
    const RunConfig& c = run.config;
    if (!find_preset(c.preset).make) continue;
    if (!shown.insert({c.preset, c.image_size, c.channels()}).second) continue;
    const auto network = make_network(c);
    Table table({"layer", "what", "output (N,H,W,C)", "parameters", "MFLOP"}, 3);
    double flops = 0;
    for (const LayerRow& row : network->table(1)) {
      table.row({row.name, row.what, to_string(row.output), std::to_string(row.parameters),
                 decimal(static_cast<double>(row.flops) / 1e6, 2)});
      flops += static_cast<double>(row.flops);
    }
    page.subsection(fmt::format("network-{}", shown.size()),
                    fmt::format("{}, {}\u2009\u00d7\u2009{}{}", model_name(c.model, c.preset),
                                c.image_size, c.image_size, c.grey ? ", grey" : ", colour"),
                    model_name(c.model, c.preset));
    page.add(folded("Layers", table.html()));
    page.add(paragraph(
        fmt::format("{} parameters; {} GFLOP forward for an image (a multiply-add counts as two).",
                    network->parameter_count(), decimal(flops / 1e9, 3)),
        "soft"));
  }
}

/// "AMD EPYC, avx512, 2 threads".
std::string machine_of(const RunResult& run) {
  if (!is_there(run.folder.machine())) return "not noted";
  try {
    const Json json = read_run_json(run.folder.machine());
    const JsonReader m(json, run.folder.machine().string());
    return fmt::format("{}, {}, {}", m.text("cpu"), m.text("instruction_set"),
                       counted(m.count("threads"), "thread"));
  } catch (const CheckpointError& damage) {
    return std::string("not known: ") + damage.what();
  }
}

std::string range_of(std::vector<int64_t> values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  return *min == *max ? std::to_string(*min) : fmt::format("{} to {}", *min, *max);
}

/// One row for all runs of a class, model, noise, machine and precision.
void add_times(Page& page, const Findings& findings) {
  page.subsection("times", "What ran where and for how long", "Where and how long");
  struct Row {
    std::string object_class, name, machine;
    std::vector<const RunResult*> runs;
  };
  std::vector<Row> rows;
  std::map<std::string, std::pair<double, int64_t>> machines;  // seconds and runs
  for (const RunResult& run : findings.runs) {
    const RunConfig& c = run.config;
    const std::string machine = fmt::format("{}, {}, {}", machine_of(run), c.device, c.precision);
    std::string name = model_name(c.model, c.preset);
    if (c.untrained) name += ", untrained";
    if (c.train_noise != "clean" || c.test_noise != "clean")
      name += fmt::format(", {}/{}", c.train_noise, c.test_noise);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) {
      return r.object_class == c.object_class && r.name == name && r.machine == machine;
    });
    if (row == rows.end()) row = rows.insert(row, {c.object_class, name, machine, {}});
    row->runs.push_back(&run);
    machines[machine].first += run.common().seconds_train;
    ++machines[machine].second;
  }
  std::vector<std::string> titles = {"model",   "seeds", "steps", "epochs", "training of a run",
                                     "all runs"};
  const bool several = machines.size() > 1;
  if (several) titles.insert(titles.begin() + 1, "machine");
  Table table(titles, several ? 2 : 1);
  std::string object_class;
  for (const Row& row : rows) {
    if (table.empty() || row.object_class != object_class) table.group(row.object_class);
    object_class = row.object_class;
    double seconds = 0;
    std::vector<int64_t> steps, epochs;
    for (const RunResult* run : row.runs) {
      seconds += run->common().seconds_train;
      steps.push_back(run->common().steps);
      epochs.push_back(run->common().epochs);
    }
    std::vector<Html> cells = {row.name,
                               std::to_string(row.runs.size()),
                               range_of(steps),
                               range_of(epochs),
                               duration_text(seconds / static_cast<double>(row.runs.size())),
                               duration_text(seconds)};
    if (several)
      cells.insert(cells.begin() + 1, markup("<span class=\"wrap\">{}</span>", row.machine));
    table.row(cells);
  }
  page.add(table.html());
  std::vector<std::string> lines;
  for (const auto& [machine, sum] : machines)
    lines.push_back(fmt::format("{} with {} of training on {}", counted(sum.second, "run"),
                                duration_text(sum.first), machine));
  page.add(
      paragraph(fmt::format("Together: {}. Reading images and evaluation are not in these times.",
                            enumerated(lines)),
                "soft"));
}

void add_commands(Page& page, const Findings& findings) {
  page.subsection("commands", "The command of each run", "Commands");
  page.add(
      paragraph("Each gives the same result again; on the same machine and build, with any "
                "number of threads, to the bit.",
                "soft"));
  Html commands;
  for (const RunResult& run : findings.runs) commands += markup("<code>{}</code>\n", run.command);
  page.add(markup("<div class=\"commands\">\n{}</div>\n", commands));
}

}  // namespace

void add_runs(Page& page, const Findings& findings) {
  add_networks(page, findings);
  page.section("runs", "Runs");
  add_times(page, findings);
  add_commands(page, findings);
}

}  // namespace assay
