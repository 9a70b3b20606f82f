// bf16 elements: the conversions, and every kernel that takes them, which must give the rounded
// results of the fp32 kernel on the same numbers.
#include "kernels/runtime/bf16.h"

#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/batchnorm/batchnorm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/gemm.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

using test::Conv2dCase;
using Bits = std::vector<uint16_t>;

/// The bf16 nearest to f by exact arithmetic; of two equally near ones the even one.
uint16_t nearest_bits(float f) {
  if (std::isnan(f)) return 0x7fff;
  const auto down = static_cast<uint16_t>(std::bit_cast<uint32_t>(f) >> 16);  // towards zero
  const auto value = [](uint16_t bits) {
    // Beyond the largest number lies 2^128, as if the exponent had no end.
    const bool end = (bits & 0x7fff) == 0x7f80;
    const float v = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    return end ? std::copysign(std::exp2(128.0), static_cast<double>(v)) : static_cast<double>(v);
  };
  if (std::isinf(f)) return down;
  const auto up = static_cast<uint16_t>(down + 1);
  const double below = std::abs(f - value(down)), above = std::abs(value(up) - f);
  if (below != above) return below < above ? down : up;
  return down % 2 == 0 ? down : up;
}

Bits bits_of(const std::vector<bf16>& values) {
  Bits bits;
  for (const bf16 v : values) bits.push_back(v.bits);
  return bits;
}
std::vector<bf16> narrow(const std::vector<float>& values) {
  std::vector<bf16> out;
  for (const float v : values) out.push_back(bf16(v));
  return out;
}
std::vector<float> wide(const std::vector<bf16>& values) {
  std::vector<float> out;
  for (const bf16 v : values) out.push_back(static_cast<float>(v));
  return out;
}

/// n random bf16.
std::vector<bf16> random_bf16(int64_t n) {
  return narrow(test::random_floats(n));
}
/// n elements that no kernel left as they are.
std::vector<bf16> poisoned(int64_t n) {
  return narrow(test::poisoned(n));
}

