// bf16 elements: the conversions, and every kernel that takes them, which must give the rounded
// results of the fp32 kernel on the same numbers.
#include "kernels/runtime/bf16.h"

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
  test::every_way_on_cpu(
      [&](Context& c) {
        std::vector<bf16> y = poisoned(n);
        convert(c, n, x.data(), y.data());
        return bits_of(y);
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
  test::every_way_on_cpu(
      [&](Context& c) {
        std::vector<float> f = test::poisoned(n);
        std::vector<bf16> y = poisoned(n);
        convert(c, n, all.data(), f.data());
        convert(c, n, f.data(), y.data());
        return bits_of(y);
      },
      [&](const Bits& got) { CHECK(got == want); });
  for (const size_t i : {size_t{0x3f80}, size_t{0x8001}, size_t{0xff80}})
    CHECK(std::bit_cast<uint32_t>(static_cast<float>(all[i])) == i << 16);
}

/// Runs kernel(ctx, out) on bf16 outputs of n elements in every way, and compares with the rounded
/// outputs of fp32(ctx, out).
template <class Kernel, class Fp32>
void check_rounded(int64_t n, const Kernel& kernel, const Fp32& fp32) {
  test::for_each_isa([&] {
    CpuContext one(1);
    one.get().algorithm = Algorithm::blocked;
    std::vector<float> want = test::poisoned(n);
    fp32(one.get(), want.data());
    for (const int threads : {1, 2, 3}) {
      CAPTURE(threads);
      CpuContext ctx(threads);
      ctx.get().algorithm = Algorithm::blocked;  // of products: tiles round the weights
      std::vector<bf16> got = poisoned(n);
      kernel(ctx.get(), got.data());
      CHECK(bits_of(got) == bits_of(narrow(want)));
    }
  });
}

TEST_CASE("bf16: operations element by element are the rounded ones of fp32") {
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{37}, int64_t{70001}}) {
    CAPTURE(n);
    const auto a = random_bf16(n), b = random_bf16(n);
    const auto fa = wide(a), fb = wide(b);
    for (const Activation f : kActivations) {
      CAPTURE(name_of(f));
      check_rounded(
          n, [&](Context& c, bf16* y) { activation_fprop<bf16>(c, f, 0.2f, n, a.data(), y); },
          [&](Context& c, float* y) { activation_fprop<float>(c, f, 0.2f, n, fa.data(), y); });
      check_rounded(
          n,
          [&](Context& c, bf16* y) {
            activation_bprop<bf16>(c, f, 0.2f, n, a.data(), b.data(), y);
          },
          [&](Context& c, float* y) {
            activation_bprop<float>(c, f, 0.2f, n, fa.data(), fb.data(), y);
          });
    }
    check_rounded(
        n, [&](Context& c, bf16* y) { add<bf16>(c, n, a.data(), b.data(), y); },
        [&](Context& c, float* y) { add<float>(c, n, fa.data(), fb.data(), y); });
    check_rounded(
        n, [&](Context& c, bf16* y) { subtract<bf16>(c, n, a.data(), b.data(), y); },
        [&](Context& c, float* y) { subtract<float>(c, n, fa.data(), fb.data(), y); });
    check_rounded(
        n, [&](Context& c, bf16* y) { multiply<bf16>(c, n, a.data(), b.data(), y); },
        [&](Context& c, float* y) { multiply<float>(c, n, fa.data(), fb.data(), y); });
    check_rounded(
        n, [&](Context& c, bf16* y) { affine<bf16>(c, n, 1.3f, -0.7f, a.data(), y); },
        [&](Context& c, float* y) { affine<float>(c, n, 1.3f, -0.7f, fa.data(), y); });
    const float factor = 0.3f;
    check_rounded(
        n, [&](Context& c, bf16* y) { scale<bf16>(c, n, &factor, a.data(), y); },
        [&](Context& c, float* y) { scale<float>(c, n, &factor, fa.data(), y); });
    check_rounded(
        n, [&](Context& c, bf16* y) { fill<bf16>(c, n, bf16(0.3f), y); },
        [&](Context& c, float* y) { fill<float>(c, n, 0.3f, y); });
  }
  const Strides transpose{.rank = 2, .size = {5, 3}, .stride = {1, 5}};
  const auto x = random_bf16(15);
  const auto fx = wide(x);
  check_rounded(
      15, [&](Context& c, bf16* y) { permute<bf16>(c, transpose, x.data(), y); },
      [&](Context& c, float* y) { permute<float>(c, transpose, fx.data(), y); });
  for (const int C : {1, 3, 37, 200}) {
    CAPTURE(C);
    const int64_t rows = 301;
    const auto z = random_bf16(rows * C);
    const auto fz = wide(z), bias = test::random_floats(C);
    check_rounded(
        rows * C,
        [&](Context& c, bf16* y) {
          bias_activation<bf16>(c, Activation::tanh, 0, rows, C, z.data(), bias.data(), y);
        },
        [&](Context& c, float* y) {
          bias_activation<float>(c, Activation::tanh, 0, rows, C, fz.data(), bias.data(), y);
        });
  }
}

