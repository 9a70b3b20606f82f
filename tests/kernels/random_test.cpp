// Philox against the known answers of Random123, and the distributions made from its bits.
#include "kernels/random/random.h"

#include <algorithm>

#include "kernels/random/random_formula.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

TEST_CASE("philox gives the known answers of Random123 (kat_vectors, philox4x32 10)") {
  const auto check = [](uint64_t seed, uint64_t stream, uint64_t index, const Philox4& want) {
    const Philox4 got = philox(seed, stream, index);
    for (int i = 0; i < 4; ++i) CHECK(got.v[i] == want.v[i]);
  };
  check(0, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0},
        {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

constexpr int64_t kSizes[] = {0, 1, 3, 5, 17, 4096, 10001};

TEST_CASE("random tensors: floats are the reference's doubles, rounded, on every machine") {
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    CpuContext ctx(1);
    std::vector<double> uniform(n, NAN), normal(n, NAN);
    random_uniform<double>(ctx, 7, 11, n, -1.0, 1.0, uniform.data());
    random_normal<double>(ctx, 7, 11, n, 0.0, 1.0, normal.data());
    const std::vector<float> want_uniform(uniform.begin(), uniform.end()),
        want_normal(normal.begin(), normal.end());
    test::every_way(
        [&](Context& c) {
          const test::Array<float> out(c, n);
          random_uniform<float>(c, 7, 11, n, -1.0f, 1.0f, out);
          return out.host();
        },
        [&](const std::vector<float>& got) { CHECK(got == want_uniform); });
    test::every_way(
        [&](Context& c) {
          const test::Array<float> out(c, n);
          random_normal<float>(c, 7, 11, n, 0.0f, 1.0f, out);
          return out.host();
        },
        [&](const std::vector<float>& got) { CHECK(got == want_normal); });
  }
}

TEST_CASE("random tensors: an element depends on its index, not on the length") {
  const auto normal = [](Context& c, int64_t n) {
    const test::Array<float> out(c, n);
    random_normal<float>(c, 3, 4, n, 0, 1, out);
    return out.host();
  };
  test::every_way([&](Context& c) { return normal(c, 9001); },
                  [&](const std::vector<float>& lengthy) {
                    CpuContext ctx(1);
                    const auto brief = normal(ctx, 1003);
                    CHECK(std::equal(brief.begin(), brief.end(), lengthy.begin()));
                  });
}

TEST_CASE("random_uniform stays below its upper bound") {
  // Between neighbouring floats, so that half of all numbers round to the upper one.
  const float low = 1, high = std::nextafter(1.0f, 2.0f);
  test::every_way(
      [&](Context& c) {
        const test::Array<float> x(c, 200000);
        random_uniform<float>(c, 1, 2, 200000, low, high, x);
        return x.host();
      },
      [&](const std::vector<float>& x) {
        CHECK(*std::max_element(x.begin(), x.end()) < high);
        CHECK(*std::min_element(x.begin(), x.end()) >= low);
      });
}

TEST_CASE("random numbers have the moments of their distribution") {
  constexpr int64_t kCount = 1 << 20;
  CpuContext ctx(2);
  std::vector<double> x(kCount);
  const auto moment = [&](int power) {
    double sum = 0;
    for (const double v : x) sum += std::pow(v, power);
    return sum / kCount;
  };
  // Five standard errors of each sample moment: sqrt(Var(x^k) / 2^20).
  random_normal<double>(ctx, 5, 6, kCount, 0, 1, x.data());
  CHECK(std::abs(moment(1)) < 5 * std::sqrt(1.0) / 1024);
  CHECK(std::abs(moment(2) - 1) < 5 * std::sqrt(2.0) / 1024);
  CHECK(std::abs(moment(3)) < 5 * std::sqrt(15.0) / 1024);
  CHECK(std::abs(moment(4) - 3) < 5 * std::sqrt(96.0) / 1024);
  double neighbours = 0;  // the two branches of a pair are independent
  for (int64_t i = 0; i < kCount; i += 2) neighbours += x[i] * x[i + 1];
  CHECK(std::abs(neighbours / (kCount / 2)) < 5 / std::sqrt(kCount / 2.0));
  random_uniform<double>(ctx, 5, 6, kCount, 0, 1, x.data());
  CHECK(std::abs(moment(1) - 0.5) < 5 * std::sqrt(1.0 / 12) / 1024);
  CHECK(std::abs(moment(2) - 1.0 / 3) < 5 * std::sqrt(4.0 / 45) / 1024);
}

TEST_CASE("the logarithm, sine and cosine of random bits are those of the C library") {
  for (uint32_t k = 1; k <= 1u << 24; k = k < 300 ? k + 1 : k + 997) {
    const double log = std::log(k * 0x1p-24);
    if (!(std::abs(log_of_24_bits(k) - log) <= 4e-16 * (1 + std::abs(log)))) CHECK(k == 0);
    const double angle = 6.283185307179586477 * ((k - 1) * 0x1p-24);
    const SineCosine turn = sine_cosine_of_turn(k - 1);
    // The library's argument is a rounded angle: its error is eps/2 of up to 2 pi.
    if (!(std::abs(turn.sine - std::sin(angle)) <= 1.2e-15)) CHECK(k == 0);
    if (!(std::abs(turn.cosine - std::cos(angle)) <= 1.2e-15)) CHECK(k == 0);
  }
  CHECK(log_of_24_bits(1u << 24) == 0);
}

}  // namespace
}  // namespace assay
