// Bare convolutions, ours against the best plan of cuDNN: stages `models` and `suites`. The
// contract is the library's: no bias, no pooling, no upsampling; gpu_blocks compares those.
#include <fmt/core.h>

#include "bench/gpu/conv_operands.h"
#include "bench/model_layers.h"

namespace assay::bench {
namespace {

/// Work and traffic of a bare convolution: each operand once, in the tensors of the mode.
void describe_work(Row& row, const Conv2dShape& s, Precision precision) {
  row["flops"] = conv2d_flops(s);
  row["bytes"] = ConvSets::bytes(s, math_mode(precision).element);
  row["mode"] = name_of(precision);
}

template <class T>
void run_on(Context& ctx, const Conv2dShape& s, Pass pass, const ConvPointers& p) {
  const auto t = [](void* q) { return static_cast<T*>(q); };
  // Version 0: the weights are packed in each call, as in training, and that time counts.
  const Weights<float> w(static_cast<float*>(p.w), 0);
  const Conv2dGrad<T> g{t(p.y)};
  if (pass == Pass::fprop)
    conv2d_fprop<T>(ctx, s, {}, t(p.x), w, nullptr, t(p.y), nullptr);
  else if (pass == Pass::dgrad)
    conv2d_dgrad<T>(ctx, s, {}, g, w, t(p.x));
  else
    conv2d_wgrad<T>(ctx, s, {}, t(p.x), g, static_cast<float*>(p.w), nullptr);
}
/// On tensors of the precision's activations, beside fp32 weights.
void run_ours(Context& ctx, const Conv2dShape& s, Pass pass, const ConvPointers& p) {
  if (activation_type(ctx) == DType::bf16)
    run_on<bf16>(ctx, s, pass, p);
  else
    run_on<float>(ctx, s, pass, p);
}

void measure(benchmark::State& state, Bench& bench, Row& row, ConvSource& source, Pass pass,
             Precision precision) {
  const Conv2dShape& s = source.shape();
  describe_work(row, s, precision);
  bench.ctx.precision = precision;
  row["algorithm"] = algorithm_name(bench.ctx, pass, s, {});
  const double gate = max_error(precision);
  const Element element = math_mode(precision).element;
  const auto our_sets = [&](int n) {
    return ConvSets(bench.ctx, source, pass, element, Element::f32, Layout::nhwc, n);
  };

  // Ours on one set: verify, and choose the number of launches of a sample.
  Bench::Side ours;
  {
    ConvSets one = our_sets(1);
    run_ours(bench.ctx, s, pass, one[0]);
    const double error = one.check(source.sample(pass));
    row["relative_error"] = error;
    ASSAY_CHECK(error <= gate, "ours is wrong: relative error {:g}, allowed {:g}", error, gate);
    ours.launches = bench.timer.launches_for([&](int) { run_ours(bench.ctx, s, pass, one[0]); });
  }
  ours.cold_launches = cold_launches(ours.launches, ConvSets::bytes(s, element));
  const ConvSets sets = our_sets(ours.cold_launches);
  ours.work = [&](int set) { run_ours(bench.ctx, s, pass, sets[set]); };

  const MathMode mode = math_mode(precision);
  const ConvRequest request{s, pass, mode};
  row["key"] = key_of(request);
  // A library that is compared in the fp32 class must be as accurate as fp32.
  const auto best = best_plan(bench, row["key"], request, source, gate);
  describe(row, bench, best);
  if (!best) return bench.compare(state, row, ours, nullptr);
  Bench::Side theirs;
  const auto make_sets = [&](int n) {
    return std::make_unique<ConvSets>(bench.ctx, source, pass, mode.element, best->layout, n);
  };
  std::unique_ptr<ConvSets> their_sets = make_sets(1);
  theirs.work = [&](int set) { best->plan.run((*their_sets)[set], best->workspace->as<void>()); };
  theirs.launches = bench.timer.launches_for(theirs.work);
  theirs.cold_launches = cold_launches(theirs.launches, ConvSets::bytes(s, mode.element));
  their_sets = make_sets(theirs.cold_launches);
  bench.compare(state, row, ours, &theirs);
}

/// The source of the layer at hand; one at a time, because some take gigabytes.
ConvSource& source_of(Bench& bench, const Conv2dShape& s) {
  auto* source = static_cast<ConvSource*>(bench.operands.get());
  if (source == nullptr || !(source->shape() == s)) {
    bench.operands.reset();
    bench.operands = std::make_shared<ConvSource>(bench, s);
  }
  return *static_cast<ConvSource*>(bench.operands.get());
}

std::vector<Cell> cells(const Settings& settings) {
  std::vector<Cell> all;
  for (const Layer& layer : all_layers(settings.batch))
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
      // A transposed convolution's forward is dgrad, so its first layer lacks fprop instead.
      if (layer.first && pass == (layer.transposed ? Pass::fprop : Pass::dgrad)) continue;
      for (const Precision precision : kModes) {
        const Conv2dShape s = bare(layer.shape);
        all.push_back(
            {fmt::format("{}/{}/{}/{}", layer.suite, layer.name, name_of(pass), name_of(precision)),
             [=, count = layer.count](benchmark::State& state, Bench& bench, Row& row) {
               row["count"] = count;
               measure(state, bench, row, source_of(bench, s), pass, precision);
             }});
      }
    }
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