TEST_CASE("bf16: a float becomes the nearest one, of two the even one, NaN 0x7fff") {
  std::vector<float> x = {0.0f,      -0.0f,     1.0f,      -1.0f,      INFINITY, -INFINITY,
                          NAN,       3e38f,     3.4e38f,   -3.4e38f,   1e-45f,   -1e-40f,
                          1.17e-38f, 0x1p-133f, 0x1p-134f, 0x1.8p-133f};
  for (uint32_t upper = 0; upper < 0x10000; upper += 7)
    for (const uint32_t lower : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      x.push_back(std::bit_cast<float>(upper << 16 | lower));
  const auto n = static_cast<int64_t>(x.size());
  Bits want;
  for (const float f : x) want.push_back(nearest_bits(f));
  CHECK(bits_of(narrow(x)) == want);
  test::every_way(
      [&](Context& c) {
        const test::Array y(c, poisoned(n));
        convert(c, n, test::Array(c, x), y);
        return bits_of(y.host());
      },
      [&](const Bits& got) { CHECK(got == want); });
}

TEST_CASE("bf16: all of them become floats and come back") {
  std::vector<bf16> all(0x10000);
  for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(i);
  const auto n = static_cast<int64_t>(all.size());
  Bits want;
  for (const bf16 v : all)
    want.push_back((v.bits & 0x7fff) > 0x7f80 ? static_cast<uint16_t>(0x7fff) : v.bits);
  test::every_way(
      [&](Context& c) {
        const test::Array f(c, test::poisoned(n));
        const test::Array y(c, poisoned(n));
        convert(c, n, test::Array(c, all), f);
        convert(c, n, f.get(), y);
        return bits_of(y.host());
      },
      [&](const Bits& got) { CHECK(got == want); });
  for (const size_t i : {size_t{0x3f80}, size_t{0x8001}, size_t{0xff80}})
    CHECK(std::bit_cast<uint32_t>(static_cast<float>(all[i])) == i << 16);
}

/// Copies of operands in the memory of a context's device, while it lives. bf16 operands are given
/// as elements of type T.
template <class T>
class Operands {
 public:
  explicit Operands(Context& ctx) : ctx_(ctx) {}
  const T* operator()(const std::vector<bf16>& v) {
    if constexpr (std::is_same_v<T, bf16>)
      return keep(v);
    else
      return keep(wide(v));
  }
  /// Parameters.
  const float* operator()(const std::vector<float>& v) { return keep(v); }
  const uint8_t* operator()(const std::vector<uint8_t>& v) { return keep(v); }

 private:
  template <class E>
  const E* keep(const std::vector<E>& v) {
    const auto array = std::make_shared<test::Array<E>>(ctx_, v);
    kept_.push_back(array);
    return array->get();
  }
  Context& ctx_;
  std::vector<std::shared_ptr<void>> kept_;
};

/// The output of n elements of kernel(ctx, operands, output), as bits of bf16, and what it returns.
template <class T, class Kernel>
std::pair<Bits, std::vector<float>> outputs_of(Context& ctx, int64_t n, const Kernel& kernel) {
  // Without the rows for bf16, whose products round the weights.
  ctx.algorithm = ctx.device.is_cuda() ? Algorithm::tiled : Algorithm::blocked;
  Operands<T> operands(ctx);
  std::vector<T> poison;
  for (const float f : test::poisoned(n)) poison.push_back(static_cast<T>(f));
  const test::Array<T> out(ctx, poison);
  std::vector<float> more;
  if constexpr (std::is_void_v<decltype(kernel(ctx, operands, out.get()))>)
    kernel(ctx, operands, out.get());
  else
    more = kernel(ctx, operands, out.get());
  if constexpr (std::is_same_v<T, bf16>)
    return {bits_of(out.host()), more};
  else
    return {bits_of(narrow(out.host())), more};
}

/// Runs a kernel on bf16 in every way, and compares with the rounded outputs of that on float. What
/// it returns beside its output is compared as it is.
template <class Kernel>
void check_rounded(int64_t n, const Kernel& kernel) {
  test::for_each_isa([&] {
    CpuContext one(1);
    const auto want = outputs_of<float>(one, n, kernel);
    for (const int threads : {1, 2, 3}) {
      CAPTURE(threads);
      CpuContext ctx(threads);
      CHECK(outputs_of<bf16>(ctx, n, kernel) == want);
    }
  });
  if (n > 20000) return;  // the emulator takes long
  test::for_each_cuda_run([&](Context& ctx) {
    const auto want = outputs_of<float>(ctx, n, kernel);
    CHECK(outputs_of<bf16>(ctx, n, kernel) == want);
  });
}

TEST_CASE("bf16: operations element by element are the rounded ones of fp32") {
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{37}, int64_t{1204}, int64_t{70001}}) {
    CAPTURE(n);
    const auto a = random_bf16(n), b = random_bf16(n);
    for (const Activation f : kActivations) {
      CAPTURE(name_of(f));
      check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
        activation_fprop<T>(c, f, 0.2f, n, on(a), y);
      });
      check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
        activation_bprop<T>(c, f, 0.2f, n, on(a), on(b), y);
      });
    }
    check_rounded(
        n, [&]<class T>(Context& c, Operands<T>& on, T* y) { add<T>(c, n, on(a), on(b), y); });
    check_rounded(
        n, [&]<class T>(Context& c, Operands<T>& on, T* y) { subtract<T>(c, n, on(a), on(b), y); });
    check_rounded(
        n, [&]<class T>(Context& c, Operands<T>& on, T* y) { multiply<T>(c, n, on(a), on(b), y); });
    check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
      affine<T>(c, n, 1.3f, -0.7f, on(a), y);
    });
    const std::vector<float> factor = {0.3f};
    check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
      scale<T>(c, n, on(factor), on(a), y);
    });
    check_rounded(n, [&]<class T>(Context& c, Operands<T>&, T* y) {
      fill<T>(c, n, static_cast<T>(0.3f), y);
    });
  }
  const Strides transpose{.rank = 2, .size = {5, 3}, .stride = {1, 5}};
  const auto x = random_bf16(15);
  check_rounded(
      15, [&]<class T>(Context& c, Operands<T>& on, T* y) { permute<T>(c, transpose, on(x), y); });
  for (const int C : {1, 3, 37, 200}) {
    CAPTURE(C);
    const int64_t rows = C == 37 ? 301 : 30;
    const auto z = random_bf16(rows * C);
    const auto bias = test::random_floats(C);
    check_rounded(rows * C, [&]<class T>(Context& c, Operands<T>& on, T* y) {
      bias_activation<T>(c, Activation::tanh, 0, rows, C, on(z), on(bias), y);
    });
  }
}

