// Whole layers, ours fused into one or two kernels against the best sequence of cuDNN's: stage
// `blocks`. forward: upsampling, convolution, bias, activation, max-pool. backward: from the
// gradient at the output to those of x (but for a network's first layer), w and bias.
#include <fmt/core.h>

#include "bench/gpu/conv_operands.h"
#include "bench/model_layers.h"
#include "kernels/random/random.h"

namespace assay::bench {
namespace {

// Tensors of a block. If a step is missing, its result is the tensor before it and its own tensor
// is empty: without upsampling kXUp is kX, without pooling kY is kZ, and so on.
enum : size_t { kX, kXUp, kW, kBias, kZ, kY, kDy, kDa, kDz, kDxUp, kDx, kDw, kDbias, kTensors };

struct Block {
  Conv2dShape s;
  Conv2dEpilogue e;
  bool first;

  bool upsamples() const { return s.upsample > 1; }
  bool pools() const { return e.pool > 1; }
  bool activates() const { return e.activation != Activation::none; }
  Extent output() const { return {s.N, s.P() / e.pool, s.Q() / e.pool, s.K}; }
  Extent before_pool() const { return {s.N, s.P(), s.Q(), s.K}; }
  Extent input() const { return {s.N, s.H, s.W, s.C}; }
  Extent upsampled() const { return {s.N, s.H * s.upsample, s.W * s.upsample, s.C}; }

  std::vector<Extent> extents() const {
    const Extent none{0, 0, 0, 0}, filter{s.K, s.R, s.S, s.C}, bias{1, 1, 1, s.K};
    const auto given = [&](bool there, Extent e_) { return there ? e_ : none; };
    return {input(),
            given(upsamples(), upsampled()),
            filter,
            bias,
            before_pool(),
            given(pools(), output()),
            output(),
            given(pools(), before_pool()),
            given(activates(), before_pool()),
            given(upsamples() && !first, upsampled()),
            given(!first, input()),
            filter,
            bias};
  }
  /// Element types of the tensors; w, bias and their gradients are `parameters`.
  static std::vector<Element> elements(Element activations, Element parameters) {
    std::vector<Element> all(kTensors, activations);
    for (const size_t part : {kW, kBias, kDw, kDbias}) all[part] = parameters;
    return all;
  }
  /// The index of the tensor that has the role `part`.
  size_t at(size_t part) const {
    if (part == kXUp && !upsamples()) return kX;
    if (part == kY && !pools()) return kZ;
    if (part == kDa && !pools()) return kDy;
    if (part == kDz && !activates()) return at(kDa);
    if (part == kDxUp && !upsamples()) return kDx;
    return part;
  }
};

/// Inputs in fp32 and reference values of the results.
class BlockSource {
 public:
  BlockSource(Bench& bench, const Block& block)
      : ctx_(bench.ctx), inputs_(bench.ctx, block.extents(), Element::f32, Layout::nhwc, 1) {
    host_.s = block.s;
    host_.e = block.e;
    const std::pair<size_t, std::vector<float>*> all[] = {
        {kX, &host_.x}, {kW, &host_.w}, {kBias, &host_.bias}, {kDy, &host_.dy}};
    for (const auto& [which, host] : all) {
      const TensorView t = input(which);
      random_uniform<float>(ctx_, 2, which, count(t.extent), -1, 1, static_cast<float*>(t.data));
      *host = to_host(ctx_, t);
    }
  }
  TensorView input(size_t which) const { return inputs_.view(0, which); }
  /// Keeps y and argmax of our forward pass for the backward samples.
  void keep(const TensorView& y, const uint8_t* argmax) {
    if (host_.e.activation != Activation::none) host_.y = to_host(ctx_, y);
    if (host_.e.pool == 1) return;
    host_.argmax.resize(static_cast<size_t>(count(y.extent)));
    copy_bytes(ctx_, host_.argmax.data(), Device::cpu(), argmax, ctx_.device, host_.argmax.size());
  }
  const ConvSample& sample(Pass pass) {
    auto& sample = samples_[static_cast<int>(pass)];
    if (!sample) sample = sample_convolution(ctx_, host_, pass);
    return *sample;
  }

