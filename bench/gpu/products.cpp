// Everything that is no convolution: products, densities, optimizers, batch norm and pooling: part
// of stage `suites`.
//
//   gemm        against cuBLASLt, the fastest of its eight best algorithms
//   kde         against cuBLASLt's product of the same size alone, which is less work than any
//               density by way of a product (it neither forms distances nor sums exponentials)
//   optimizers  alone: no library of NVIDIA's has them
//   memory      batch norm and max-pool against cuDNN, the better layout; SSIM alone
#include <fmt/core.h>

#include <cmath>

#include "bench/gpu/device_ops.h"
#include "bench/gpu/program.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/kde/kde_ref.h"
#include "kernels/optim/optim.h"
#include "kernels/pool/pool.h"
#include "kernels/random/random.h"
#include "kernels/ssim/ssim_ref.h"

namespace assay::bench {
namespace {

/// fp32 vectors on the device, so many sets of them; each filled with random numbers.
class Vectors {
 public:
  Vectors(Context& ctx, std::vector<int64_t> lengths, int sets, float low = -1, float high = 1)
      : lengths_(std::move(lengths)),
        stride_(offset(lengths_.size())),
        memory_(ctx, static_cast<size_t>(stride_ * sets) * sizeof(float)) {
    for (int set = 0; set < sets; ++set)  // sets are copies of each other
      for (size_t i = 0; i < lengths_.size(); ++i)
        random_uniform<float>(ctx, 3, i, lengths_[i], low, high, at(set, i));
  }
  float* at(int set, size_t i) const { return memory_.as<float>() + set * stride_ + offset(i); }
  int64_t bytes() const { return stride_ * static_cast<int64_t>(sizeof(float)); }

 private:
  int64_t offset(size_t i) const {
    int64_t sum = 0;
    for (size_t j = 0; j < i; ++j) sum += (lengths_[j] + 63) / 64 * 64;
    return sum;
  }
  std::vector<int64_t> lengths_;
  int64_t stride_;
  Scratch memory_;
};

template <class T>
std::vector<T> to_host(Context& ctx, const T* p, int64_t n) {
  std::vector<T> v(static_cast<size_t>(n));
  copy_bytes(ctx, v.data(), Device::cpu(), p, ctx.device, v.size() * sizeof(T));
  return v;
}

/// Work on `make(sets)`'s buffers, with as many sets as a cold sample needs.
template <class Buffers>
struct Racer {
  std::function<std::unique_ptr<Buffers>(int sets)> make;
  std::function<void(const Buffers&, int set)> run;
  std::unique_ptr<Buffers> buffers;

