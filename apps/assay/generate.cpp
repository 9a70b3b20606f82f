// assay generate RUN
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/assay/cli.h"
#include "data/file.h"
#include "data/image_io.h"
#include "kernels/runtime/error.h"
#include "models/experiments/gan_run.h"

namespace assay {
namespace {

struct GenerateArguments {
  std::string run, out;
  int64_t count = 0;
  uint64_t seed = 0;
  bool other_seed = false, force = false;
  int threads = 0;
};

int generate_verb(const GenerateArguments& arguments) {
  constexpr int64_t kMost = 1'000'000;
  ASSAY_CHECK_AS(UsageError, arguments.count >= 1 && arguments.count <= kMost,
                 "--count: {} is not from 1 to {}", arguments.count, kMost);
  ASSAY_CHECK_AS(UsageError, !arguments.out.empty(), "--out: names no folder");
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  const RunContext context(arguments.threads, config.device, config.precision);
  const auto gan = load_dcgan(folder);
  const uint64_t seed = arguments.other_seed ? arguments.seed : config.seed;
  const Tensor z = draw_latents(seed, 0, arguments.count);

  const auto file = [&](int64_t i) {
    return std::filesystem::path(arguments.out) / fmt::format("{:06}.png", i);
  };
  if (!arguments.force)
    for (int64_t i = 0; i < arguments.count; ++i) check_is_new(file(i));
  make_folder(arguments.out);
  constexpr int64_t kChunk = 256;  // bounds the memory of any count
  for (int64_t begin = 0; begin < arguments.count; begin += kChunk) {
    const int64_t n = std::min(kChunk, arguments.count - begin);
    const std::vector<Image> images = generate_images(*gan, z.rows(begin, n));
    for (int64_t i = 0; i < n; ++i) write_png(file(begin + i), images[i]);
  }
  std::printf("wrote %lld pictures to %s\n", static_cast<long long>(arguments.count),
              arguments.out.c_str());
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("generate", "pictures from a trained DCGAN");
  auto arguments = std::make_shared<GenerateArguments>();
  verb->add_option("run", arguments->run, "the run folder of a dcgan")->required();
  verb->add_option("--count", arguments->count, "pictures")->required();
  verb->add_option("--out", arguments->out, "a folder for 000000.png and so on")->required();
  CLI::Option* seed =
      verb->add_option("--seed", arguments->seed, "of the pictures; the run's own unless given")
          ->check(whole_number());
  verb->add_flag("--force", arguments->force, "replace pictures that are in --out already");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] {
    arguments->other_seed = seed->count() > 0;
    run = [=] { return generate_verb(*arguments); };
  });
}

}  // namespace assay
