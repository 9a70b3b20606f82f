#include <algorithm>

#include "apps/report/charts.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "apps/suite/step_profile.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"
#include "tensor/tensor.h"

namespace assay {
namespace {

std::string share_text(const std::optional<double>& share) {
  return share ? decimal(100 * *share, 0) + " %" : kNone;
}

std::string rate_text(int64_t work, double seconds) {
  return work > 0 ? decimal(static_cast<double>(work) / seconds * 1e-9, 1) : kNone;
}

/// A registered model's name and colour; a profile may be of a program with others.
std::string name_of(const StepProfile& step) {
  return model_name(step.model, step.preset);
}
int colour_of_step(const StepProfile& step) {
  const std::vector<std::string> known = model_names();
  return std::find(known.begin(), known.end(), step.model) == known.end() ? 3
                                                                          : colour_of(step.model);
}

Html operations_table(const StepProfile& step, const std::optional<Peaks>& peaks) {
  Table table({"operation", "output (N,H,W,C)", "ms", "share of the step", "GFLOP/s", "GB/s",
               "of the roofline", "algorithm"},
              2);
  for (const OpTime& op : step.ops)
    table.row({op.op + (op.backward ? " backward" : ""),
               op.output.empty() ? kNone : to_string(op.output), decimal(op.seconds * 1e3, 2),
               decimal(100 * op.seconds / step.seconds(), 1) + " %",
               rate_text(op.flops, op.seconds), rate_text(op.bytes, op.seconds),
               peaks && op.flops > 0 ? share_text(op.roofline_share(*peaks)) : kNone,
               op.algorithm.empty() ? kNone : op.algorithm});
  return table.html();
}

Html roofline(const MachineProfile& profile) {
  if (!profile.peaks) return {};
  std::vector<std::string> names;
  std::vector<int> colours;
  std::vector<RooflinePoint> points;
  for (const StepProfile& step : profile.steps) {
    const int series = static_cast<int>(names.size());
    names.push_back(name_of(step));
    colours.push_back(colour_of_step(step));
    for (const OpTime& op : step.ops)
      if (op.flops > 0 && op.bytes > 0)
        points.push_back({static_cast<double>(op.flops) / static_cast<double>(op.bytes),
                          static_cast<double>(op.flops) / op.seconds, series});
  }
  return beside(roofline_chart("Roofline: one dot an operation", profile.peaks->fma_flops,
                               profile.peaks->copy_bytes, names, colours, points));
}

}  // namespace

void add_speed(Page& page, const std::filesystem::path& root) {
  const std::optional<MachineProfile> profile = read_profile(root / "profile.json");
  if (!profile || profile->steps.empty()) return;
  page.section("speed", "Speed");
  page.add(paragraph(fmt::format("Training steps on {}.", profile->machine)));
  Table table({"model", "pixels", "batch", "ms a step", "images a second",
               "time in layers with weights", "these, of their roofline"});
  for (const StepProfile& step : profile->steps)
    table.row({name_of(step), std::to_string(step.image_size), std::to_string(step.batch),
               decimal(step.seconds() * 1e3, 1),
               decimal(static_cast<double>(step.batch) / step.seconds(), 0),
               share_text(step.share_of_layers()),
               profile->peaks ? share_text(step.roofline_share(*profile->peaks)) : kNone});
  page.add(table.html());
  page.add(roofline(*profile));
  page.add(paragraph(
      "Each time is the least of a few steps. GFLOP/s count the operations of the formula, "
      "whatever "
      "the algorithm saves, GB/s the least bytes that must move. The roof is what this machine "
      "reached in the same minute with multiply-adds in registers and with copying memory. A dot "
      "above it did less work than the formula (Winograd) or found its data in a cache.",
      "soft"));
  for (const StepProfile& step : profile->steps)
    page.add(folded(fmt::format("{}: every operation", name_of(step)),
                    operations_table(step, profile->peaks)));
}

}  // namespace assay
