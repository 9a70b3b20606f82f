// Every convolution of the four models at its own size, on one image: every pass with every
// algorithm that covers it, and on the CPU, against sampled float64 values. Outputs are poisoned
// first.
#include <cmath>
#include <map>
#include <string>
#include <tuple>

#include "bench/gpu/conv_check.h"
#include "bench/model_layers.h"
#include "kernels/conv2d/algorithm.h"
#include "tests/support/kernel_test.h"

namespace assay::bench {
namespace {

using test::Array;

/// A layer's operands, its forward pass by the CPU, and the reference of each pass.
struct Problem {
  Layer layer;
  ConvHost h;
  ConvSample samples[3];
  std::vector<double> dbias;

  explicit Problem(const Layer& l);
  const ConvSample& sample(Pass pass) const { return samples[static_cast<int>(pass)]; }
};

Problem::Problem(const Layer& l) : layer(l) {
  const Conv2dShape& s = l.shape;
  const Conv2dEpilogue& e = l.epilogue;
  const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
  h.s = s;
  h.e = e;
  h.x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
  h.w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
  h.bias = test::random_floats(s.K);
  h.dy = test::random_floats(outputs);
  std::vector<float> y(h.dy.size());
  std::vector<uint8_t> argmax(h.dy.size());
  CpuContext cpu;
  conv2d_fprop<float>(cpu, s, e, h.x.data(), h.w.data(), h.bias.data(), y.data(), argmax.data());
  dbias.resize(h.bias.size());
  for (size_t i = 0; i < y.size(); ++i)
    dbias[i % dbias.size()] +=
        h.dy[i] * activation_slope(e.activation, double{e.slope}, double{y[i]});
  if (e.activation != Activation::none) h.y = y;
  if (e.pool > 1) h.argmax = argmax;
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad})
    samples[static_cast<int>(pass)] = sample_convolution(cpu, h, pass);
}

/// The sample's error in `got`; infinite where any element was left unwritten.
double error_of(const ConvSample& sample, const std::vector<float>& got) {
  for (const float v : got)
    if (!std::isfinite(v)) return INFINITY;
  std::vector<float> values;
  for (const int64_t i : sample.at) values.push_back(got[static_cast<size_t>(i)]);
  return sample.error(values);
}

/// How far the chosen positions are from the maxima of their windows, as the error of a sample.
double error_of_argmax(const Problem& p, const std::vector<uint8_t>& argmax) {
  ConvSample maxima = p.sample(Pass::fprop);
  std::vector<float> chosen;
  for (size_t i = 0; i < maxima.at.size(); ++i) {
    const int places = p.h.e.pool * p.h.e.pool, place = argmax[static_cast<size_t>(maxima.at[i])];
    if (place >= places) return INFINITY;
    double& best = maxima.value[i] = -INFINITY;
    for (int a = 0; a < places; ++a) best = std::max(best, before_pooling(p.h, maxima.at[i], a));
    chosen.push_back(static_cast<float>(before_pooling(p.h, maxima.at[i], place)));
  }
  return maxima.error(chosen);
}

/// As elements of type T, and as floats.
template <class T>
std::vector<T> elements(const std::vector<float>& values) {
  std::vector<T> out;
  for (const float v : values) out.push_back(static_cast<T>(v));
  return out;
}
template <class T>
std::vector<float> floats(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T v : values) out.push_back(static_cast<float>(v));
  return out;
}
template <class T>
std::vector<T> poisoned(size_t n) {
  return elements<T>(test::poisoned(static_cast<int64_t>(n)));
}

