// A convolution with random operands and its float64 reference; running an algorithm on it and
// checking its error bound.
#pragma once

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/bf16.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/support/kernel_test.h"

namespace assay::test {

/// A row of the table of algorithms, or what the dispatcher chooses, at a precision; on bf16
/// tensors at the precision bf16.
struct Conv2dWay {
  const Conv2dAlgorithm* row = nullptr;  ///< null: automatic
  Precision precision = Precision::fp32;

  bool on_bf16() const { return precision == Precision::bf16; }

  bool covers(Context& ctx, ConvPass pass, const Conv2dCase& c) const {
    ctx.algorithm = Algorithm::automatic;
    ctx.precision = precision;
    return row == nullptr || row->covers(ctx, pass, c.s, c.e).is_possible();
  }
};
inline std::ostream& operator<<(std::ostream& out, const Conv2dWay& way) {
  return out << (way.row == nullptr ? "automatic" : way.row->name) << ", "
             << name_of(way.precision);
}

/// Every row at every precision that changes its results (only tensor cores round the operands of
/// float tensors), from the last row to the first, then the dispatcher's choice; of the CPU's rows
/// those for float tensors.
inline std::vector<Conv2dWay> conv2d_ways(Device device) {
  std::vector<Conv2dWay> ways;
  const auto table = conv2d_algorithms(device);
  for (auto row = table.rbegin(); row != table.rend(); ++row)
    if (row->is_bf16() && !device.is_cuda())
      continue;  // conv2d_tiles_test.cpp
    else if (row->is_bf16())
      ways.push_back({&*row, Precision::bf16});
    else if (row->algo == Algorithm::tensor_core)
      for (const Precision p : {Precision::tf32, Precision::tf32x3}) ways.push_back({&*row, p});
    else if (row->algo == Algorithm::hopper)
      for (const Precision p : {Precision::tf32, Precision::tf32x3}) ways.push_back({&*row, p});
    else
      ways.push_back({&*row, Precision::fp32});
  ways.push_back({nullptr, Precision::fp32});
  ways.push_back({nullptr, device.is_cuda() ? Precision::bf16 : Precision::fp32_strict});
  return ways;
}

inline constexpr ConvPass kPasses[] = {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad};
inline std::string to_string(ConvPass pass) {
  return pass == ConvPass::fprop ? "fprop" : pass == ConvPass::dgrad ? "dgrad" : "wgrad";
}

/// What a pass computes: y and argmax, dx, or dw and dbias.
struct Conv2dResult {
  std::vector<float> values;
  std::vector<uint8_t> argmax;
  std::vector<float> dbias;
  bool operator==(const Conv2dResult&) const = default;
};

/// A float64 result and, element by element, the sum of the absolute values of its terms.
struct Conv2dReference {
  std::vector<double> want, scale;
};

struct Conv2dProblem {
  Conv2dCase c;
  std::vector<float> x, w, bias, dy;
  std::vector<float> y_of_backward;  ///< y of float64, input of the backward passes
  std::vector<uint8_t> argmax;
  std::vector<double> z;  ///< before pooling and activation
  Conv2dReference y, dx, dw, dbias;