TEST_CASE("bf16: pools and upsampling are the rounded ones of fp32") {
  const PoolShape s{.N = 2, .H = 9, .W = 8, .C = 5, .window = 3, .stride = 2};
  const int64_t in = int64_t{2} * 9 * 8 * 5, out = int64_t{2} * s.P() * s.Q() * 5;
  const auto x = random_bf16(in), dy = random_bf16(out);
  const auto fx = wide(x), fdy = wide(dy);
  std::vector<uint8_t> argmax(static_cast<size_t>(out)), of_fp32(argmax);
  check_rounded(
      out, [&](Context& c, bf16* y) { max_pool_fprop<bf16>(c, s, x.data(), y, argmax.data()); },
      [&](Context& c, float* y) { max_pool_fprop<float>(c, s, fx.data(), y, of_fp32.data()); });
  CHECK(argmax == of_fp32);
  check_rounded(
      in, [&](Context& c, bf16* y) { max_pool_bprop<bf16>(c, s, dy.data(), argmax.data(), y); },
      [&](Context& c, float* y) { max_pool_bprop<float>(c, s, fdy.data(), argmax.data(), y); });
  check_rounded(
      out, [&](Context& c, bf16* y) { avg_pool_fprop<bf16>(c, s, x.data(), y); },
      [&](Context& c, float* y) { avg_pool_fprop<float>(c, s, fx.data(), y); });
  check_rounded(
      in, [&](Context& c, bf16* y) { avg_pool_bprop<bf16>(c, s, dy.data(), y); },
      [&](Context& c, float* y) { avg_pool_bprop<float>(c, s, fdy.data(), y); });
  const UpsampleShape u{2, 3, 4, 5, 2};
  const auto small = random_bf16(120), big = random_bf16(480);
  const auto fsmall = wide(small), fbig = wide(big);
  check_rounded(
      480, [&](Context& c, bf16* y) { upsample_fprop<bf16>(c, u, small.data(), y); },
      [&](Context& c, float* y) { upsample_fprop<float>(c, u, fsmall.data(), y); });
  check_rounded(
      120, [&](Context& c, bf16* y) { upsample_bprop<bf16>(c, u, big.data(), y); },
      [&](Context& c, float* y) { upsample_bprop<float>(c, u, fbig.data(), y); });
}

TEST_CASE("bf16: sums are float sums") {
  const int64_t rows = 301, C = 37;
  const auto x = random_bf16(rows * C);
  const auto fx = wide(x);
  test::for_each_isa([&] {
    CpuContext ctx(3);
    const auto sums = [&]<class T>(const T* elements) {
      std::vector<float> out(static_cast<size_t>(1 + C + rows));
      reduce_sum<T>(ctx, rows * C, elements, out.data());
      reduce_columns<T>(ctx, rows, static_cast<int>(C), elements, out.data() + 1);
      reduce_rows<T>(ctx, rows, C, elements, out.data() + 1 + C);
      return out;
    };
    CHECK(sums(x.data()) == sums(fx.data()));
    CHECK(all_finite<bf16>(ctx, rows * C, x.data()));
    auto bad = x;
    bad[77] = bf16(INFINITY);
    CHECK_FALSE(all_finite<bf16>(ctx, rows * C, bad.data()));
  });
}

TEST_CASE("bf16: batch norm is the rounded one of fp32, its statistics are those of fp32") {
  const BatchNormShape s{301, 19};
  const BatchNormOptions o{.activation = Activation::leaky_relu, .slope = 0.2f};
  const int64_t n = s.rows * s.C;
  const auto x = random_bf16(n), dy = random_bf16(n);
  const auto fx = wide(x), fdy = wide(dy);
  const auto gamma = test::random_floats(s.C), beta = test::random_floats(s.C);
  const std::vector<float> mean = test::random_floats(s.C), var(static_cast<size_t>(s.C), 0.7f);
  std::vector<float> statistics[2];
  const auto training = [&]<class T>(Context& c, const T* in, T* y, std::vector<float>& st) {
    st.assign(static_cast<size_t>(4 * s.C), 0.5f);
    float* p = st.data();
    batchnorm_training<T>(c, s, o,
                          {in, gamma.data(), beta.data(), y, p, p + s.C, p + ptrdiff_t{2} * s.C,
                           p + ptrdiff_t{3} * s.C});
  };
  check_rounded(
      n, [&](Context& c, bf16* y) { training(c, x.data(), y, statistics[0]); },
      [&](Context& c, float* y) { training(c, fx.data(), y, statistics[1]); });
  CHECK(statistics[0] == statistics[1]);
  check_rounded(
      n,
      [&](Context& c, bf16* y) {
        batchnorm_inference<bf16>(
            c, s, o, {x.data(), gamma.data(), beta.data(), mean.data(), var.data(), y});
      },
      [&](Context& c, float* y) {
        batchnorm_inference<float>(
            c, s, o, {fx.data(), gamma.data(), beta.data(), mean.data(), var.data(), y});
      });
  std::vector<float> gradients[2];
  const auto backward = [&]<class T>(Context& c, const T* in, const T* d, T* dx,
                                     std::vector<float>& g) {
    g.assign(static_cast<size_t>(2 * s.C), NAN);
    batchnorm_backward<T>(
        c, s, o, {in, in, d, gamma.data(), mean.data(), var.data(), dx, g.data(), g.data() + s.C});
  };
  check_rounded(
      n, [&](Context& c, bf16* y) { backward(c, x.data(), dy.data(), y, gradients[0]); },
      [&](Context& c, float* y) { backward(c, fx.data(), fdy.data(), y, gradients[1]); });
  CHECK(gradients[0] == gradients[1]);
}