TEST_CASE("bf16: pools and upsampling are the rounded ones of fp32") {
  const PoolShape s{.N = 2, .H = 9, .W = 8, .C = 5, .window = 3, .stride = 2};
  const int64_t in = int64_t{2} * 9 * 8 * 5, out = int64_t{2} * s.P() * s.Q() * 5;
  const auto x = random_bf16(in), dy = random_bf16(out);
  std::vector<uint8_t> argmax;
  check_rounded(out, [&]<class T>(Context& c, Operands<T>& on, T* y) {
    const test::Array<uint8_t> places(c, out);
    max_pool_fprop<T>(c, s, on(x), y, places);
    argmax = places.host();
    return std::vector<float>(argmax.begin(), argmax.end());
  });
  check_rounded(in, [&]<class T>(Context& c, Operands<T>& on, T* y) {
    max_pool_bprop<T>(c, s, on(dy), on(argmax), y);
  });
  check_rounded(
      out, [&]<class T>(Context& c, Operands<T>& on, T* y) { avg_pool_fprop<T>(c, s, on(x), y); });
  check_rounded(
      in, [&]<class T>(Context& c, Operands<T>& on, T* y) { avg_pool_bprop<T>(c, s, on(dy), y); });
  const UpsampleShape u{2, 3, 4, 5, 2};
  const auto small = random_bf16(120), big = random_bf16(480);
  check_rounded(480, [&]<class T>(Context& c, Operands<T>& on, T* y) {
    upsample_fprop<T>(c, u, on(small), y);
  });
  check_rounded(120, [&]<class T>(Context& c, Operands<T>& on, T* y) {
    upsample_bprop<T>(c, u, on(big), y);
  });
}

TEST_CASE("bf16: sums are float sums") {
  const int64_t rows = 301, C = 37;
  const auto x = random_bf16(rows * C);
  auto bad = x;
  bad[77] = bf16(INFINITY);
  check_rounded(0, [&]<class T>(Context& c, Operands<T>& on, T*) {
    const test::Array<float> sums(c, 1 + C + rows);
    reduce_sum<T>(c, rows * C, on(x), sums);
    reduce_columns<T>(c, rows, static_cast<int>(C), on(x), sums + 1);
    reduce_rows<T>(c, rows, C, on(x), sums + 1 + C);
    CHECK(all_finite<T>(c, rows * C, on(x)));
    CHECK_FALSE(all_finite<T>(c, rows * C, on(bad)));
    return sums.host();
  });
}