 private:
  Context& ctx_;
  TensorSets inputs_;
  ConvHost host_;
  std::optional<ConvSample> samples_[3];
};

void load_inputs(Context& ctx, const BlockSource& source, const TensorSets& sets) {
  for (int set = 0; set < sets.sets(); ++set)
    for (const size_t which : {kX, kW, kBias, kDy})
      convert(ctx, source.input(which), sets.view(set, which));
}

/// The error of the results of a direction in set 0.
double error_of(Context& ctx, const Block& b, BlockSource& source, const TensorSets& sets,
                bool forward) {
  const auto of = [&](size_t part, Pass pass) {
    const ConvSample& sample = source.sample(pass);
    return sample.error(gather(ctx, sets.view(0, b.at(part)), sample.at));
  };
  if (forward) return of(kY, Pass::fprop);
  return std::max(b.first ? 0 : of(kDx, Pass::dgrad), of(kDw, Pass::wgrad));
}

/// An implementation of both directions, with its layout and element type.
struct Sequence {
  std::string name;
  std::function<void(const TensorSets&, int set)> forward, backward;
};

// ---- ours: of the tensors only x, w, bias, y (kZ or kY), dy, dx, dw, dbias are used

template <class T>
Sequence ours(Context& ctx, const Block& b, uint8_t* argmax) {
  const auto a = [](const TensorSets& t, int set, size_t i) {
    return static_cast<T*>(t.view(set, i).data);
  };
  const auto f = [](const TensorSets& t, int set, size_t i) {
    return static_cast<float*>(t.view(set, i).data);
  };
  const int64_t outputs = count(b.output());
  return {"ours",
          [=, &ctx](const TensorSets& t, int set) {
            conv2d_fprop<T>(ctx, b.s, b.e, a(t, set, kX), Weights<float>(f(t, set, kW), 0),
                            f(t, set, kBias), a(t, set, b.at(kY)),
                            b.pools() ? argmax + set * outputs : nullptr);
          },
          [=, &ctx](const TensorSets& t, int set) {
            const Conv2dGrad<T> g{a(t, set, kDy), b.activates() ? a(t, set, b.at(kY)) : nullptr,
                                  b.pools() ? argmax + set * outputs : nullptr};
            if (!b.first)
              conv2d_dgrad<T>(ctx, b.s, b.e, g, Weights<float>(f(t, set, kW), 0), a(t, set, kDx));
            conv2d_wgrad<T>(ctx, b.s, b.e, a(t, set, kX), g, f(t, set, kDw), f(t, set, kDbias));
          }};
}

// ---- cuDNN's

/// The best plans of the convolutions in one layout.
struct Plans {
  std::optional<BestPlan> fused, plain, dgrad, wgrad;
};

void run_plan(const BestPlan& best, const TensorSets& t, int set, size_t x, size_t w, size_t y) {
  best.plan.run(
      {t.view(set, x).data, t.view(set, w).data, t.view(set, y).data, t.view(set, kBias).data},
      best.workspace->as<void>());
}

/// x -> y, with a plan that includes bias and activation or with a separate step for them.
Sequence their_forward(Bench& bench, const Block& b, MathMode mode, Layout l, const BestPlan& conv,
                       bool fused) {
  const Element t = mode.element;
  const Call activate =
      fused ? Call() : bench.dnn->bias_activation(b.before_pool(), t, l, b.e.activation, b.e.slope);
  const Call pool = b.pools() ? bench.dnn->max_pool(b.before_pool(), t, l, b.e.pool) : Call();
  Sequence s;
  s.name = fmt::format("{}{}{}{}", fused ? "fused " : "", conv.name,
                       fused ? "" : " + bias and activation", pool ? " + pool" : "");
  s.forward = [=, &bench](const TensorSets& v, int set) {
    const auto p = [&](size_t i) { return v.view(set, i).data; };
    if (b.upsamples()) upsample(bench.ctx, v.view(set, kX), b.s.upsample, v.view(set, kXUp));
    run_plan(conv, v, set, b.at(kXUp), kW, kZ);
    if (activate) activate({p(kZ), p(kBias), p(kZ)});
    if (pool) pool({p(kZ), p(kY)});
  };
  return s;
}

Sequence their_backward(Bench& bench, const Block& b, MathMode mode, Layout l, const Plans& plans) {
  const Element t = mode.element;
  const Extent z = b.before_pool();
  const Call unpool = b.pools() ? bench.dnn->max_pool_backward(z, t, l, b.e.pool) : Call();
  const Call slope =
      b.activates() ? bench.dnn->activation_backward(z, t, l, b.e.activation, b.e.slope) : Call();
  const Call bias = bench.dnn->bias_gradient(z, t, l);
  Sequence s;
  s.name = fmt::format("{}{}", b.first ? "" : plans.dgrad->name + ", ", plans.wgrad->name);
  s.backward = [=, &bench](const TensorSets& v, int set) {
    const auto p = [&](size_t i) { return v.view(set, b.at(i)).data; };
    if (unpool) unpool({p(kZ), p(kY), p(kDy), p(kDa)});
    if (slope) slope({p(kZ), p(kDa), p(kDz)});
    bias({p(kDz), p(kDbias)});
    run_plan(*plans.wgrad, v, set, b.at(kXUp), kDw, b.at(kDz));
    if (b.first) return;
    run_plan(*plans.dgrad, v, set, b.at(kDxUp), kW, b.at(kDz));
    if (b.upsamples())
      upsample_gradient(bench.ctx, v.view(set, kDxUp), b.s.upsample, v.view(set, kDx));
  };
  return s;
}

/// All sequences of one layout that can be built; those with `forward` set, or with both.
std::vector<Sequence> their_sequences(Bench& bench, const Block& b, Precision precision, Layout l,
                                      bool forward) {
  const MathMode mode = math_mode(precision);
  const double gate = max_error(precision);
  const Conv2dShape s = bare(b.s);
  const auto search = [&](ConvSource& source, const ConvRequest& r) {
    return best_plan(bench, fmt::format("{} {}", key_of(r), name_of(l)), r, source, gate, l);
  };
  Plans plans;
  {
    ConvSource source(bench, s);
    plans.plain = search(source, {s, Pass::fprop, mode});
    if (!forward) {
      if (!b.first) plans.dgrad = search(source, {s, Pass::dgrad, mode});
      plans.wgrad = search(source, {s, Pass::wgrad, mode});
      if ((!b.first && !plans.dgrad) || !plans.wgrad) return {};
    }
  }
  if (forward) {
    ConvSource source(bench, s, {b.e.activation, b.e.slope, 1});
    plans.fused = search(source, {s, Pass::fprop, mode, true, b.e.activation, b.e.slope});
  }
  std::vector<Sequence> found;
  for (const bool fused : {true, false}) {
    const auto& conv = fused ? plans.fused : plans.plain;
    if (!conv) continue;
    try {
      Sequence sequence = their_forward(bench, b, mode, l, *conv, fused);
      if (!forward) {
        const Sequence back = their_backward(bench, b, mode, l, plans);
        sequence.name = back.name;
        sequence.backward = back.backward;
      }
      found.push_back(std::move(sequence));
    } catch (const DeviceError&) {
      throw;
    } catch (const Error&) {  // cuDNN lacks a step in this layout or type
    }
  }
  return found;
}

// ---- the comparison

/// A sequence with its buffers.
struct Runner {
  std::unique_ptr<TensorSets> sets;
  Sequence sequence;