  /// With `bf16_operands` the values of x, w, dy and y_of_backward are bf16 numbers.
  explicit Conv2dProblem(const Conv2dCase& problem, bool bf16_operands = false);
  int64_t outputs() const {
    return int64_t{c.s.N} * (c.s.P() / c.e.pool) * (c.s.Q() / c.e.pool) * c.s.K;
  }
  const Conv2dReference& reference(ConvPass pass) const {
    return pass == ConvPass::fprop ? y : pass == ConvPass::dgrad ? dx : dw;
  }
  /// Terms of the sums of a pass.
  int64_t terms(ConvPass pass) const {
    const Conv2dShape& s = c.s;
    return pass == ConvPass::fprop   ? int64_t{s.R} * s.S * s.C
           : pass == ConvPass::dgrad ? int64_t{s.R} * s.S * s.K * s.upsample * s.upsample
                                     : int64_t{s.N} * s.P() * s.Q();
  }
};

inline Conv2dProblem::Conv2dProblem(const Conv2dCase& problem, bool bf16_operands) : c(problem) {
  const Conv2dShape& s = c.s;
  const Conv2dEpilogue& e = c.e;
  x = random_floats(int64_t{s.N} * s.H * s.W * s.C);
  w = random_floats(int64_t{s.K} * s.R * s.S * s.C);
  bias = random_floats(s.K);
  dy = random_floats(outputs());
  const auto round = [&](std::vector<float>& values) {
    for (float& v : values)
      if (bf16_operands) v = static_cast<float>(bf16(v));
  };
  round(x);
  round(w);
  round(dy);
  const auto xd = widen(x), wd = widen(w), bd = widen(bias), dyd = widen(dy);
  const auto xa = absolute(xd), wa = absolute(wd), ba = absolute(bd), dya = absolute(dyd);
  const Conv2dEpilogue linear{.pool = e.pool};  // every slope is at most 1
  const auto with_size = [](size_t n) {
    return Conv2dReference{std::vector<double>(n), std::vector<double>(n)};
  };
  y = with_size(dy.size());
  dx = with_size(x.size());
  dw = with_size(w.size());
  dbias = with_size(bias.size());

  argmax.resize(dy.size());
  Context& cpu = current_context();  // double is the reference on every device
  conv2d_fprop<double>(cpu, s, e, xd.data(), wd.data(), bd.data(), y.want.data(), argmax.data());
  conv2d_fprop<double>(cpu, s, linear, xa.data(), wa.data(), ba.data(), y.scale.data(), nullptr);
  for (double& v : y.scale) v += 1;  // sigmoid and tanh add a few ulp of their own, at most 1
  if (e.pool > 1) {
    z.resize(static_cast<size_t>(int64_t{s.N} * s.P() * s.Q() * s.K));
    conv2d_fprop<double>(cpu, s, {}, xd.data(), wd.data(), bd.data(), z.data(), nullptr);
  }

  y_of_backward.assign(y.want.begin(), y.want.end());
  round(y_of_backward);
  const auto y_wide = widen(y_of_backward);
  const Conv2dGrad<double> g{dyd.data(), y_wide.data(), argmax.data()};
  const Conv2dGrad<double> ga{dya.data(), nullptr, argmax.data()};
  conv2d_dgrad<double>(cpu, s, e, g, wd.data(), dx.want.data());
  conv2d_dgrad<double>(cpu, s, linear, ga, wa.data(), dx.scale.data());
  conv2d_wgrad<double>(cpu, s, e, xd.data(), g, dw.want.data(), dbias.want.data());
  conv2d_wgrad<double>(cpu, s, linear, xa.data(), ga, dw.scale.data(), dbias.scale.data());
}

/// The passes of a row for bf16 tensors, or of the dispatcher.
struct Bf16Passes {
  decltype(Conv2dAlgorithm::bf16_fprop) fprop = conv2d_fprop<bf16>;
  decltype(Conv2dAlgorithm::bf16_dgrad) dgrad = conv2d_dgrad<bf16>;
  decltype(Conv2dAlgorithm::bf16_wgrad) wgrad = conv2d_wgrad<bf16>;
};
inline std::vector<bf16> to_bf16(const std::vector<float>& values) {
  std::vector<bf16> out;
  for (const float v : values) out.emplace_back(v);
  return out;
}
inline std::vector<float> to_float(const std::vector<bf16>& values) {
  std::vector<float> out;
  for (const bf16 v : values) out.push_back(static_cast<float>(v));
  return out;
}

/// Runs a pass on bf16 tensors over poisoned outputs.
inline Conv2dResult run_on_bf16(Context& ctx, const Conv2dProblem& p, ConvPass pass,
                                const Bf16Passes& passes) {
  const Conv2dShape& s = p.c.s;
  const Conv2dEpilogue& e = p.c.e;
  const Array x(ctx, to_bf16(p.x)), dy(ctx, to_bf16(p.dy)), y(ctx, to_bf16(p.y_of_backward));
  const Array w(ctx, p.w), bias(ctx, p.bias);
  const Array argmax(ctx, p.argmax);
  const Conv2dGrad<bf16> g{dy, y, argmax};
  const auto nans = [](size_t n) { return to_bf16(poisoned(static_cast<int64_t>(n))); };
  const Array y_out(ctx, nans(p.dy.size())), dx(ctx, nans(p.x.size()));
  const Array<uint8_t> argmax_out(ctx, p.outputs());
  const Array<float> dw(ctx, static_cast<int64_t>(p.w.size())), dbias(ctx, s.K);
  switch (pass) {
    case ConvPass::fprop:
      passes.fprop(ctx, s, e, x, w.get(), bias, y_out, e.pool > 1 ? argmax_out.get() : nullptr);
      return {to_float(y_out.host()), e.pool > 1 ? argmax_out.host() : std::vector<uint8_t>(), {}};
    case ConvPass::dgrad:
      passes.dgrad(ctx, s, e, g, w.get(), dx);
      return {to_float(dx.host()), {}, {}};
    case ConvPass::wgrad:
      passes.wgrad(ctx, s, e, x, g, dw, dbias);
      return {dw.host(), {}, dbias.host()};
  }
  return {};
}

/// Runs a pass over poisoned outputs on the context's device. `again` runs it twice and checks that
/// the second call gives the same and takes no memory from the system.
inline Conv2dResult run(Context& ctx, const Conv2dProblem& p, ConvPass pass, const Conv2dWay& way,
                        bool again = false) {
  ctx.precision = way.precision;
  if (way.on_bf16())
    return run_on_bf16(ctx, p, pass,
                       way.row == nullptr ? Bf16Passes()
                                          : Bf16Passes{way.row->bf16_fprop, way.row->bf16_dgrad,
                                                       way.row->bf16_wgrad});
  const Conv2dShape& s = p.c.s;
  const Conv2dEpilogue& e = p.c.e;
  const Array<float> x(ctx, p.x), w(ctx, p.w), bias(ctx, p.bias), dy(ctx, p.dy);
  const Array<float> y_given(ctx, p.y_of_backward);
  const Array<uint8_t> argmax_given(ctx, p.argmax);
  const Conv2dGrad<float> g{dy, y_given, argmax_given};
  const auto call = [&] {
    const Array<float> out(ctx, static_cast<int64_t>(p.reference(pass).want.size()));
    const Array<float> dbias(ctx, s.K);
    const Array<uint8_t> argmax(ctx, p.outputs());
    const auto fprop = way.row != nullptr ? way.row->fprop : conv2d_fprop<float>;
    const auto dgrad = way.row != nullptr ? way.row->dgrad : conv2d_dgrad<float>;
    const auto wgrad = way.row != nullptr ? way.row->wgrad : conv2d_wgrad<float>;
    if (pass == ConvPass::fprop)
      fprop(ctx, s, e, x, w.get(), bias, out, e.pool > 1 ? argmax.get() : nullptr);
    else if (pass == ConvPass::dgrad)
      dgrad(ctx, s, e, g, w.get(), out);
    else
      wgrad(ctx, s, e, x, g, out, dbias);
    Conv2dResult r{out.host(), {}, {}};
    if (pass == ConvPass::fprop && e.pool > 1) r.argmax = argmax.host();
    if (pass == ConvPass::wgrad) r.dbias = dbias.host();
    return r;
  };
  const Conv2dResult result = call();
  if (again) {
    // A thread without a part in the calls before needs its scratch now, so a few calls may pass
    // until one takes no memory from the system. Without the cache none would.
    bool settled = false;
    for (int calls = 0; !settled && calls < 8; ++calls) {
      const int64_t before = ctx.memory->stats().system_calls;
      CHECK(call() == result);
      settled = ctx.memory->stats().system_calls == before;
    }
    CHECK(settled);
  }
  return result;
}

/// Bound of the error of a sum of n products, in units of eps * sum |a||b|.
///   fp32: gamma_n of Higham, "Accuracy and stability", section 3.1, with n+4 for bias,
///   activation and folded filters
///   tf32: each operand is first rounded to 11 significant bits, which moves it by at most 2^-11 of
///   itself
inline double roundings(Precision precision, int64_t n) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const double sum = static_cast<double>(n) + 4;
  switch (precision) {
    case Precision::tf32:
      return sum + 2 * std::exp2(-11) / kEps * (1 + std::exp2(-11));
    case Precision::tf32x3:
      // Three sums; what is left of an operand and the product of the small parts: 2^-22 each.
      return 3 * sum + 3 * std::exp2(-22) / kEps;
    default:
      return sum;
  }
}