  Bench::Contender contender(Bench& bench, int64_t bytes) {
    buffers = make(1);
    Bench::Contender c;
    c.work = [this](int set) { run(*buffers, set); };
    c.launches = bench.timer.launches_for(c.work);
    c.cold_launches = cold_launches(c.launches, bytes);
    buffers = nullptr;
    buffers = make(c.cold_launches);
    return c;
  }
};

void no_opponent(Row& row, const char* why) {
  row["base"] = why;
}

// ---- products

/// Relative Frobenius error of some rows of C.
double gemm_error(Context& ctx, const GemmShape& s, const float* a, const float* b,
                  const float* c) {
  const auto ha = to_host(ctx, a, int64_t{s.M} * s.K), hb = to_host(ctx, b, int64_t{s.K} * s.N),
             hc = to_host(ctx, c, int64_t{s.M} * s.N);
  double difference = 0, norm = 0;
  for (const int m : {0, s.M / 2, s.M - 1})
    for (int n = 0; n < s.N; ++n) {
      double want = 0;
      for (int64_t k = 0; k < s.K; ++k)
        want +=
            double{ha[static_cast<size_t>(s.transpose_a ? k * s.M + m : int64_t{m} * s.K + k)]} *
            hb[static_cast<size_t>(s.transpose_b ? int64_t{n} * s.K + k : k * s.N + n)];
      const double d = hc[static_cast<size_t>(int64_t{m} * s.N + n)] - want;
      difference += d * d;
      norm += want * want;
    }
  const double error = std::sqrt(difference / norm);
  return std::isnan(error) ? INFINITY : error;
}

constexpr double most_gemm_error(Precision p) {
  return p == Precision::bf16 ? 1e-2 : p == Precision::tf32 ? 2e-3 : 1e-5;
}

/// The operands of a product in the element type of the mode; C is fp32.
struct GemmBuffers {
  Vectors fp32;
  std::unique_ptr<TensorSets> narrow;  // A and B, where they are bf16
};

Racer<GemmBuffers> library_product(Bench& bench, const GemmShape& s, Element element,
                                   const GemmPlan& plan) {
  const int64_t a = int64_t{s.M} * s.K, b = int64_t{s.K} * s.N, c = int64_t{s.M} * s.N;
  Racer<GemmBuffers> racer;
  racer.make = [=, &bench](int sets) {
    auto buffers = std::unique_ptr<GemmBuffers>(new GemmBuffers{{bench.ctx, {a, b, c}, sets}, {}});
    if (element == Element::f32) return buffers;
    const std::vector<Extent> extents = {{1, 1, s.M, s.K}, {1, 1, s.K, s.N}};
    buffers->narrow = std::make_unique<TensorSets>(bench.ctx, extents, element, Layout::nhwc, sets);
    for (int set = 0; set < sets; ++set)
      for (size_t i = 0; i < 2; ++i)
        convert(bench.ctx, {buffers->fp32.at(set, i), extents[i]}, buffers->narrow->view(set, i));
    return buffers;
  };
  racer.run = [plan](const GemmBuffers& v, int set) {
    if (v.narrow)
      plan.run(v.narrow->view(set, 0).data, v.narrow->view(set, 1).data, v.fp32.at(set, 2));
    else
      plan.run(v.fp32.at(set, 0), v.fp32.at(set, 1), v.fp32.at(set, 2));
  };
  return racer;
}

/// The fastest of cuBLASLt's algorithms that is accurate enough, by warm time.
std::optional<Racer<GemmBuffers>> best_product(Bench& bench, Row& row, const GemmShape& s,
                                               Precision precision) {
  if (!bench.blas) return no_opponent(row, "none in this build"), std::nullopt;
  row["base"] = bench.blas->name();
  const MathMode mode = math_mode(precision);
  std::optional<Racer<GemmBuffers>> best;
  double least = 0;
  for (const GemmPlan& plan : bench.blas->gemm(s, mode, bench.settings.most_plans)) try {
      bench.alive();
      Racer<GemmBuffers> racer = library_product(bench, s, mode.element, plan);
      racer.buffers = racer.make(1);
      const auto run = [&](int set) { racer.run(*racer.buffers, set); };
      run(0);
      const Vectors& v = racer.buffers->fp32;
      const double error = gemm_error(bench.ctx, s, v.at(0, 0), v.at(0, 1), v.at(0, 2));
      if (!(error <= most_gemm_error(precision))) continue;
      const Timer::Recording few = bench.timer.record(run, 4, 1);
      const double us =
          median({bench.timer.warm(few), bench.timer.warm(few), bench.timer.warm(few)});
      if (best && us >= least) continue;
      least = us;
      row["plan"] = plan.name;
      row["base_relative_error"] = error;
      racer.buffers = nullptr;
      best = std::move(racer);
    } catch (const DeviceError&) {
      throw;
    } catch (const Error&) {  // an algorithm that refuses
    }
  if (!best) row["base_error"] = "no algorithm runs and is accurate enough";
  return best;
}

void race_gemm(benchmark::State& state, Bench& bench, Row& row, const GemmShape& s,
               Precision precision) {
  const auto size = static_cast<int64_t>(size_of(math_mode(precision).element));
  const int64_t a = int64_t{s.M} * s.K, b = int64_t{s.K} * s.N, c = int64_t{s.M} * s.N;
  row["mode"] = name_of(precision);
  row["flops"] = gemm_flops(s);
  row["bytes"] = size * (a + b) + 4 * c;
  bench.ctx.precision = precision;
  row["rung"] = name_of(cuda::gemm_rung(bench.ctx));
  Racer<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{a, b, c}, sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    gemm<float>(bench.ctx, s, {}, v.at(set, 0), Weights<float>(v.at(set, 1), 0), nullptr,
                v.at(set, 2));
  };
  const auto mine = ours.contender(bench, 4 * (a + b + c));
  mine.work(0);
  const Vectors& v = *ours.buffers;
  const double error = gemm_error(bench.ctx, s, v.at(0, 0), v.at(0, 1), v.at(0, 2));
  row["relative_error"] = error;
  ASSAY_CHECK(error <= most_gemm_error(precision), "ours is wrong: relative error {:g}", error);
  auto best = best_product(bench, row, s, precision);
  if (!best) return bench.race(state, row, mine, nullptr);
  const auto theirs = best->contender(bench, 4 * (a + b + c));
  bench.race(state, row, mine, &theirs);
}

// ---- densities

void race_kde(benchmark::State& state, Bench& bench, Row& row, const KdeShape& s,
              Precision precision) {
  // The bandwidth at which neighbours matter: log p moves by some nats.
  const double h = std::sqrt(s.D / 3.0) / 4;
  const int64_t train = int64_t{s.n} * s.D, queries = int64_t{s.m} * s.D;
  row["mode"] = name_of(precision);
  row["flops"] = int64_t{2} * s.n * s.m * s.D;
  row["bytes"] = 4 * (train + queries) + 8 * int64_t{s.m};
  bench.ctx.precision = precision;
  Racer<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{train, queries, 2 * s.m},
                                     sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    kde_log_density<float>(bench.ctx, s, h, v.at(set, 0), v.at(set, 1),
                           reinterpret_cast<double*>(v.at(set, 2)));
  };
  const auto mine = ours.contender(bench, row["bytes"]);
  mine.work(0);
  const Vectors& v = *ours.buffers;
  constexpr int kChecked = 4;  // queries
  bench.alive();
  std::vector<double> want(kChecked);
  const auto x = to_host(bench.ctx, v.at(0, 0), train), y = to_host(bench.ctx, v.at(0, 1), queries);
  ref::kde_log_density<float>({s.n, kChecked, s.D}, h, x.data(), y.data(), want.data());
  const auto got =
      to_host(bench.ctx, reinterpret_cast<const double*>(v.at(0, 2)), int64_t{kChecked});
  double nats = 0;
  for (int i = 0; i < kChecked; ++i)
    nats = std::max(nats, std::abs(got[static_cast<size_t>(i)] - want[static_cast<size_t>(i)]));
  row["error_nats"] = nats;
  ASSAY_CHECK(nats <= (precision == Precision::tf32 ? 0.5 : 0.05), "ours is wrong: {:g} nats",
              nats);
  const GemmShape product{s.m, s.n, s.D, false, true};
  auto best = best_product(bench, row, product, precision);
  if (!best) return bench.race(state, row, mine, nullptr);
  row["plan"] = "only the product: " + row["plan"].get<std::string>();
  const auto theirs = best->contender(bench, 4 * (train + queries + int64_t{s.m} * s.n));
  bench.race(state, row, mine, &theirs);
}

