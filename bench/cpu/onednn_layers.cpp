// Every convolution of our models against oneDNN's faster kernel, direct or Winograd, in turns.
//
//   bench_onednn [--batch N] [--rounds N] [--threads N] [--filter SUBSTRING] > layers.jsonl
//
// oneDNN's threads are OpenMP's: set OMP_NUM_THREADS to the same number. One JSON object a line.
// Our time includes activation, pool and upsampling; oneDNN's is that of the convolution alone, in
// the layouts that it prefers.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/baselines/onednn.h"
#include "bench/cpu/turns.h"
#include "bench/model_layers.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/peaks.h"

namespace assay::bench {
namespace {

struct Options {
  int batch = 32, rounds = 7, threads = available_threads();
  std::string filter;
};

bool compare(Context& ctx, const Peaks& peaks, const Options& options, const Layer& layer,
             Pass pass) {
  const double error = verify(ctx, layer, pass);
  if (!(error < kMaxError<>)) {
    std::fprintf(stderr, "%s: wrong result, relative error %g\n", layer.name.c_str(), error);
    return false;
  }
  std::vector<OnednnKernel> kernels = onednn_kernels(layer, pass);
  if (kernels.empty()) return true;
  Operands o(layer.shape, layer.epilogue);
  o.run(ctx, Pass::fprop);
  std::vector<double> first;
  for (const OnednnKernel& k : kernels) first.push_back(time_of(k.run));
  const auto fastest = std::min_element(first.begin(), first.end()) - first.begin();
  const OnednnKernel baseline = kernels[static_cast<size_t>(fastest)];
  kernels.clear();  // frees the memory of the slower kernel
  std::vector<double> ours, theirs;
  for (int i = 0; i < options.rounds; ++i) {
    ours.push_back(time_of([&] { o.run(ctx, pass); }));
    theirs.push_back(time_of(baseline.run));
  }
  const auto flops = static_cast<double>(conv2d_flops(layer.shape));
  const auto bytes = static_cast<double>(conv2d_min_bytes(layer.shape, layer.epilogue));
  std::printf(
      "{\"layer\":\"%s\",\"pass\":\"%s\",\"batch\":%d,\"ours_ms\":%s,\"baseline_ms\":%s,"
      "\"baseline_kernel\":\"%s\",\"flops\":%.0f,\"bytes\":%.0f,\"fma_flops\":%.4g,"
      "\"copy_bytes\":%.4g,\"isa\":\"%s\",\"onednn\":\"%s\"}\n",
      layer.name.c_str(), name_of(pass), options.batch, list_of(ours).c_str(),
      list_of(theirs).c_str(), baseline.name.c_str(), flops, bytes, peaks.fma_flops,
      peaks.copy_bytes, name_of(active_isa()), onednn_version().c_str());
  std::fflush(stdout);
  return true;
}

int run(const Options& options) {
  CpuContext ctx(options.threads);
  const Peaks peaks = measure_peaks(ctx);
  bool right = true;
  for (const Layer& layer : model_layers(options.batch))
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
      const std::string name = layer.name + "/" + name_of(pass);
      if (is_used(layer, pass) && name.find(options.filter) != std::string::npos)
        right = compare(ctx, peaks, options, layer, pass) && right;
    }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  assay::bench::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--batch")
      options.batch = std::max(1, std::atoi(value.c_str()));
    else if (name == "--rounds")
      options.rounds = std::max(1, std::atoi(value.c_str()));
    else if (name == "--threads")
      options.threads = std::max(1, std::atoi(value.c_str()));
    else if (name == "--filter")
      options.filter = value;
    else {
      std::fprintf(
          stderr,
          "usage: bench_onednn [--batch N] [--rounds N] [--threads N] [--filter SUBSTRING]\n");
      return 2;
    }
  }
  return assay::bench::run(options);
}