/// Whether the chosen positions hold maxima of their windows, up to the error of the sums.
inline bool maxima_chosen(const Conv2dProblem& p, const std::vector<uint8_t>& argmax,
                          double factor) {
  const Conv2dShape& s = p.c.s;
  const int pool = p.c.e.pool, rows = s.P() / pool, columns = s.Q() / pool;
  size_t i = 0;
  for (int n = 0; n < s.N; ++n)
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        for (int k = 0; k < s.K; ++k, ++i) {
          const auto z = [&](int place) {
            const int64_t at = (int64_t{n} * s.P() + row * pool + place / pool) * s.Q() +
                               column * pool + place % pool;
            return p.z[static_cast<size_t>(at * s.K + k)];
          };
          if (argmax[i] >= pool * pool) return false;
          double best = z(0);
          for (int place = 1; place < pool * pool; ++place) best = std::max(best, z(place));
          const double error = factor * std::numeric_limits<float>::epsilon() * p.y.scale[i];
          if (z(argmax[i]) < best - 2 * error) return false;
        }
  return true;
}

/// Bound of the error on bf16 tensors in units of eps * sum |a||b|, without the output's rounding.
/// Operands are bf16 numbers, so that their products are exact and gamma_n of the sum is left, but
/// for two roundings to bf16, each by 2^-8 of a value at most: of dz where f' is not 0 or 1, and of
/// weights that are summed first behind an upsampling.
inline double roundings_on_bf16(const Conv2dProblem& p, ConvPass pass) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const Activation a = p.c.e.activation;
  const bool rounds_dz = pass != ConvPass::fprop && a != Activation::none && a != Activation::relu;
  const bool rounds_sums = pass != ConvPass::wgrad && p.c.s.upsample > 1;
  const double operands =
      std::exp2(-8) * (rounds_dz + rounds_sums + rounds_dz * rounds_sums / 256.0);
  return static_cast<double>(p.terms(pass)) + 4 + operands / kEps;
}