// ---- optimizers

void time_optimizer(benchmark::State& state, Bench& bench, Row& row, int64_t parameters,
                    bool adam) {
  no_opponent(row, "none: roofline only");
  row["mode"] = "fp32";
  row["flops"] = 0;
  row["bytes"] = (adam ? 28 : 20) * parameters;  // w, m, v read and written, dw read
  Racer<Vectors> ours;
  ours.make = [&](int sets) {  // w, dw, m, v; none of them negative, as v must not be
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>(4, parameters), sets, 0.0f,
                                     1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    const OptimSlot<float> slot{parameters, v.at(set, 0), v.at(set, 1),
                                adam ? v.at(set, 2) : nullptr, v.at(set, 3)};
    if (adam)
      adam_update<float>(bench.ctx, {}, {slot});
    else
      rmsprop_update<float>(bench.ctx, {}, {slot});
  };
  ours.buffers = ours.make(2);  // the second keeps what the first had
  ours.run(*ours.buffers, 0);
  const auto before = to_host(bench.ctx, ours.buffers->at(1, 0), parameters),
             after = to_host(bench.ctx, ours.buffers->at(0, 0), parameters);
  for (size_t i = 0; i < before.size(); ++i)  // a positive gradient lowers each weight
    ASSAY_CHECK(after[i] < before[i], "ours is wrong: weight {} did not fall", i);
  const auto mine = ours.contender(bench, 16 * parameters);
  bench.race(state, row, mine, nullptr);
}

// ---- batch norm and pooling

