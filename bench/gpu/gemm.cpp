// Matrix products against the fastest of cuBLASLt's algorithms: stage `suites`.
#include <fmt/core.h>

#include "bench/gpu/gemm_baseline.h"
#include "kernels/gemm/algorithm.h"
#include "kernels/pointwise/pointwise.h"

namespace assay::bench {
namespace {

/// Our operands in fp32 and, on bf16 tensors, copies of A, of B and of the place of C in bf16, each
/// at an offset that is a multiple of 256 bytes.
struct OurBuffers {
  Vectors fp32;
  int64_t b, c, set_size;  // in elements
  Scratch narrow;

  bf16* at(int set, int64_t offset) const { return narrow.as<bf16>() + set * set_size + offset; }
};

/// On bf16 tensors weights and their gradients are fp32: B, or C if A is transposed.
BufferedWork<OurBuffers> our_product(Bench& bench, const GemmShape& s, bool on_bf16) {
  BufferedWork<OurBuffers> work;
  work.make = [=, &bench](int sets) {
    Context& ctx = bench.ctx;
    const auto padded = [](int64_t n) { return (n + 127) / 128 * 128; };
    const int64_t A = int64_t{s.M} * s.K, B = int64_t{s.K} * s.N, C = int64_t{s.M} * s.N;
    const int64_t b = padded(A), c = b + padded(B), set_size = c + padded(C);
    const auto bytes = static_cast<size_t>(on_bf16 ? set_size * sets : 0) * sizeof(bf16);
    auto v = std::unique_ptr<OurBuffers>(
        new OurBuffers{Vectors(ctx, {A, B, C}, sets), b, c, set_size, Scratch(ctx, bytes)});
    for (int set = 0; on_bf16 && set < sets; ++set) {
      assay::convert(ctx, A, v->fp32.at(set, 0), v->at(set, 0));
      assay::convert(ctx, B, v->fp32.at(set, 1), v->at(set, b));
    }
    return v;
  };
  work.run = [=, &bench](const OurBuffers& v, int set) {
    Context& ctx = bench.ctx;
    const Weights<float> weights(v.fp32.at(set, 1), 0);
    if (!on_bf16)
      gemm<float>(ctx, s, {}, v.fp32.at(set, 0), weights, nullptr, v.fp32.at(set, 2));
    else if (s.transpose_a)
      gemm_wgrad<bf16>(ctx, s, v.at(set, 0), v.at(set, v.b), v.fp32.at(set, 2));
    else
      gemm<bf16>(ctx, s, {}, v.at(set, 0), weights, nullptr, v.at(set, v.c));
  };
  return work;
}

void compare_gemm(benchmark::State& state, Bench& bench, Row& row, const GemmShape& s,
                  Precision precision) {
  const auto size = static_cast<int64_t>(size_of(math_mode(precision).element));
  const int64_t a = int64_t{s.M} * s.K, b = int64_t{s.K} * s.N, c = int64_t{s.M} * s.N;
  row["mode"] = name_of(precision);
  row["flops"] = gemm_flops(s);
  row["bytes"] = size * (a + b) + 4 * c;
  bench.ctx.precision = precision;
  const bool on_bf16 = activation_type(bench.ctx) == DType::bf16;
  const GemmAlgorithm* row_of_bf16 = on_bf16 ? gemm_bf16_algorithm(bench.ctx, s) : nullptr;
  row["algorithm"] = row_of_bf16 != nullptr ? row_of_bf16->name
                                            : std::string(gemm_algorithm(bench.ctx, s).name) +
                                                  (on_bf16 ? " in fp32" : "");
  BufferedWork<OurBuffers> ours = our_product(bench, s, on_bf16);
  const auto mine = ours.prepare(bench, size * (a + b + c));
  mine.work(0);
  const OurBuffers& v = *ours.buffers;
  if (on_bf16 && !s.transpose_a) assay::convert(bench.ctx, c, v.at(0, v.c), v.fp32.at(0, 2));
  const double error = gemm_error(bench.ctx, s, v.fp32.at(0, 0), v.fp32.at(0, 1), v.fp32.at(0, 2));
  row["relative_error"] = error;
  ASSAY_CHECK(error <= max_gemm_error(precision), "ours is wrong: relative error {:g}", error);
  auto best = best_product(bench, row, s, 1, precision);
  if (!best) return bench.compare(state, row, mine, nullptr);
  const auto theirs = best->prepare(bench, 4 * (a + b + c));
  bench.compare(state, row, mine, &theirs);
}

std::vector<Cell> cells(const Settings& settings) {
  const int N = settings.batch;
  std::vector<std::pair<std::string, GemmShape>> products = {
      {"cnn.fc1-fprop", {N, 512, 576, false, true}},
      {"cnn.fc1-dgrad", {N, 576, 512}},
      {"cnn.fc1-wgrad", {512, 576, N, true, false}},
      {"nicae.fc1-fprop", {N, 512, 256, false, true}},
      {"nicae.fc1-wgrad", {512, 256, N, true, false}}};
  if (real_device())
    for (const int n : {512, 1024, 2048, 4096, 8192})
      products.push_back({fmt::format("square-{}", n), {n, n, n}});
  std::vector<Cell> all;
  for (const auto& [name, s] : products)
    for (const Precision p : kModes)
      all.push_back({fmt::format("gemm/{}/product/{}", name, name_of(p)),
                     [s = s, p](benchmark::State& state, Bench& bench, Row& row) {
                       compare_gemm(state, bench, row, s, p);
                     }});
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