/// Checks a result on bf16 tensors; the operands of p are bf16 numbers.
inline void check_bound_on_bf16(const Conv2dProblem& p, ConvPass pass, const Conv2dResult& got) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const Conv2dReference& r = p.reference(pass);
  const double factor = roundings_on_bf16(p, pass);
  std::vector<double> scale = r.scale;
  if (pass != ConvPass::wgrad)  // the output's rounding: 2^-8 of the value
    for (size_t i = 0; i < scale.size(); ++i)
      scale[i] += std::exp2(-8) * (scale[i] + std::abs(r.want[i]) / (factor * kEps));
  CHECK(excess(got.values, r.want, scale, factor) <= 0);
  if (pass == ConvPass::fprop && p.c.e.pool > 1) CHECK(maxima_chosen(p, got.argmax, factor));
  if (pass == ConvPass::wgrad) CHECK(excess(got.dbias, p.dbias.want, p.dbias.scale, factor) <= 0);
}

/// Checks a result against the bound of a sum of products.
inline void check_bound(const Conv2dProblem& p, ConvPass pass, Precision precision,
                        const Conv2dResult& got) {
  if (precision == Precision::bf16) return check_bound_on_bf16(p, pass, got);
  const Conv2dReference& r = p.reference(pass);
  const double factor = roundings(precision, p.terms(pass));
  CHECK(excess(got.values, r.want, r.scale, factor) <= 0);
  if (pass == ConvPass::fprop && p.c.e.pool > 1) CHECK(maxima_chosen(p, got.argmax, factor));
  if (pass == ConvPass::wgrad)  // a sum of gradients, rounded by no algorithm
    CHECK(excess(got.dbias, p.dbias.want, p.dbias.scale,
                 roundings(Precision::fp32, p.terms(pass))) <= 0);
}

}  // namespace assay::test