/// Tensors of a library's call: x, others of the sizes given.
Racer<TensorSets> library_call(Bench& bench, const std::vector<Extent>& extents, Layout l,
                               const Call& call) {
  Racer<TensorSets> racer;
  racer.make = [=, &bench](int sets) {
    auto v = std::make_unique<TensorSets>(bench.ctx, extents, Element::f32, l, sets);
    for (int set = 0; set < sets; ++set)
      for (size_t i = 0; i < extents.size(); ++i)
        random_uniform<float>(bench.ctx, 4, i, count(extents[i]), 0, 1,
                              static_cast<float*>(v->view(set, i).data));
    return v;
  };
  racer.run = [=](const TensorSets& v, int set) {
    std::vector<void*> pointers;
    for (size_t i = 0; i < extents.size(); ++i) pointers.push_back(v.view(set, i).data);
    call(pointers);
  };
  return racer;
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
void race_memory(benchmark::State& state, Bench& bench, Row& row, Racer<Vectors>& ours,
                 const std::vector<Extent>& extents, const Check& check,
                 const std::function<Call(DnnLibrary&, Layout)>& theirs) {
  constexpr double kMostError = 1e-5;
  row["mode"] = "fp32";
  const auto mine = ours.contender(bench, ours.make(1)->bytes());
  mine.work(0);
  const double error = error_of(bench.ctx, check, extents, [&](size_t i) {
    return TensorView{ours.buffers->at(0, i), extents[i]};
  });
  row["relative_error"] = error;
  ASSAY_CHECK(error <= kMostError, "ours is wrong: relative error {:g}", error);
  if (!bench.dnn) {
    no_opponent(row, "none in this build");
    return bench.race(state, row, mine, nullptr);
  }
  row["base"] = bench.dnn->name();
  std::optional<Racer<TensorSets>> best;
  double least = 0;
  for (const Layout l : {Layout::nhwc, Layout::nchw}) try {
      Racer<TensorSets> racer = library_call(bench, extents, l, theirs(*bench.dnn, l));
      racer.buffers = racer.make(1);
      const Timer::Recording few =
          bench.timer.record([&](int set) { racer.run(*racer.buffers, set); }, 4, 1);
      const double their_error =
          error_of(bench.ctx, check, extents, [&](size_t i) { return racer.buffers->view(0, i); });
      ASSAY_CHECK(their_error <= kMostError, "relative error {:g}", their_error);
      const double us = median({bench.timer.warm(few), bench.timer.warm(few)});
      if (best && us >= least) continue;
      least = us;
      row["plan"] = name_of(l);
      row["base_relative_error"] = their_error;
      best = std::move(racer);
    } catch (const DeviceError&) {
      throw;
    } catch (const Error& e) {
      row["base_error"] = e.what();
    }
  if (!best) return bench.race(state, row, mine, nullptr);
  const auto other = best->contender(bench, TensorSets::bytes_of_set(extents, Element::f32));
  bench.race(state, row, mine, &other);
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

void race_batchnorm(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  const int64_t n = count(e), C = e.C;
  row["flops"] = 0;
  row["bytes"] = 8 * n;
  Racer<Vectors> ours;
  ours.make = [&](int sets) {  // x, gamma, beta, y, mean, rstd, running mean and variance
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, C, C, n, C, C, C, C}, sets,
                                     0.0f, 1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    const auto p = [&](size_t i) { return v.at(set, i); };
    batchnorm_training<float>(bench.ctx, {n / C, e.C}, {}, p(0), p(1), p(2), p(3), p(4), p(5), p(6),
                              p(7));
  };
  const Extent c{1, 1, 1, e.C};
  race_memory(state, bench, row, ours, {e, c, c, e, c, c}, batchnorm_error,
              [e](DnnLibrary& d, Layout l) { return d.batchnorm(e, Element::f32, l); });
}

void race_pool(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  const int64_t n = count(e);
  row["flops"] = 0;
  row["bytes"] = 4 * (n + n / 4) + n / 4;
  Racer<Vectors> ours;
  ours.make = [&](int sets) {  // x, y, argmax
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, n / 4, n / 16 + 1}, sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    max_pool_fprop<float>(bench.ctx, {e.N, e.H, e.W, e.C}, v.at(set, 0), v.at(set, 1),
                          reinterpret_cast<uint8_t*>(v.at(set, 2)));
  };
  race_memory(
      state, bench, row, ours, {e, {e.N, e.H / 2, e.W / 2, e.C}},
      [e](const auto& t) { return pool_error(e, t[0], t[1]); },
      [e](DnnLibrary& d, Layout l) { return d.max_pool(e, Element::f32, l, 2); });
}

/// x, y in [0, 1) and a value per picture; of the first picture and the last one.
double ssim_error(Context& ctx, const SsimShape& s, const Vectors& v) {
  const int64_t picture = int64_t{s.H} * s.W * s.C, last = (s.N - 1) * picture;
  const auto x = to_host(ctx, v.at(0, 0), s.N * picture),
             y = to_host(ctx, v.at(0, 1), s.N * picture);
  const auto got = to_host(ctx, v.at(0, 2), int64_t{s.N});
  double worst = 0;
  for (const int64_t at : {int64_t{0}, last}) {
    float want = 0;
    ref::ssim<float>({1, s.H, s.W, s.C}, x.data() + at, y.data() + at, &want, nullptr);
    const double error = std::abs(double{got[static_cast<size_t>(at / picture)]} - want);
    worst = std::max(worst, std::isnan(error) ? INFINITY : error);
  }
  return worst;
}

