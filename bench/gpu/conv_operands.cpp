#include "bench/gpu/conv_operands.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "kernels/random/random.h"

namespace assay::bench {
namespace {

constexpr size_t kMostWorkspace = size_t{1} << 30;  // bytes

Extent extent_of(const Conv2dShape& s, int which) {
  return which == 0   ? Extent{s.N, s.H, s.W, s.C}
         : which == 1 ? Extent{s.K, s.R, s.S, s.C}
                      : Extent{s.N, s.P(), s.Q(), s.K};
}
constexpr int output_of(Pass pass) {
  return pass == Pass::dgrad ? 0 : pass == Pass::wgrad ? 1 : 2;
}
constexpr int64_t round_up(int64_t n) {
  return (n + 255) / 256 * 256;
}

std::vector<float> to_host(Context& ctx, const TensorView& t) {
  std::vector<float> v(static_cast<size_t>(count(t.extent)));
  copy_bytes(ctx, v.data(), Device::cpu(), t.data, ctx.device, v.size() * sizeof(float));
  return v;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The lists in turn: the first of each, the second of each, ... every name once.
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

ConvSource::ConvSource(Bench& bench, const Conv2dShape& s) : ctx_(bench.ctx) {
  ASSAY_CHECK(s.upsample == 1, "bench: a bare convolution has no upsampling");
  host_.s = s;
  TensorView* const views[] = {&x_, &w_, &y_};
  std::vector<float>* const host[] = {&host_.x, &host_.w, &host_.dy};
  for (int i = 0; i < 3; ++i) {
    const Extent e = extent_of(s, i);
    memory_[i] = Scratch(ctx_, static_cast<size_t>(count(e)) * sizeof(float));
    *views[i] = {memory_[i].as<void>(), e};
    random_uniform<float>(ctx_, 1, static_cast<uint64_t>(i), count(e), -1, 1,
                          memory_[i].as<float>());
    *host[i] = to_host(ctx_, *views[i]);
  }
}

const ConvSample& ConvSource::sample(Pass pass) {
  auto& sample = samples_[static_cast<int>(pass)];
  if (!sample) sample = sample_convolution(ctx_, host_, pass);
  return *sample;
}

int64_t ConvSets::bytes(const Conv2dShape& s, Element element) {
  int64_t sum = 0;
  for (int i = 0; i < 3; ++i)
    sum += round_up(count(extent_of(s, i)) * static_cast<int64_t>(size_of(element)));
  return sum;
}

ConvSets::ConvSets(Context& ctx, const ConvSource& source, Pass pass, Element element,
                   Layout layout, int sets)
    : ctx_(ctx), pass_(pass), element_(element), layout_(layout) {
  stride_ = 0;
  for (int i = 0; i < 3; ++i) {
    extents_[i] = extent_of(source.shape(), i);
    offsets_[i] = stride_;
    stride_ += round_up(count(extents_[i]) * static_cast<int64_t>(size_of(element)));
  }
  memory_ = Scratch(ctx, static_cast<size_t>(stride_ * sets));
  poison(ctx, memory_.as<void>(), memory_.bytes());
  const TensorView inputs[] = {source.x(), source.w(), source.y()};
  for (int set = 0; set < sets; ++set)
    for (int i = 0; i < 3; ++i)
      if (i != output_of(pass)) convert(ctx, inputs[i], view(set, i));
}

TensorView ConvSets::view(int set, int which) const {
  return {memory_.as<char>() + set * stride_ + offsets_[which], extents_[which], element_, layout_};
}

ConvPointers ConvSets::operator[](int set) const {
  return {view(set, 0).data, view(set, 1).data, view(set, 2).data};
}

double ConvSets::check(const ConvSample& sample) {
  const TensorView out = view(0, output_of(pass_));
  const double error = sample.error(gather(ctx_, out, sample.at));
  poison(ctx_, out.data, static_cast<size_t>(count(out.extent)) * size_of(element_));
  return error;
}

std::string key_of(const ConvRequest& r) {
  const Conv2dShape& s = r.shape;
  return str(name_of(r.pass), " n", s.N, " h", s.H, " w", s.W, " c", s.C, " k", s.K, " r", s.R,
             " s", s.S, " /", s.stride, " p", s.pad,
             r.mode.element == Element::bf16 ? " bf16"
             : r.mode.tf32                   ? " tf32"
                                             : " fp32",
             r.bias ? str(" bias f", static_cast<int>(r.activation)) : "");
}

std::optional<BestPlan> best_plan(Bench& bench, const std::string& key, const ConvRequest& r,
                                  ConvSource& source, double most_error) {
  if (!bench.dnn) return std::nullopt;
  const Settings& settings = bench.settings;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<ConvCandidate> all = in_turn(bench.dnn->convolution(r, settings.exhaustive));
  const std::string known = bench.remembered(key);
  const bool know =
      std::any_of(all.begin(), all.end(), [&](const auto& c) { return c.name == known; });
  std::optional<ConvSets> sets[2];  // by layout
  std::optional<BestPlan> best;
  BestPlan tally;
  tally.offered = static_cast<int>(all.size());
  for (const ConvCandidate& candidate : all) {
    if (know && candidate.name != known) continue;
    if (!settings.exhaustive && best &&
        (tally.tried >= settings.most_plans || seconds_since(start) > settings.plan_seconds))
      break;
    ++tally.tried;
    try {
      BestPlan now{candidate.name, candidate.layout, candidate.build(), nullptr};
      if (now.plan.workspace > kMostWorkspace) throw Error("workspace");
      now.workspace = std::make_shared<Scratch>(bench.ctx, now.plan.workspace);
      auto& operands = sets[static_cast<int>(candidate.layout)];
      if (!operands)
        operands.emplace(bench.ctx, source, r.pass, r.mode.element, candidate.layout, 1);
      const ConvPointers p = (*operands)[0];
      const auto run = [&](int) { now.plan.run(p, now.workspace->as<void>()); };
      run(0);
      now.error = operands->check(source.sample(r.pass));
      if (!(now.error <= most_error)) {
        ++tally.wrong;
        continue;
      }
      const Timer::Recording few = bench.timer.record(run, 4, 1);
      now.warm_us = median({bench.timer.warm(few), bench.timer.warm(few), bench.timer.warm(few)});
      if (!best || now.warm_us < best->warm_us) best = std::move(now);
    } catch (const DeviceError&) {
      synchronize(bench.ctx);  // throws where the device is lost
      ++tally.failed;
    } catch (const Error&) {
      ++tally.failed;
    }
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
