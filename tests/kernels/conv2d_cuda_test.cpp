// Every rung of the CUDA ladder, every pass and precision, against the float64 reference.
#include <map>
#include <string>
#include <tuple>

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/transfer.h"
#include "tests/kernels/kernel_test.h"

namespace assay {
namespace {

using test::absolute;
using test::widen;

/// Device memory that ends where its block ends, so that the emulator sees an access behind it.
template <class T>
class DeviceVector {
 public:
  DeviceVector(Context& ctx, const std::vector<T>& values)
      : ctx_(ctx), size_(values.size()), bytes_(size_ * sizeof(T)) {
    const int64_t before = ctx.memory->stats().live;
    block_ = Scratch(ctx, bytes_);
    const auto whole = static_cast<size_t>(ctx.memory->stats().live - before);
    data_ = reinterpret_cast<T*>(block_.as<char>() + (whole - bytes_) / 16 * 16);
    copy_bytes(ctx, data_, ctx.device, values.data(), Device::cpu(), bytes_);
  }
  T* get() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(size_);
    copy_bytes(ctx_, values.data(), Device::cpu(), data_, ctx_.device, bytes_);
    return values;
  }

 private:
  Context& ctx_;
  size_t size_, bytes_;
  Scratch block_;
  T* data_;
};

struct Case {
  Conv2dShape s;
  Conv2dEpilogue e;
};

constexpr Activation kNone = Activation::none, kRelu = Activation::relu,
                     kLeaky = Activation::leaky_relu, kSigmoid = Activation::sigmoid,
                     kTanh = Activation::tanh;

// N H W C K R S stride pad upsample, activation slope pool.
const Case kCases[] = {
    // layers of the models, on small pictures
    {{1, 12, 12, 3, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 9, 9, 16, 16, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 32, 64, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 64, 32, 3, 3, 1, 1, 1}, {kRelu, 0, 4}},
    {{1, 3, 3, 40, 64, 3, 3, 1, 1, 4}, {kRelu, 0, 1}},
    {{1, 5, 4, 64, 32, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 6, 6, 32, 3, 3, 3, 1, 1, 2}, {kSigmoid, 0, 1}},
    {{1, 5, 5, 128, 1, 1, 1, 1, 0, 2}, {kSigmoid, 0, 1}},
    {{1, 8, 8, 1, 128, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{1, 8, 8, 8, 4, 3, 3, 1, 1, 1}, {kRelu, 0, 2}},
    {{2, 4, 4, 4, 8, 3, 3, 1, 1, 2}, {kRelu, 0, 1}},
    {{1, 12, 12, 3, 64, 4, 4, 2, 1, 1}, {kLeaky, 0.2f, 1}},
    {{1, 8, 8, 32, 40, 4, 4, 2, 1, 1}, {kNone, 0, 1}},
    {{3, 4, 4, 64, 1, 4, 4, 1, 0, 1}, {kNone, 0, 1}},
    // awkward ones
    {{1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 1, 1, 5, 3, 3, 3, 1, 1, 1}, {kTanh, 0, 1}},
    {{2, 5, 7, 3, 17, 5, 3, 1, 2, 1}, {kLeaky, 0.1f, 1}},
    {{1, 7, 5, 5, 33, 2, 2, 1, 0, 1}, {kNone, 0, 2}},
    {{1, 9, 11, 3, 5, 3, 3, 2, 0, 1}, {kRelu, 0, 1}},
    {{2, 11, 10, 12, 7, 3, 3, 3, 2, 1}, {kNone, 0, 1}},
    {{1, 10, 10, 3, 6, 2, 2, 3, 0, 1}, {kSigmoid, 0, 1}},
    {{1, 6, 6, 20, 36, 3, 3, 1, 4, 1}, {kRelu, 0, 2}},
    {{1, 5, 6, 7, 9, 3, 3, 1, 0, 2}, {kTanh, 0, 2}},
    {{1, 3, 5, 2, 3, 5, 5, 1, 2, 4}, {kRelu, 0, 4}},
    {{1, 4, 4, 3, 5, 3, 3, 2, 1, 2}, {kNone, 0, 1}},
    {{1, 9, 7, 31, 65, 1, 1, 1, 0, 1}, {kNone, 0, 1}},
    {{1, 9, 9, 3, 19, 3, 3, 1, 1, 1}, {kSigmoid, 0, 4}},
    {{20, 3, 3, 4, 6, 3, 3, 1, 1, 1}, {kRelu, 0, 1}},
    {{1, 3, 3, 2, 5, 3, 3, 1, 0, 1}, {kNone, 0, 2}},  // no window fits: y is empty
    {{2, 13, 12, 16, 20, 3, 3, 3, 1, 1}, {kLeaky, 0.1f, 2}},
    {{2, 3, 5, 7, 2, 1, 1, 1, 0, 4}, {kLeaky, 0.2f, 1}},
};

/// One case: inputs and what the float64 reference makes of them.
struct Problem {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<float> x, w, bias, dy, y_exact;
  std::vector<uint8_t> argmax;
  std::vector<double> y, y_scale, z, dx, dx_scale, dw, dw_scale, db, db_scale;

  explicit Problem(const Case& c);
  int64_t outputs() const { return int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K; }
};

Problem::Problem(const Case& c) : s(c.s), e(c.e) {
  x = test::random_floats(int64_t{s.N} * s.H * s.W * s.C);
  w = test::random_floats(int64_t{s.K} * s.R * s.S * s.C);
  bias = test::random_floats(s.K);
  dy = test::random_floats(outputs());
  const auto pooled = static_cast<size_t>(outputs());
  const auto xd = widen(x), wd = widen(w), bd = widen(bias), dyd = widen(dy);
  const auto xa = absolute(xd), wa = absolute(wd), ba = absolute(bd), dya = absolute(dyd);
  const Conv2dEpilogue linear{.pool = e.pool};  // every slope is at most 1

  y.resize(pooled);
  y_scale.resize(pooled);
  argmax.resize(pooled);
  z.resize(static_cast<size_t>(int64_t{s.N} * s.P() * s.Q() * s.K));
  ref::conv2d_fprop<double>(s, e, xd.data(), wd.data(), bd.data(), y.data(), argmax.data());
  ref::conv2d_fprop<double>(s, {}, xd.data(), wd.data(), bd.data(), z.data(), nullptr);
  ref::conv2d_fprop<double>(s, linear, xa.data(), wa.data(), ba.data(), y_scale.data(), nullptr);
  for (double& v : y_scale) v += 1;  // sigmoid and tanh add a few ulp of their own, at most 1

  // The backward passes are those of the same function: y and argmax are the float64 ones.
  y_exact.assign(y.begin(), y.end());
  const auto y_wide = widen(y_exact);
  const Conv2dGrad<double> g{dyd.data(), y_wide.data(), argmax.data()};
  const Conv2dGrad<double> ga{dya.data(), nullptr, argmax.data()};
  dx.resize(x.size());
  dx_scale.resize(x.size());
  ref::conv2d_dgrad<double>(s, e, g, wd.data(), dx.data());
  ref::conv2d_dgrad<double>(s, linear, ga, wa.data(), dx_scale.data());
  dw.resize(w.size());
  dw_scale.resize(w.size());
  db.resize(bias.size());
  db_scale.resize(bias.size());
  ref::conv2d_wgrad<double>(s, e, xd.data(), g, dw.data(), db.data());
  ref::conv2d_wgrad<double>(s, linear, xa.data(), ga, dw_scale.data(), db_scale.data());
}

/// Bound of the error of a sum of n products, in units of eps * sum |a||b|.
///   fp32: gamma_n of Higham, "Accuracy and stability", section 3.1, with n+4 for bias,
///   activation and folded filters
///   tf32, bf16: each operand is first rounded to 11 or 8 significant bits, which moves it by at
///   most 2^-11 or 2^-8 of itself
double roundings(Precision precision, int64_t n) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const double sum = static_cast<double>(n) + 4;
  switch (precision) {
    case Precision::tf32:
      return sum + 2 * std::exp2(-11) / kEps * (1 + std::exp2(-11));
    case Precision::bf16:
      return sum + 2 * std::exp2(-8) / kEps * (1 + std::exp2(-8));
    case Precision::tf32x3:
      // Three sums; what is left of an operand and the product of the small parts: 2^-22 each.
      return 3 * sum + 3 * std::exp2(-22) / kEps;
    default:
      return sum;
  }
}

/// The chosen position holds a maximum of its window, up to the error of the sums.
void check_argmax(const Problem& p, const std::vector<uint8_t>& argmax, double factor) {
  const auto& [s, e] = std::tie(p.s, p.e);
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;
  size_t i = 0;
  for (int n = 0; n < s.N; ++n)
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        for (int k = 0; k < s.K; ++k, ++i) {
          const auto z = [&](int place) {
            const int64_t at = (int64_t{n} * s.P() + row * e.pool + place / e.pool) * s.Q() +
                               column * e.pool + place % e.pool;
            return p.z[static_cast<size_t>(at * s.K + k)];
          };
          REQUIRE(argmax[i] < e.pool * e.pool);
          double best = z(0);
          for (int place = 1; place < e.pool * e.pool; ++place) best = std::max(best, z(place));
          REQUIRE(z(argmax[i]) >=
                  best - 2 * factor * std::numeric_limits<float>::epsilon() * p.y_scale[i]);
        }
}

void check_fprop(Context& ctx, const Problem& p) {
  const Conv2dShape& s = p.s;
  const DeviceVector x(ctx, p.x), w(ctx, p.w), bias(ctx, p.bias);
  const DeviceVector y(ctx, test::poisoned(p.outputs()));
  const DeviceVector argmax(ctx, std::vector<uint8_t>(p.y.size(), 255));
  cuda::conv2d_fprop(ctx, s, p.e, x.get(), w.get(), bias.get(), y.get(),
                     p.e.pool > 1 ? argmax.get() : nullptr);
  const double factor = roundings(ctx.precision, int64_t{s.R} * s.S * s.C);
  CHECK(test::excess(y.host(), p.y, p.y_scale, factor) <= 0);
  if (p.e.pool > 1) check_argmax(p, argmax.host(), factor);
}

void check_dgrad(Context& ctx, const Problem& p) {
  const Conv2dShape& s = p.s;
  const DeviceVector w(ctx, p.w), dy(ctx, p.dy), y(ctx, p.y_exact);
  const DeviceVector argmax(ctx, p.argmax);
  const DeviceVector dx(ctx, test::poisoned(static_cast<int64_t>(p.x.size())));
  cuda::conv2d_dgrad(ctx, s, p.e, {dy.get(), y.get(), argmax.get()}, w.get(), dx.get());
  const int64_t terms = int64_t{s.R} * s.S * s.K * s.upsample * s.upsample;
  CHECK(test::excess(dx.host(), p.dx, p.dx_scale, roundings(ctx.precision, terms)) <= 0);
}

void check_wgrad(Context& ctx, const Problem& p) {
  const Conv2dShape& s = p.s;
  const DeviceVector x(ctx, p.x), dy(ctx, p.dy), y(ctx, p.y_exact);
  const DeviceVector argmax(ctx, p.argmax);
  const DeviceVector dw(ctx, test::poisoned(static_cast<int64_t>(p.w.size())));
  const DeviceVector db(ctx, test::poisoned(s.K));
  cuda::conv2d_wgrad(ctx, s, p.e, x.get(), {dy.get(), y.get(), argmax.get()}, dw.get(), db.get());
  const int64_t terms = int64_t{s.N} * s.P() * s.Q();
  CHECK(test::excess(dw.host(), p.dw, p.dw_scale, roundings(ctx.precision, terms)) <= 0);
  CHECK(test::excess(db.host(), p.db, p.db_scale, roundings(Precision::fp32, terms)) <= 0);
}

struct Way {
  ConvAlgo conv;
  Precision precision;
};
const Way kWays[] = {
    {ConvAlgo::naive, Precision::fp32},         {ConvAlgo::tiled, Precision::fp32},
    {ConvAlgo::pipelined, Precision::fp32},     {ConvAlgo::tensor_core, Precision::tf32},
    {ConvAlgo::tensor_core, Precision::tf32x3}, {ConvAlgo::tensor_core, Precision::bf16},
};

TEST_CASE("conv2d on CUDA: every rung, pass and precision") {
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = *context;
  std::map<std::pair<ConvAlgo, ConvPass>, int> runs;
  for (const Case& c : kCases) {
    const Problem p(c);
    INFO("N ", p.s.N, " H ", p.s.H, " W ", p.s.W, " C ", p.s.C, " K ", p.s.K, " R ", p.s.R, " S ",
         p.s.S, " stride ", p.s.stride, " pad ", p.s.pad, " upsample ", p.s.upsample, " pool ",
         p.e.pool);
    for (const Way& way : kWays) {
      INFO("rung ", static_cast<int>(way.conv), " precision ", std::string(name_of(way.precision)));
      ctx.conv = way.conv;
      ctx.precision = way.precision;
      // Where the rung falls to a lower one, that one's turn is another.
      const auto runs_here = [&](ConvPass pass) {
        const bool here = cuda::conv2d_rung(ctx, pass, p.s, p.e) == way.conv;
        runs[{way.conv, pass}] += here;
        return here;
      };
      if (runs_here(ConvPass::fprop)) check_fprop(ctx, p);
      if (runs_here(ConvPass::dgrad)) check_dgrad(ctx, p);
      if (runs_here(ConvPass::wgrad)) check_wgrad(ctx, p);
    }
  }
  for (const Way& way : kWays)
    for (const ConvPass pass : {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad}) {
      INFO("rung ", static_cast<int>(way.conv), " pass ", static_cast<int>(pass));
      CHECK(runs[{way.conv, pass}] >= 5);
    }
}

}  // namespace
}  // namespace assay