  void prepare(Context& ctx, const BlockSource& source, const Block& b,
               const std::vector<Element>& elements, Layout l, int n) {
    sets.reset();
    sets = std::make_unique<TensorSets>(ctx, b.extents(), elements, l, n);
    load_inputs(ctx, source, *sets);
    for (int set = 0; set < n; ++set) sequence.forward(*sets, set);  // backward needs y
  }
  Work work(bool forward) {
    return
        [this, forward](int set) { (forward ? sequence.forward : sequence.backward)(*sets, set); };
  }
};

/// The fastest of the library's sequences whose results are correct.
std::optional<Runner> best_sequence(Bench& bench, Row& row, BlockSource& source, const Block& b,
                                    Precision precision, bool forward) {
  if (!bench.dnn) return std::nullopt;
  // The backward reference uses the maxima and signs of our forward pass. Where two values nearly
  // tie the library's may differ, which moves whole gradients: the error is about the square root
  // of the share of such ties, a tenth in bf16. The convolutions have been verified one by one;
  // this check finds wrong wiring.
  const double gate = forward ? max_error(precision) : 0.3;
  std::optional<Runner> best;
  double min_us = 0;
  int tried = 0, wrong = 0;
  for (const Layout l : {Layout::nhwc, Layout::nchw})
    for (Sequence& sequence : their_sequences(bench, b, precision, l, forward)) {
      Runner runner;
      runner.sequence = std::move(sequence);
      const Element element = math_mode(precision).element;
      runner.prepare(bench.ctx, source, b, Block::elements(element, element), l, 1);
      const Work work = runner.work(forward);
      ++tried;
      work(0);
      const double error = error_of(bench.ctx, b, source, *runner.sets, forward);
      if (!(error <= gate)) {
        ++wrong;
        continue;
      }
      const Timer::Recording few = bench.timer.record(work, 4, 1);
      const double us =
          median({bench.timer.warm(few), bench.timer.warm(few), bench.timer.warm(few)});
      if (best && us >= min_us) continue;
      min_us = us;
      row["plan"] = runner.sequence.name;
      row["base_relative_error"] = error;
      best = std::move(runner);
    }
  row["plans_tried"] = tried;
  row["plans_inaccurate"] = wrong;
  return best;
}

Bench::Side prepare(Bench& bench, Runner& runner, const BlockSource& source, const Block& b,
                    Element activations, Element parameters, Layout l, bool forward) {
  Bench::Side c;
  c.work = runner.work(forward);
  c.launches = bench.timer.launches_for(c.work);
  c.cold_launches = cold_launches(c.launches, TensorSets::bytes_of_set(b.extents(), activations));
  runner.prepare(bench.ctx, source, b, Block::elements(activations, parameters), l,
                 c.cold_launches);
  return c;
}

void describe_work(Row& row, const Block& b, Precision precision, bool forward) {
  const auto size = static_cast<int64_t>(size_of(math_mode(precision).element));
  const int64_t x = count(b.input()), w = int64_t{b.s.K} * b.s.R * b.s.S * b.s.C,
                y = count(b.output()), index = b.pools() ? y : 0;
  row["mode"] = name_of(precision);
  row["flops"] = conv2d_flops(b.s) * (forward || b.first ? 1 : 2);
  row["bytes"] = forward
                     ? size * (x + w + y) + index
                     : size * (x + y + (b.activates() ? y : 0) + (b.first ? 0 : w + x) + w) + index;
}

/// The algorithms of the block's convolutions: "direct", or "tiled, direct" for dgrad and wgrad.
std::string algorithms_of(const Context& ctx, const Block& b, bool forward) {
  const auto algorithm = [&](Pass pass) { return algorithm_name(ctx, pass, b.s, b.e); };
  if (forward) return algorithm(Pass::fprop);
  return (b.first ? "" : algorithm(Pass::dgrad) + ", ") + algorithm(Pass::wgrad);
}

void measure(benchmark::State& state, Bench& bench, Row& row, const Block& b, Precision precision,
             bool forward) {
  describe_work(row, b, precision, forward);
  Context& ctx = bench.ctx;
  ctx.precision = precision;
  row["algorithm"] = algorithms_of(ctx, b, forward);
  BlockSource source(bench, b);
  const Scratch argmax(ctx, static_cast<size_t>(count(b.output())) * Timer::kMaxLaunches);
  Runner mine;
  const Element element = math_mode(precision).element;
  mine.sequence = element == Element::bf16 ? ours<bf16>(ctx, b, argmax.as<uint8_t>())
                                           : ours<float>(ctx, b, argmax.as<uint8_t>());
  mine.prepare(ctx, source, b, Block::elements(element, Element::f32), Layout::nhwc, 1);
  source.keep(mine.sets->view(0, b.at(kY)), argmax.as<uint8_t>());
  mine.work(forward)(0);
  const double error = error_of(ctx, b, source, *mine.sets, forward);
  row["relative_error"] = error;
  ASSAY_CHECK(error <= max_error(precision), "ours is wrong: relative error {:g}, allowed {:g}",
              error, max_error(precision));

  std::optional<Runner> other = best_sequence(bench, row, source, b, precision, forward);
  row["base"] = bench.dnn ? bench.dnn->name() : "none in this build";
  const auto a = prepare(bench, mine, source, b, element, Element::f32, Layout::nhwc, forward);
  if (!other) {
    if (bench.dnn) row["base_error"] = "no sequence runs and is accurate enough";
    return bench.compare(state, row, a, nullptr);
  }
  const auto theirs =
      prepare(bench, *other, source, b, element, element, other->sets->layout(), forward);
  bench.compare(state, row, a, &theirs);
}

std::vector<Cell> cells(const Settings& settings) {
  std::vector<Cell> all;
  for (const Layer& layer : model_layers(settings.batch)) {
    const Block b{layer.shape, layer.epilogue, layer.first};
    if (layer.transposed || !(b.upsamples() || b.pools() || b.activates())) continue;  // bare
    for (const bool forward : {true, false})
      for (const Precision precision : kModes)
        all.push_back({fmt::format("blocks/{}{}{}", layer.name,
                                   forward ? "/forward/" : "/backward/", name_of(precision)),
                       [=](benchmark::State& state, Bench& bench, Row& row) {
                         measure(state, bench, row, b, precision, forward);
                       }});
  }
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