TEST_CASE("bf16: batch norm is the rounded one of fp32, its statistics are those of fp32") {
  for (const int C : {19, 20}) {
    const BatchNormShape s{301, C};
    const BatchNormOptions o{.activation = Activation::leaky_relu, .slope = 0.2f};
    const int64_t n = s.rows * s.C;
    const auto x = random_bf16(n), dy = random_bf16(n);
    const auto gamma = test::random_floats(s.C), beta = test::random_floats(s.C);
    const auto mean = test::random_floats(s.C);
    const std::vector<float> var(static_cast<size_t>(s.C), 0.7f);
    check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
      const test::Array st(c, std::vector<float>(static_cast<size_t>(4 * s.C), 0.5f));
      batchnorm_training<T>(c, s, o,
                            {on(x), on(gamma), on(beta), y, st, st + s.C, st + ptrdiff_t{2} * s.C,
                             st + ptrdiff_t{3} * s.C});
      return st.host();
    });
    check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* y) {
      batchnorm_inference<T>(c, s, o, {on(x), on(gamma), on(beta), on(mean), on(var), y});
    });
    check_rounded(n, [&]<class T>(Context& c, Operands<T>& on, T* dx) {
      const test::Array<float> g(c, int64_t{2} * s.C);
      batchnorm_backward<T>(c, s, o,
                            {on(x), on(x), on(dy), on(gamma), on(mean), on(var), dx, g, g + s.C});
      return g.host();
    });
  }
}

// What runs where no row for bf16 takes the call: the product of fp32 between conversions.
TEST_CASE("bf16: without a row for bf16 a matrix product is the rounded one of fp32") {
  const GemmShape s{.M = 33, .N = 19, .K = 70, .transpose_b = true};
  const GemmShape gradient{.M = 33, .N = 19, .K = 70, .transpose_a = true};
  const auto a = random_bf16(int64_t{s.M} * s.K), other = random_bf16(int64_t{s.N} * s.K);
  const auto b = test::random_floats(int64_t{s.N} * s.K), bias = test::random_floats(s.N);
  const GemmEpilogue e{.activation = Activation::relu};
  check_rounded(int64_t{s.M} * s.N, [&]<class T>(Context& c, Operands<T>& on, T* y) {
    gemm<T>(c, s, e, on(a), on(b), on(bias), y);
    const test::Array<float> dw(c, int64_t{s.M} * s.N);
    gemm_wgrad<T>(c, gradient, on(a), on(other), dw);
    return dw.host();
  });
  CpuContext ctx(2);
  std::vector<bf16> c(static_cast<size_t>(s.M) * s.N);
  CHECK_THROWS_AS(gemm<bf16>(ctx, s, {.accumulate = true}, a.data(), b.data(), nullptr, c.data()),
                  Error);
}

// What runs where no bf16 row of the table takes the call: the fp32 row between conversions.
TEST_CASE("bf16: without a row for bf16 a convolution is the rounded one of fp32") {
  for (const Conv2dCase& problem : test::conv2d_cases()) {
    const Conv2dShape& s = problem.s;
    const Conv2dEpilogue& e = problem.e;
    CAPTURE(problem);
    const int64_t in = int64_t{s.N} * s.H * s.W * s.C,
                  out = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K,
                  weights = int64_t{s.K} * s.R * s.S * s.C;
    const auto x = random_bf16(in), dy = random_bf16(out), y_given = random_bf16(out);
    const auto w = test::random_floats(weights), bias = test::random_floats(s.K);
    std::vector<uint8_t> argmax(static_cast<size_t>(out));
    const auto fprop = [&]<class T>(Context& c, Operands<T>& on, T* y) {
      const test::Array<uint8_t> places(c, out);
      conv2d_fprop<T>(c, s, e, on(x), on(w), on(bias), y, places);
      if (e.pool == 1) return std::vector<float>();
      argmax = places.host();
      return std::vector<float>(argmax.begin(), argmax.end());
    };
    const auto dgrad = [&]<class T>(Context& c, Operands<T>& on, T* dx) {
      conv2d_dgrad<T>(c, s, e, {on(dy), on(y_given), on(argmax)}, on(w), dx);
    };
    const auto wgrad = [&]<class T>(Context& c, Operands<T>& on, T*) {
      const test::Array<float> dw(c, weights), dbias(c, s.K);
      conv2d_wgrad<T>(c, s, e, on(x), {on(dy), on(y_given), on(argmax)}, dw, dbias);
      std::vector<float> both = dw.host();
      for (const float d : dbias.host()) both.push_back(d);
      return both;
    };
    const auto check = [&](Context& bf, Context& fp) {
      CHECK(outputs_of<bf16>(bf, out, fprop) == outputs_of<float>(fp, out, fprop));
      CHECK(outputs_of<bf16>(bf, in, dgrad) == outputs_of<float>(fp, in, dgrad));
      CHECK(outputs_of<bf16>(bf, 0, wgrad) == outputs_of<float>(fp, 0, wgrad));
    };
    if (test::tested("cpu")) {
      CpuContext ctx(2);
      check(ctx, ctx);
    }
    if (problem.emulated != test::Emulated::every_algorithm) continue;
    test::for_each_cuda_run([&](Context& ctx) { check(ctx, ctx); });
  }
}

