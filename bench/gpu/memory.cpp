// Kernels that are bound by memory: stage `suites`. Batch norm and max-pool against cuDNN in its
// faster layout; SSIM alone.
#include <fmt/core.h>

#include <cmath>

#include "bench/gpu/buffers.h"
#include "bench/gpu/device_ops.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/pool/pool.h"
#include "kernels/ssim/ssim_ref.h"

namespace assay::bench {
namespace {

/// Tensors of a library's call: x, others of the sizes given.
BufferedWork<TensorSets> library_call(Bench& bench, const std::vector<Extent>& extents, Layout l,
                                      const Call& call) {
  BufferedWork<TensorSets> candidate;
  candidate.make = [=, &bench](int sets) {
    auto v = std::make_unique<TensorSets>(bench.ctx, extents, Element::f32, l, sets);
    for (int set = 0; set < sets; ++set)
      for (size_t i = 0; i < extents.size(); ++i)
        random_uniform<float>(bench.ctx, 4, i, count(extents[i]), 0, 1,
                              static_cast<float*>(v->view(set, i).data));
    return v;
  };
  candidate.run = [=](const TensorSets& v, int set) {
    std::vector<void*> pointers;
    for (size_t i = 0; i < extents.size(); ++i) pointers.push_back(v.view(set, i).data);
    call(pointers);
  };
  return candidate;
}

/// The relative error of a result, from all tensors of the call on the host in NHWC.
using Check = std::function<double(const std::vector<std::vector<float>>&)>;

double error_of(Context& ctx, const Check& check, const std::vector<Extent>& extents,
                const std::function<TensorView(size_t)>& tensor) {
  std::vector<std::vector<float>> host;
  for (size_t i = 0; i < extents.size(); ++i) {
    const Scratch plain(ctx, static_cast<size_t>(count(extents[i])) * sizeof(float));
    convert(ctx, tensor(i), {plain.as<void>(), extents[i]});
    host.push_back(to_host(ctx, plain.as<const float>(), count(extents[i])));
  }
  const double error = check(host);
  return std::isnan(error) ? INFINITY : error;
}

/// `extents`: the tensors of the library's call, which are the first of ours too.
void compare_memory(benchmark::State& state, Bench& bench, Row& row, BufferedWork<Vectors>& ours,
                    const std::vector<Extent>& extents, const Check& check,
                    const std::function<Call(DnnLibrary&, Layout)>& theirs) {
  constexpr double kMaxError = 1e-5;
  row["mode"] = "fp32";
  const auto mine = ours.prepare(bench, ours.make(1)->bytes());
  mine.work(0);
  const double error = error_of(bench.ctx, check, extents, [&](size_t i) {
    return TensorView{ours.buffers->at(0, i), extents[i]};
  });
  row["relative_error"] = error;
  ASSAY_CHECK(error <= kMaxError, "ours is wrong: relative error {:g}", error);
  if (!bench.dnn) {
    row["base"] = "none in this build";
    return bench.compare(state, row, mine, nullptr);
  }
  row["base"] = bench.dnn->name();
  std::optional<BufferedWork<TensorSets>> best;
  double min_us = 0;
  for (const Layout l : {Layout::nhwc, Layout::nchw}) try {
      BufferedWork<TensorSets> candidate = library_call(bench, extents, l, theirs(*bench.dnn, l));
      candidate.buffers = candidate.make(1);
      const Timer::Recording few =
          bench.timer.record([&](int set) { candidate.run(*candidate.buffers, set); }, 4, 1);
      const double their_error = error_of(bench.ctx, check, extents,
                                          [&](size_t i) { return candidate.buffers->view(0, i); });
      ASSAY_CHECK(their_error <= kMaxError, "relative error {:g}", their_error);
      const double us = median({bench.timer.warm(few), bench.timer.warm(few)});
      if (best && us >= min_us) continue;
      min_us = us;
      row["plan"] = name_of(l);
      row["base_relative_error"] = their_error;
      best = std::move(candidate);
    } catch (const DeviceError&) {
      throw;
    } catch (const Error& e) {
      row["base_error"] = e.what();
    }
  if (!best) return bench.compare(state, row, mine, nullptr);
  const auto other = best->prepare(bench, TensorSets::bytes_of_set(extents, Element::f32));
  bench.compare(state, row, mine, &other);
}

/// x, gamma, beta, y: of the first and the last channel.
double batchnorm_error(const std::vector<std::vector<float>>& t) {
  const std::vector<float>&x = t[0], &gamma = t[1], &beta = t[2], &y = t[3];
  const size_t C = gamma.size(), rows = x.size() / C;
  double difference = 0, norm = 0;
  for (const size_t c : {size_t{0}, C - 1}) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < rows; ++i) mean += x[i * C + c] / static_cast<double>(rows);
    for (size_t i = 0; i < rows; ++i)
      variance += (x[i * C + c] - mean) * (x[i * C + c] - mean) / static_cast<double>(rows);
    for (size_t i = 0; i < rows; ++i) {
      const double want = gamma[c] * (x[i * C + c] - mean) / std::sqrt(variance + 1e-5) + beta[c];
      difference += (y[i * C + c] - want) * (y[i * C + c] - want);
      norm += want * want;
    }
  }
  return std::sqrt(difference / norm);
}

