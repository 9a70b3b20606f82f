// assay describe MODEL
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <utility>

#include "apps/assay/cli.h"
#include "kernels/conv2d/algorithm.h"
#include "models/experiments/registry.h"
#include "models/networks/network.h"

namespace assay {
namespace {

struct DescribeArguments {
  std::string model, preset;
  int batch = 1, image_size = 0;
  bool grey = false, algorithms = false;
  std::string device = "cpu", precision = "fp32", algorithm = "automatic";
};

void print_layers(const std::vector<LayerRow>& rows, int64_t parameters) {
  std::printf("%-14s %-34s %-22s %12s %10s %10s\n", "layer", "what", "output", "parameters",
              "MFLOP", "min MB");
  int64_t flops = 0, bytes = 0, activations = 0;
  for (const LayerRow& row : rows) {
    std::printf("%-14s %-34s %-22s %12lld %10.2f %10.2f\n", row.name.c_str(), row.what.c_str(),
                to_string(row.output).c_str(), static_cast<long long>(row.parameters),
                static_cast<double>(row.flops) / 1e6, static_cast<double>(row.min_bytes) / 1e6);
    flops += row.flops;
    bytes += row.min_bytes;
    activations += numel(row.output);
  }
  // Weights, their gradients and two moments of Adam; each layer's output and its gradient.
  const double step_bytes = 4.0 * static_cast<double>(4 * parameters + 2 * activations);
  std::printf(
      "\n%lld parameters, %.3f GFLOP forward, about %.3f GFLOP a training step; forward moves "
      "at least %.1f MB; a training step holds about %.1f MB\n",
      static_cast<long long>(parameters), static_cast<double>(flops) / 1e9,
      3 * static_cast<double>(flops) / 1e9, static_cast<double>(bytes) / 1e6, step_bytes / 1e6);
}

// ---- Which kernels run ----

/// A context for the dispatch of kernels. Nothing runs, so the device need not exist.
Context context_of(const DescribeArguments& arguments) {
  ASSAY_CHECK_AS(UsageError, arguments.device == "cpu" || arguments.device == "cuda",
                 "--device: '{}' is neither cpu nor cuda", arguments.device);
  ASSAY_CHECK_AS(DeviceError, arguments.device == "cpu" || built_with_cuda(),
                 "--device cuda: this build has no CUDA kernels; configure with the preset cuda or "
                 "emulated");
  Context ctx;
  ctx.device = {arguments.device == "cuda" ? DeviceType::cuda : DeviceType::cpu};
  ctx.precision = precision_from_name(arguments.precision.c_str());
  ctx.algorithm = conv2d_algorithm_from_name(ctx.device, arguments.algorithm);
  return ctx;
}

/// Texts about the printed algorithms by name, for the list at the end.
using Explanations = std::map<std::string, std::string>;

void print_choice(const char* pass, const char* name, const char* file) {
  std::printf("  %-6s %-20s %s\n", pass, name, file);
}

void print_conversion() {
  std::printf("         in fp32, between conversions from and to bf16\n");
}

void print_conv_pass(const Context& ctx, const ConvCall& call, const char* name, ConvPass pass,
                     Explanations& explanations) {
  const DType type = activation_type(ctx);
  const Conv2dChoice choice = conv2d_algorithm(ctx, pass, call.shape, call.epilogue, type);
  const std::string title =
      choice.gemm != nullptr ? fmt::format("gemm {}", choice.gemm->name) : choice.name();
  print_choice(name, title.c_str(), choice.file(pass));
  if (choice.lowering != Lowering::none)
    std::printf("         %s (kernels/conv2d/lowering.cpp)\n", reason_of(choice.lowering));
  if (choice.converts(type)) print_conversion();
  explanations[title] =
      choice.gemm != nullptr ? choice.gemm->covers_text : choice.conv->covers_text;
  for (const Conv2dAlgorithm& row : conv2d_algorithms(ctx.device)) {
    if (&row == choice.conv) break;
    // Rows of the requested algorithm; all rows under automatic. A lowering comes before the fp32
    // rows, but not before those for bf16.
    if (ctx.algorithm != Algorithm::automatic && row.algo != ctx.algorithm) continue;
    if (row.is_bf16() ? type != DType::bf16 : choice.gemm != nullptr || !row.has(pass)) continue;
    const Coverage coverage = row.is_bf16() ? row.covers(ctx, pass, call.shape, call.epilogue)
                                            : row.covers(ctx, pass, choice.shape, choice.epilogue);
    std::printf("         not %s: %s\n", row.name, coverage.reason);
  }
}

void print_dense(const LayerRow& row, const Context& ctx, Explanations& explanations) {
  const auto N = static_cast<int>(row.output[0]), O = static_cast<int>(row.output[1]);
  const auto I = static_cast<int>(row.flops / (int64_t{2} * N * O));
  const std::pair<const char*, GemmShape> passes[] = {
      {"fprop", {.M = N, .N = O, .K = I, .transpose_b = true}},
      {"dgrad", {.M = N, .N = I, .K = O}},
      {"wgrad", {.M = O, .N = I, .K = N, .transpose_a = true}}};
  const bool narrow = activation_type(ctx) == DType::bf16;
  for (const auto& [name, shape] : passes) {
    const GemmAlgorithm* tiles = narrow ? gemm_bf16_algorithm(ctx, shape) : nullptr;
    const GemmAlgorithm& gemm = tiles != nullptr ? *tiles : gemm_algorithm(ctx, shape);
    const std::string title =
        narrow && tiles == nullptr ? "gemm" : fmt::format("gemm {}", gemm.name);
    print_choice(name, title.c_str(), gemm.file);
    explanations[title] = gemm.covers_text;
    if (!narrow || tiles != nullptr) continue;
    print_conversion();
    for (const GemmAlgorithm& other : gemm_algorithms(ctx.device))
      if (other.is_bf16())
        std::printf("         not %s: %s\n", other.name, other.bf16_covers(ctx, shape).reason);
  }
}

/// Prints for each layer and pass the algorithm, its file, and why the algorithms above it in the
/// table do not run. The input gradient of the first layer is listed, though no training needs it.
void print_algorithms(const std::vector<LayerRow>& rows, const Context& ctx) {
  Explanations explanations;
  for (const LayerRow& row : rows) {
    if (!row.conv && !row.is_dense) continue;
    std::printf("%s: %s\n", row.name.c_str(), row.what.c_str());
    if (row.is_dense) {
      print_dense(row, ctx, explanations);
      continue;
    }
    const bool transposed = row.conv->transposed;
    const auto print = [&](const char* name, ConvPass pass) {
      print_conv_pass(ctx, *row.conv, name, pass, explanations);
    };
    // A transposed convolution's output is the convolution's dgrad, and the reverse.
    print("fprop", transposed ? ConvPass::dgrad : ConvPass::fprop);
    print("dgrad", transposed ? ConvPass::fprop : ConvPass::dgrad);
    print("wgrad", ConvPass::wgrad);
  }
  std::printf("\n");
  for (const auto& [name, text] : explanations)
    std::printf("%s\n  %s\n", name.c_str(), text.c_str());
}

int describe_verb(const DescribeArguments& arguments) {
  ASSAY_CHECK_AS(UsageError, arguments.batch >= 1, "--batch: {} is less than 1", arguments.batch);
  const std::string preset = arguments.preset.empty()
                                 ? find_model(arguments.model).presets.front().name
                                 : arguments.preset;
  const std::string model = model_of_preset(preset).name;
  ASSAY_CHECK_AS(UsageError, model == arguments.model, "--preset: '{}' is one of {}, not of {}",
                 preset, model, arguments.model);
  const auto network = make_network(preset, arguments.image_size, arguments.grey ? 1 : 0);
  const std::vector<LayerRow> rows = network->table(arguments.batch);
  if (arguments.algorithms) {
    const Context ctx = context_of(arguments);
    std::printf(
        "%s, batch of %d, %s, %s, algorithm %s\n\n", preset.c_str(), arguments.batch,
        ctx.device.is_cuda() ? "cuda" : fmt::format("cpu ({})", name_of(active_isa())).c_str(),
        name_of(ctx.precision), name_of(ctx.algorithm));
    print_algorithms(rows, ctx);
    return 0;
  }
  std::printf("%s, batch of %d\n\n", preset.c_str(), arguments.batch);
  print_layers(rows, network->parameter_count());
  return 0;
}

}  // namespace

void add_describe(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("describe", "the layers of a model: shapes, FLOPs, bytes");
  auto arguments = std::make_shared<DescribeArguments>();
  verb->add_option("model", arguments->model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->required();
  add_preset_option(*verb, arguments->preset);
  verb->add_option("--batch", arguments->batch, "images")->capture_default_str();
  verb->add_option("--image-size", arguments->image_size, "pixels a side");
  verb->add_flag("--grey", arguments->grey, "one channel");
  CLI::Option* algorithms =
      verb->add_flag("--algorithms", arguments->algorithms,
                     "which kernel runs for each layer and pass, in which file, and why");
  verb->add_option("--device", arguments->device, "device of --algorithms: cpu | cuda")
      ->capture_default_str()
      ->needs(algorithms);
  verb->add_option("--precision", arguments->precision,
                   "precision of --algorithms: fp32 | fp32-strict | bf16; on cuda also tf32x3 | "
                   "tf32")
      ->capture_default_str()
      ->needs(algorithms);
  verb->add_option("--algorithm", arguments->algorithm,
                   "show --algorithms as if this one were requested; on the cpu naive | blocked | "
                   "fused | winograd | tiles")
      ->capture_default_str()
      ->needs(algorithms);
  verb->callback([=, &run] { run = [=] { return describe_verb(*arguments); }; });
}

}  // namespace assay
