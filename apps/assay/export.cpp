// assay export RUN --onnx FILE
#include <fmt/format.h>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

struct ExportArguments {
  std::string run, onnx;
  bool force = false;
};

int export_verb(const ExportArguments& arguments) {
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  const RunContext context(1, "cpu", RunConfig().precision);
  const ModelSpec& model = find_model(config.model);
  ASSAY_CHECK_AS(UsageError, model.export_networks,
                 "{}: is a run of {}, which has no network to export", folder.root().string(),
                 config.model);
  ASSAY_CHECK_AS(UsageError, !arguments.onnx.empty(), "--onnx: names no file");
  if (!arguments.force) check_is_new(arguments.onnx);
  write_onnx(model.export_networks(folder), arguments.onnx);
  fmt::print("wrote {}\n", arguments.onnx);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("export", "write a trained network for other programs");
  auto arguments = std::make_shared<ExportArguments>();
  verb->add_option("run", arguments->run, "a run folder")->required();
  verb->add_option("--onnx", arguments->onnx,
                   "an ONNX file: input (batch,C,H,W) in [0,1], weights inside, threshold and "
                   "calibration in its metadata")
      ->required();
  verb->add_flag("--force", arguments->force, "replace the file if it is there already");
  verb->callback([=, &run] { run = [=] { return export_verb(*arguments); }; });
}

}  // namespace assay