// Large batches are computed in blocks of images, between whose gradients of weights the sums are
// added in another order than fp32's.
TEST_CASE("bf16: a convolution in blocks of images is the one of all images at once") {
  if (!test::tested("cpu")) return;
  const Conv2dCase problem = test::conv3x3(128, 128, 16, 16).batch(25).pool(2).relu();
  const Conv2dShape& s = problem.s;
  const Conv2dEpilogue& e = problem.e;
  const int64_t in = int64_t{s.N} * s.H * s.W * s.C, out = in / 4,
                weights = int64_t{s.K} * s.R * s.S * s.C;
  REQUIRE(4 * (in + 2 * out) > 4 * (8 << 20));  // four blocks
  const auto x = random_bf16(in), dy = random_bf16(out);
  const auto fx = wide(x), fdy = wide(dy);
  const auto w = test::random_floats(weights), bias = test::random_floats(s.K);
  std::vector<uint8_t> argmax(static_cast<size_t>(out)), of_fp32(argmax);
  std::vector<float> fy = test::poisoned(out), fdx = test::poisoned(in);
  std::vector<float> fdw = test::poisoned(weights), fdb = test::poisoned(s.K), dw_of_one;
  CpuContext whole(2);
  conv2d_fprop<float>(whole, s, e, fx.data(), w.data(), bias.data(), fy.data(), of_fp32.data());
  const auto y_rounded = narrow(fy);
  const auto fy_rounded = wide(y_rounded);
  const Conv2dGrad<float> fg{fdy.data(), fy_rounded.data(), of_fp32.data()};
  conv2d_dgrad<float>(whole, s, e, fg, w.data(), fdx.data());
  conv2d_wgrad<float>(whole, s, e, fx.data(), fg, fdw.data(), fdb.data());
  for (const int threads : {1, 2, 3}) {
    CAPTURE(threads);
    CpuContext ctx(threads);
    ctx.get().algorithm = Algorithm::winograd;  // which automatic takes in fp32, and not tiles
    std::vector<bf16> y = poisoned(out), dx = poisoned(in);
    std::vector<float> dw = test::poisoned(weights), db = test::poisoned(s.K);
    conv2d_fprop<bf16>(ctx, s, e, x.data(), w.data(), bias.data(), y.data(), argmax.data());
    CHECK(bits_of(y) == bits_of(y_rounded));
    CHECK(argmax == of_fp32);
    const Conv2dGrad<bf16> g{dy.data(), y.data(), argmax.data()};
    conv2d_dgrad<bf16>(ctx, s, e, g, w.data(), dx.data());
    CHECK(bits_of(dx) == bits_of(narrow(fdx)));
    conv2d_wgrad<bf16>(ctx, s, e, x.data(), g, dw.data(), db.data());
    // Sums of n terms below 1, near sqrt(n) / 3; n additions round by 2^-24 of that, to either
    // side. Six deviations are allowed.
    const double bound = 6 * static_cast<double>(out / s.K) / 3 * 0x1p-24;
    for (int64_t i = 0; i < weights; ++i) CHECK(std::abs(dw[i] - fdw[i]) <= bound);
    for (int k = 0; k < s.K; ++k) CHECK(std::abs(db[k] - fdb[k]) <= bound);
    if (dw_of_one.empty()) dw_of_one = dw;
    CHECK(dw == dw_of_one);
  }
}

}  // namespace
}  // namespace assay