// What runs where tiles do not take the call: the product of fp32 between conversions.
TEST_CASE("bf16: without tiles a matrix product is the rounded one of fp32") {
  const GemmShape s{.M = 33, .N = 19, .K = 70, .transpose_b = true};
  const GemmShape gradient{.M = 33, .N = 19, .K = 70, .transpose_a = true};
  const auto a = random_bf16(int64_t{s.M} * s.K), other = random_bf16(int64_t{s.N} * s.K);
  const auto fa = wide(a), fother = wide(other);
  const auto b = test::random_floats(int64_t{s.N} * s.K), bias = test::random_floats(s.N);
  const GemmEpilogue e{.activation = Activation::relu};
  check_rounded(
      int64_t{s.M} * s.N,
      [&](Context& c, bf16* y) {
        c.algorithm = Algorithm::blocked;
        gemm<bf16>(c, s, e, a.data(), b.data(), bias.data(), y);
      },
      [&](Context& c, float* y) { gemm<float>(c, s, e, fa.data(), b.data(), bias.data(), y); });
  CpuContext ctx(2);
  ctx.get().algorithm = Algorithm::blocked;
  std::vector<float> got = test::poisoned(int64_t{s.M} * s.N), want = got;
  gemm_wgrad<bf16>(ctx, gradient, a.data(), other.data(), got.data());
  gemm_wgrad<float>(ctx, gradient, fa.data(), fother.data(), want.data());
  CHECK(got == want);
  std::vector<bf16> c(static_cast<size_t>(s.M) * s.N);
  CHECK_THROWS_AS(gemm<bf16>(ctx, s, {.accumulate = true}, a.data(), b.data(), nullptr, c.data()),
                  Error);
}

// What runs where no bf16 row of the table takes the call: the fp32 row between conversions.
TEST_CASE("bf16: without a row for bf16 a convolution is the rounded one of fp32") {
  const auto fp32_row = [](Context& c) -> Context& {
    c.algorithm = Algorithm::fused;
    return c;
  };
  for (const Conv2dCase& problem : test::conv2d_cases()) {
    const Conv2dShape& s = problem.s;
    const Conv2dEpilogue& e = problem.e;
    CAPTURE(problem);
    const int64_t in = int64_t{s.N} * s.H * s.W * s.C,
                  out = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K,
                  weights = int64_t{s.K} * s.R * s.S * s.C;
    const auto x = random_bf16(in), dy = random_bf16(out);
    const auto fx = wide(x), fdy = wide(dy);
    const auto w = test::random_floats(weights), bias = test::random_floats(s.K);
    std::vector<uint8_t> argmax(static_cast<size_t>(out)), of_fp32(argmax);
    std::vector<bf16> y = poisoned(out), dx = poisoned(in);
    std::vector<float> fy = test::poisoned(out), fdx = test::poisoned(in);
    std::vector<float> dw = test::poisoned(weights), fdw = dw, db = test::poisoned(s.K), fdb = db;
    CpuContext own(2);
    Context& c = fp32_row(own.get());
    conv2d_fprop<bf16>(c, s, e, x.data(), w.data(), bias.data(), y.data(), argmax.data());
    conv2d_fprop<float>(c, s, e, fx.data(), w.data(), bias.data(), fy.data(), of_fp32.data());
    CHECK(bits_of(y) == bits_of(narrow(fy)));
    CHECK(argmax == of_fp32);
    const auto fy_rounded = wide(y);
    const Conv2dGrad<bf16> g{dy.data(), y.data(), argmax.data()};
    const Conv2dGrad<float> fg{fdy.data(), fy_rounded.data(), argmax.data()};
    conv2d_dgrad<bf16>(c, s, e, g, w.data(), dx.data());
    conv2d_dgrad<float>(c, s, e, fg, w.data(), fdx.data());
    CHECK(bits_of(dx) == bits_of(narrow(fdx)));
    conv2d_wgrad<bf16>(c, s, e, x.data(), g, dw.data(), db.data());
    conv2d_wgrad<float>(c, s, e, fx.data(), fg, fdw.data(), fdb.data());
    CHECK(dw == fdw);
    CHECK(db == fdb);
  }
}

// Large batches are computed in blocks of images, between whose gradients of weights the sums are
// added in another order than fp32's.
TEST_CASE("bf16: a convolution in blocks of images is the one of all images at once") {
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