void time_ssim(benchmark::State& state, Bench& bench, Row& row, Extent e) {
  constexpr double kMostError = 1e-6;  // its sums are double, its result is float and at most 1
  const SsimShape s{e.N, e.H, e.W, e.C};
  const int64_t n = count(e);
  no_opponent(row, "none: roofline only");
  row["mode"] = "fp32";
  row["flops"] = 0;
  row["bytes"] = 8 * n;
  Racer<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{n, n, e.N}, sets, 0.0f, 1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    ssim<float>(bench.ctx, s, v.at(set, 0), v.at(set, 1), v.at(set, 2), nullptr);
  };
  const auto mine = ours.contender(bench, ours.make(1)->bytes());
  mine.work(0);
  const double error = ssim_error(bench.ctx, s, *ours.buffers);
  row["absolute_error"] = error;
  ASSAY_CHECK(error <= kMostError, "ours is wrong: {:g}", error);
  bench.race(state, row, mine, nullptr);
}

// ---- the table. The emulator gets small sizes under the same kinds of names.

std::vector<Cell> cells(const Settings& settings) {
  std::vector<Cell> all;
  const int N = settings.batch;
  std::vector<std::pair<std::string, GemmShape>> products = {
      {"cnn.fc1-fprop", {N, 512, 576, false, true}},
      {"cnn.fc1-dgrad", {N, 576, 512}},
      {"cnn.fc1-wgrad", {512, 576, N, true, false}},
      {"nicae.fc1-fprop", {N, 512, 256, false, true}},
      {"nicae.fc1-wgrad", {512, 256, N, true, false}}};
  std::vector<KdeShape> densities = {{40, 24, 32}};
  std::vector<int64_t> parameters = {5000};
  std::vector<Extent> tensors = {{2, 8, 8, 16}}, pictures = {{2, 24, 20, 3}};
  if (real_device()) {
    for (const int n : {512, 1024, 2048, 4096, 8192})
      products.push_back({fmt::format("square-{}", n), {n, n, n}});
    densities = {{1000, 200, 8192}, {10000, 1000, 8192}, {50000, 10000, 8192}};
    parameters = {300'000, 1'000'000, 10'000'000, 100'000'000};
    tensors = {{N, 32, 32, 64}, {N, 16, 16, 128}, {N, 8, 8, 256}, {N, 128, 128, 32}};
    pictures = {{N, 128, 128, 3}, {N, 256, 256, 1}};
  }
  for (const auto& [name, s] : products)
    for (const Precision p : kModes)
      all.push_back({fmt::format("gemm/{}/product/{}", name, name_of(p)),
                     [s = s, p](benchmark::State& state, Bench& bench, Row& row) {
                       race_gemm(state, bench, row, s, p);
                     }});
  for (const KdeShape& s : densities)
    for (const Precision p : {Precision::fp32, Precision::tf32x3, Precision::tf32})
      all.push_back({fmt::format("kde/{}x{}x{}/density/{}", s.n, s.m, s.D, name_of(p)),
                     [s, p](benchmark::State& state, Bench& bench, Row& row) {
                       race_kde(state, bench, row, s, p);
                     }});
  for (const int64_t n : parameters)
    for (const bool adam : {true, false})
      all.push_back({fmt::format("optimizers/{}{}/fp32", n, adam ? "/adam" : "/rmsprop"),
                     [n, adam](benchmark::State& state, Bench& bench, Row& row) {
                       time_optimizer(state, bench, row, n, adam);
                     }});
  for (const Extent& e : pictures)
    all.push_back({fmt::format("memory/n{}c{}-{}x{}/ssim/fp32", e.N, e.C, e.H, e.W),
                   [e](benchmark::State& state, Bench& bench, Row& row) {
                     time_ssim(state, bench, row, e);
                   }});
  for (const Extent& e : tensors) {
    const std::string size = fmt::format("n{}c{}-{}x{}", e.N, e.C, e.H, e.W);
    all.push_back({"memory/" + size + "/batchnorm/fp32",
                   [e](benchmark::State& state, Bench& bench, Row& row) {
                     race_batchnorm(state, bench, row, e);
                   }});
    all.push_back(
        {"memory/" + size + "/maxpool/fp32", [e](benchmark::State& state, Bench& bench, Row& row) {
           race_pool(state, bench, row, e);
         }});
  }
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