template <class T>
void run_on(Context& ctx, const Problem& p, Pass pass) {
  const auto& [s, e] = std::tie(p.h.s, p.h.e);
  const double bound = max_error(ctx.precision);
  const Array<float> w(ctx, p.h.w);
  if (pass == Pass::fprop) {
    const Array<float> bias(ctx, p.h.bias);
    const Array<T> x(ctx, elements<T>(p.h.x)), y(ctx, poisoned<T>(p.h.dy.size()));
    const Array<uint8_t> argmax(ctx, static_cast<int64_t>(p.h.dy.size()));
    conv2d_fprop<T>(ctx, s, e, x, w.get(), bias, y, e.pool > 1 ? argmax.get() : nullptr);
    CHECK(error_of(p.sample(pass), floats(y.host())) <= bound);
    // Two sums of a window, each with its error.
    if (e.pool > 1) CHECK(error_of_argmax(p, argmax.host()) <= 2 * bound);
    return;
  }
  const Array<T> dy(ctx, elements<T>(p.h.dy)), y(ctx, elements<T>(p.h.y));
  const Array<uint8_t> argmax(ctx, p.h.argmax);
  const Conv2dGrad<T> g{dy, e.activation == Activation::none ? nullptr : y.get(),
                        e.pool > 1 ? argmax.get() : nullptr};
  if (pass == Pass::dgrad) {
    const Array<T> dx(ctx, poisoned<T>(p.h.x.size()));
    conv2d_dgrad<T>(ctx, s, e, g, w.get(), dx);
    CHECK(error_of(p.sample(pass), floats(dx.host())) <= bound);
    return;
  }
  const Array<T> x(ctx, elements<T>(p.h.x));
  const Array<float> dw(ctx, static_cast<int64_t>(p.h.w.size())), db(ctx, s.K);
  conv2d_wgrad<T>(ctx, s, e, x, g, dw, db);
  CHECK(error_of(p.sample(pass), dw.host()) <= bound);
  double difference = 0, norm = 0;
  const std::vector<float> bias = db.host();
  for (size_t k = 0; k < bias.size(); ++k) {
    difference += (bias[k] - p.dbias[k]) * (bias[k] - p.dbias[k]);
    norm += p.dbias[k] * p.dbias[k];
  }
  // A sum of gradients, which no precision but bf16 rounds.
  constexpr bool kWide = sizeof(T) == sizeof(float);
  CHECK(std::sqrt(difference / norm) <= max_error(kWide ? Precision::fp32 : Precision::bf16));
}
void run(Context& ctx, const Problem& p, Pass pass) {
  if (activation_type(ctx) == DType::bf16)
    run_on<bf16>(ctx, p, pass);
  else
    run_on<float>(ctx, p, pass);
}

TEST_CASE("every layer of the models on the CPU") {
  if (!test::tested("cpu")) return;
  CpuContext ctx;
  for (const Layer& layer : model_layers(1)) {
    const Problem p(layer);
    CAPTURE(layer.name);
    for (const Precision precision : {Precision::fp32, Precision::fp32_strict})
      for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
        CAPTURE(std::string(name_of(pass)));
        ctx.get().precision = precision;
        run(ctx, p, pass);
      }
  }
}

struct Way {
  Algorithm algorithm;
  Precision precision;
};
constexpr Way kWays[] = {
    {Algorithm::naive, Precision::fp32},         {Algorithm::tiled, Precision::fp32},
    {Algorithm::direct, Precision::fp32},        {Algorithm::pipelined, Precision::fp32},
    {Algorithm::tensor_core, Precision::tf32},   {Algorithm::tensor_core, Precision::bf16},
    {Algorithm::tensor_core, Precision::tf32x3},
};

/// A few large layers are most of the work, and the emulator is slow. So every layer runs at its
/// own size by the dispatcher's choice, and a large one by the other algorithms on a part of the
/// image.
#if defined(ASSAY_EMULATED)
constexpr int64_t kMaxFlops = 15'000'000;
#else
constexpr int64_t kMaxFlops = 200'000'000;
#endif

Layer smaller(Layer layer) {
  while (conv2d_flops(layer.shape) > kMaxFlops) {
    layer.shape.H /= 2;
    layer.shape.W /= 2;
  }
  return layer;
}

/// Returns whether it ran, and not a lower algorithm in its place.
bool run(Context& ctx, const Problem& p, const Way& way, Pass pass) {
  CAPTURE(p.layer.name);
  CAPTURE(std::string(name_of(pass)));
  CAPTURE(std::string(name_of(way.algorithm)));
  CAPTURE(std::string(name_of(way.precision)));
  ctx.algorithm = way.algorithm;
  ctx.precision = way.precision;
  if (way.algorithm != Algorithm::automatic &&
      conv2d_algorithm(ctx, pass, p.h.s, p.h.e, activation_type(ctx)).algo() != way.algorithm)
    return false;
  run(ctx, p, pass);
  return true;
}

TEST_CASE("every layer of the models on CUDA: every pass with every algorithm that covers it") {
  if (!test::cuda_tested()) return;
  const auto context = make_context(Device::cuda(), 1);
  constexpr Way kDefault{Algorithm::automatic, Precision::fp32};
  constexpr Pass kPasses[] = {Pass::fprop, Pass::dgrad, Pass::wgrad};
  std::map<std::tuple<Algorithm, Precision, Pass>, int> layers;
  for (const Layer& layer : model_layers(1)) {
    {
      const Problem whole(layer);
      for (const Pass pass : kPasses) run(*context, whole, kDefault, pass);
    }
    const Problem p(smaller(layer));
    for (const Way& way : kWays)
      for (const Pass pass : kPasses)
        layers[{way.algorithm, way.precision, pass}] += run(*context, p, way, pass);
  }
  // The number of the 33 layers that an algorithm covers may change, but none covers only a few.
  for (const Way& way : kWays)
    for (const Pass pass : kPasses) {
      CAPTURE(std::string(name_of(way.algorithm)));
      CAPTURE(std::string(name_of(pass)));
      CHECK(layers[{way.algorithm, way.precision, pass}] >= 10);
    }
}

}  // namespace
}  // namespace assay::bench
