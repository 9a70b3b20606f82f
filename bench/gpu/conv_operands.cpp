#include "bench/gpu/conv_operands.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "kernels/conv2d/algorithm.h"
#include "kernels/random/random.h"

namespace assay::bench {
namespace {

constexpr size_t kMaxWorkspace = size_t{1} << 30;  // bytes

constexpr size_t output_of(Pass pass) {
  return pass == Pass::dgrad ? 0 : pass == Pass::wgrad ? 1 : 2;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Merges the lists: the first of each, then the second of each, and so on; every name once.
std::vector<ConvCandidate> in_turn(const std::vector<std::vector<ConvCandidate>>& lists) {
  std::vector<ConvCandidate> all;
  std::set<std::string> seen;
  size_t longest = 0;
  for (const auto& list : lists) longest = std::max(longest, list.size());
  for (size_t i = 0; i < longest; ++i)
    for (const auto& list : lists)
      if (i < list.size() && seen.insert(list[i].name).second) all.push_back(list[i]);
  return all;
}

}  // namespace

std::vector<float> to_host(Context& ctx, const TensorView& t) {
  const auto n = static_cast<size_t>(count(t.extent));
  const auto copied = [&]<class T>(std::vector<T> v) {
    copy_bytes(ctx, v.data(), Device::cpu(), t.data, ctx.device, n * sizeof(T));
    return v;
  };
  if (t.element == Element::f32) return copied(std::vector<float>(n));
  std::vector<float> wide;
  for (const bf16 v : copied(std::vector<bf16>(n))) wide.push_back(static_cast<float>(v));
  return wide;
}

std::string algorithm_name(const Context& ctx, Pass pass, const Conv2dShape& s,
                           const Conv2dEpilogue& e) {
  const DType type = activation_type(ctx);
  const Conv2dChoice choice = conv2d_algorithm(ctx, pass, s, e, type);
  return std::string(choice.name()) + (choice.converts(type) ? " in fp32" : "");
}

std::vector<Extent> ConvSource::extents(const Conv2dShape& s, bool bias) {
  std::vector<Extent> e = {{s.N, s.H, s.W, s.C}, {s.K, s.R, s.S, s.C}, {s.N, s.P(), s.Q(), s.K}};
  if (bias) e.push_back({1, 1, 1, s.K});
  return e;
}

ConvSource::ConvSource(Bench& bench, const Conv2dShape& s, bool bias, const Conv2dEpilogue& e)
    : ctx_(bench.ctx), has_bias_(bias) {
  ASSAY_CHECK(s.upsample == 1 && e.pool == 1, "bench: a library's convolution is a bare one");
  host_.s = s;
  host_.e = e;
  const std::vector<Extent> all = extents(s, bias);
  tensors_ = std::make_unique<TensorSets>(ctx_, all, Element::f32, Layout::nhwc, 1);
  std::vector<float>* const host[] = {&host_.x, &host_.w, &host_.dy, &host_.bias};
  for (size_t i = 0; i < all.size(); ++i) {
    random_uniform<float>(ctx_, 1, i, count(all[i]), -1, 1, static_cast<float*>(view(i).data));
    *host[i] = to_host(ctx_, view(i));
  }
}

const ConvSample& ConvSource::sample(Pass pass) {
  ASSAY_CHECK(pass == Pass::fprop || !has_bias_, "bench: only fprop has an epilogue");
  auto& sample = samples_[static_cast<int>(pass)];
  if (!sample) sample = sample_convolution(ctx_, host_, pass);
  return *sample;
}

int64_t ConvSets::bytes(const Conv2dShape& s, Element element) {
  return TensorSets::bytes_of_set(ConvSource::extents(s, false), element);
}

ConvSets::ConvSets(Context& ctx, const ConvSource& source, Pass pass, Element element,
                   Element parameters, Layout layout, int sets)
    : ctx_(ctx),
      output_(output_of(pass)),
      has_bias_(source.has_bias()),
      tensors_(ctx, ConvSource::extents(source.shape(), has_bias_),
               has_bias_ ? std::vector{element, parameters, element, parameters}
                         : std::vector{element, parameters, element},
               layout, sets) {
  for (int set = 0; set < sets; ++set)
    for (size_t i = 0; i < (has_bias_ ? 4u : 3u); ++i)
      if (i != output_) convert(ctx, source.view(i), tensors_.view(set, i));
}

ConvPointers ConvSets::operator[](int set) const {
  const auto at = [&](size_t i) { return tensors_.view(set, i).data; };
  return {at(0), at(1), at(2), has_bias_ ? at(3) : nullptr};
}

double ConvSets::check(const ConvSample& sample) {
  const TensorView out = tensors_.view(0, output_);
  const double error = sample.error(gather(ctx_, out, sample.at));
  poison(ctx_, out.data, static_cast<size_t>(count(out.extent)) * size_of(out.element));
  return error;
}

std::string key_of(const ConvRequest& r) {
  const Conv2dShape& s = r.shape;
  return fmt::format("{} n{} h{} w{} c{} k{} r{} s{} /{} p{}{}{}", name_of(r.pass), s.N, s.H, s.W,
                     s.C, s.K, s.R, s.S, s.stride, s.pad,
                     r.mode.element == Element::bf16 ? " bf16"
                     : r.mode.tf32                   ? " tf32"
                                                     : " fp32",
                     r.bias ? fmt::format(" bias f{}", static_cast<int>(r.activation)) : "");
}

std::optional<BestPlan> best_plan(Bench& bench, const std::string& key, const ConvRequest& r,
                                  ConvSource& source, double max_error,
                                  std::optional<Layout> only) {
  if (!bench.dnn) return std::nullopt;
  const Settings& settings = bench.settings;
  const auto start = std::chrono::steady_clock::now();
  std::vector<ConvCandidate> all = in_turn(bench.dnn->convolution(r, settings.exhaustive));
  if (only) std::erase_if(all, [&](const ConvCandidate& c) { return c.layout != *only; });
  std::optional<ConvSets> sets[2];  // by layout
  std::optional<BestPlan> best;
  BestPlan tally;
  tally.offered = static_cast<int>(all.size());
  const auto consider = [&](const ConvCandidate& candidate) {
    ++tally.tried;
    bench.alive();
    try {
      BestPlan now{candidate.name, candidate.layout, candidate.build(), nullptr};
      if (now.plan.workspace > kMaxWorkspace) throw Error("workspace");
      now.workspace = std::make_shared<Scratch>(bench.ctx, now.plan.workspace);
      auto& operands = sets[static_cast<int>(candidate.layout)];
      if (!operands)
        operands.emplace(bench.ctx, source, r.pass, r.mode.element, candidate.layout, 1);
      const ConvPointers p = (*operands)[0];
      const auto run = [&](int) { now.plan.run(p, now.workspace->as<void>()); };
      run(0);
      now.error = operands->check(source.sample(r.pass));
      if (!(now.error <= max_error)) {
        ++tally.wrong;
        return;
      }
      const Timer::Recording few = bench.timer.record(run, 4, 1);
      now.warm_us = median({bench.timer.warm(few), bench.timer.warm(few), bench.timer.warm(few)});
      if (!best || now.warm_us < best->warm_us) best = std::move(now);
    } catch (const DeviceError&) {
      synchronize(bench.ctx);  // throws if the device is lost
      ++tally.failed;
    } catch (const Error&) {
      ++tally.failed;
    }
  };
  const std::string known = bench.remembered(key);
  const bool found = std::any_of(all.begin(), all.end(), [&](const ConvCandidate& c) {
    if (c.name != known) return false;
    consider(c);
    return best.has_value();
  });
  if (!found)
    for (const ConvCandidate& candidate : all) {
      if (!settings.exhaustive && best &&
          (tally.tried >= settings.max_plans || seconds_since(start) > settings.plan_seconds))
        break;
      if (candidate.name != known) consider(candidate);
    }
  if (!best) return std::nullopt;
  best->offered = tally.offered;
  best->tried = tally.tried;
  best->failed = tally.failed;
  best->wrong = tally.wrong;
  bench.remember(key, best->name);
  return best;
}

void describe(Row& row, const Bench& bench, const std::optional<BestPlan>& best) {
  if (!bench.dnn) {
    row["base"] = "none in this build";
    return;
  }
  row["base"] = bench.dnn->name();
  if (!best) {
    row["base_error"] = "no plan runs and is accurate enough";
    return;
  }
  row["plan"] = best->name;
  row["plan_notes"] = best->plan.notes;
  row["plan_workspace"] = best->plan.workspace;
  row["plans_offered"] = best->offered;
  row["plans_tried"] = best->tried;
  row["plans_failed"] = best->failed;
  row["plans_inaccurate"] = best->wrong;
  row["base_relative_error"] = best->error;
}

}  // namespace assay::bench