/// x (N,H,W,C), y (N,H/2,W/2,C): the share of wrong elements.
double pool_error(const Extent& e, const std::vector<float>& x, const std::vector<float>& y) {
  int64_t wrong = 0, i = 0;
  for (int n = 0; n < e.N; ++n)
    for (int p = 0; p < e.H / 2; ++p)
      for (int q = 0; q < e.W / 2; ++q)
        for (int c = 0; c < e.C; ++c, ++i) {
          const auto at = [&](int a, int b) {
            return x[static_cast<size_t>(((int64_t{n} * e.H + 2 * p + a) * e.W + 2 * q + b) * e.C +
                                         c)];
          };
          const float most = std::max(std::max(at(0, 0), at(0, 1)), std::max(at(1, 0), at(1, 1)));
          wrong += y[static_cast<size_t>(i)] != most;
        }
  return static_cast<double>(wrong) / static_cast<double>(i);
}

void compare_batchnorm(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  const int64_t n = count(e), C = e.C;
  row["flops"] = 0;
  row["bytes"] = 8 * n;
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {  // x, gamma, beta, y, mean, rstd, running mean and variance
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, C, C, n, C, C, C, C}, sets,
                                     0.0f, 1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    const auto p = [&](size_t i) { return v.at(set, i); };
    batchnorm_training<float>(bench.ctx, {n / C, e.C}, {},
                              {p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7)});
  };
  const Extent c{1, 1, 1, e.C};
  compare_memory(state, bench, row, ours, {e, c, c, e, c, c}, batchnorm_error,
                 [e](DnnLibrary& d, Layout l) { return d.batchnorm(e, Element::f32, l); });
}

void compare_pool(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  const int64_t n = count(e);
  row["flops"] = 0;
  row["bytes"] = 4 * (n + n / 4) + n / 4;
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {  // x, y, argmax
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, n / 4, n / 16 + 1}, sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    max_pool_fprop<float>(bench.ctx, {e.N, e.H, e.W, e.C}, v.at(set, 0), v.at(set, 1),
                          reinterpret_cast<uint8_t*>(v.at(set, 2)));
  };
  compare_memory(
      state, bench, row, ours, {e, {e.N, e.H / 2, e.W / 2, e.C}},
      [e](const auto& t) { return pool_error(e, t[0], t[1]); },
      [e](DnnLibrary& d, Layout l) { return d.max_pool(e, Element::f32, l, 2); });
}

/// x, y in [0, 1) and a value per image; of the first image and the last one.
double ssim_error(Context& ctx, const SsimShape& s, const Vectors& v) {
  const int64_t image = int64_t{s.H} * s.W * s.C, last = (s.N - 1) * image;
  const auto x = to_host(ctx, v.at(0, 0), s.N * image), y = to_host(ctx, v.at(0, 1), s.N * image);
  const auto got = to_host(ctx, v.at(0, 2), int64_t{s.N});
  double worst = 0;
  for (const int64_t at : {int64_t{0}, last}) {
    float want = 0;
    ref::ssim<float>({1, s.H, s.W, s.C}, x.data() + at, y.data() + at, &want, nullptr);
    const double error = std::abs(double{got[static_cast<size_t>(at / image)]} - want);
    worst = std::max(worst, std::isnan(error) ? INFINITY : error);
  }
  return worst;
}

void time_ssim(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  constexpr double kMaxError = 1e-6;  // its sums are double, its result is float and at most 1
  const SsimShape s{e.N, e.H, e.W, e.C};
  const int64_t n = count(e);
  row["base"] = "none: roofline only";
  row["mode"] = "fp32";
  row["flops"] = 0;
  row["bytes"] = 8 * n;
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, n, e.N}, sets, 0.0f, 1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    ssim<float>(bench.ctx, s, v.at(set, 0), v.at(set, 1), v.at(set, 2), nullptr);
  };
  const auto mine = ours.prepare(bench, ours.make(1)->bytes());
  mine.work(0);
  const double error = ssim_error(bench.ctx, s, *ours.buffers);
  row["absolute_error"] = error;
  ASSAY_CHECK(error <= kMaxError, "ours is wrong: {:g}", error);
  bench.compare(state, row, mine, nullptr);
}

std::vector<Cell> cells(const Settings& settings) {
  const int N = settings.batch;
  std::vector<Extent> tensors = {{2, 8, 8, 16}}, images = {{2, 24, 20, 3}};
  if (real_device()) {
    tensors = {{N, 32, 32, 64}, {N, 16, 16, 128}, {N, 8, 8, 256}, {N, 128, 128, 32}};
    images = {{N, 128, 128, 3}, {N, 256, 256, 1}};
  }
  const auto name_of_size = [](const Extent& e) {
    return fmt::format("memory/n{}c{}-{}x{}", e.N, e.C, e.H, e.W);
  };
  std::vector<Cell> all;
  for (const Extent& e : images)
    all.push_back(
        {name_of_size(e) + "/ssim/fp32", [e](benchmark::State& state, Bench& bench, Row& row) {
           time_ssim(state, bench, row, e);
         }});
  for (const Extent& e : tensors) {
    all.push_back(
        {name_of_size(e) + "/batchnorm/fp32", [e](benchmark::State& state, Bench& bench, Row& row) {
           compare_batchnorm(state, bench, row, e);
         }});
    all.push_back(
        {name_of_size(e) + "/maxpool/fp32", [e](benchmark::State& state, Bench& bench, Row& row) {
           compare_pool(state, bench, row, e);
         }});
  }
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
