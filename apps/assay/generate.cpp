// assay generate RUN
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "apps/assay/cli.h"
#include "data/file.h"
#include "data/image_io.h"
#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

struct GenerateArguments {
  std::string run, out;
  int64_t count = 0;
  uint64_t seed = 0;
  bool other_seed = false, force = false;
  std::string precision;
  int threads = 0;
};

std::vector<std::string> generating_models() {
  std::vector<std::string> names = model_names();
  std::erase_if(names, [](const std::string& name) { return !find_model(name).generate; });
  return names;
}

int generate_verb(const GenerateArguments& arguments) {
  constexpr int64_t kMaxCount = 1'000'000;
  ASSAY_CHECK_AS(UsageError, arguments.count >= 1 && arguments.count <= kMaxCount,
                 "--count: {} is not from 1 to {}", arguments.count, kMaxCount);
  ASSAY_CHECK_AS(UsageError, !arguments.out.empty(), "--out: names no folder");
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  const RunContext context(arguments.threads, config.device,
                           arguments.precision.empty() ? config.precision : arguments.precision);
  const ModelSpec& model = find_model(config.model);
  ASSAY_CHECK_AS(UsageError, model.generate,
                 "{}: is a run of {}, which generates no images; train {}", folder.root().string(),
                 config.model, fmt::join(generating_models(), ", "));
  const uint64_t seed = arguments.other_seed ? arguments.seed : config.seed;
  const auto file = [&](int64_t i) {
    return std::filesystem::path(arguments.out) / fmt::format("{:06}.png", i);
  };
  if (!arguments.force)
    for (int64_t i = 0; i < arguments.count; ++i) check_is_new(file(i));
  model.generate(folder, seed, arguments.count, [&](int64_t i, const Image& image) {
    if (i == 0) make_folder(arguments.out);
    write_png(file(i), image);
  });
  std::printf("wrote %lld images to %s\n", static_cast<long long>(arguments.count),
              arguments.out.c_str());
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("generate", "images from a trained generator");
  auto arguments = std::make_shared<GenerateArguments>();
  verb->add_option("run", arguments->run,
                   fmt::format("the run folder of a model that generates: {}",
                               fmt::join(generating_models(), ", ")))
      ->required();
  verb->add_option("--count", arguments->count, "images")->required();
  verb->add_option("--out", arguments->out, "a folder for 000000.png and so on")->required();
  CLI::Option* seed =
      verb->add_option("--seed", arguments->seed, "seed of the images; by default the run's")
          ->check(whole_number());
  verb->add_flag("--force", arguments->force, "replace images that are in --out already");
  add_precision_option(*verb, arguments->precision);
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] {
    arguments->other_seed = seed->count() > 0;
    run = [=] { return generate_verb(*arguments); };
  });
}

}  // namespace assay
