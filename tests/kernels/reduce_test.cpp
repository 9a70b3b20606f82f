// Sums against the float64 reference, and the search for numbers that are not finite.
#include "kernels/reduce/reduce.h"

#include "tests/support/every_way.h"

namespace assay {
namespace {

// At most 512 additions in a row happen in float, spread over the lanes of a register, so that no
// chain is longer than 512 / 4 plus the tree: 140 eps of the sum of absolute values bounds it.
constexpr double kFactor = 140;

TEST_CASE("reduce_sum and reduce_rows equal the float64 reference") {
  struct {
    int64_t rows, C;
  } const shapes[] = {{1, 1}, {1, 3}, {5, 17}, {3, 513}, {2, 100003}, {999, 7}};
  for (const auto& shape : shapes) {
    const auto rows = shape.rows;
    const auto C = shape.C;
    CAPTURE(rows);
    CAPTURE(C);
    const int64_t n = rows * C;
    const auto x = test::random_floats(n);
    const auto xd = test::widen(x), magnitude = test::absolute(xd);
    CpuContext ctx(1);
    std::vector<double> want(1 + rows), scale(1 + rows);
    reduce_sum<double>(ctx, n, xd.data(), want.data());
    reduce_sum<double>(ctx, n, magnitude.data(), scale.data());
    reduce_rows<double>(ctx, rows, C, xd.data(), want.data() + 1);
    reduce_rows<double>(ctx, rows, C, magnitude.data(), scale.data() + 1);
    test::every_way(
        [&](Context& c) {
          const test::Array<float> out(c, 1 + rows);
          reduce_sum<float>(c, n, test::Array(c, x), out);
          reduce_rows<float>(c, rows, C, test::Array(c, x), out + 1);
          return out.host();
        },
        test::near(want, scale, kFactor));
  }
}

TEST_CASE("reduce_sum of nothing is 0") {
  test::every_way(
      [](Context& c) {
        const test::Array<float> out(c, 1);
        reduce_sum<float>(c, 0, nullptr, out);
        return out.host();
      },
      [](const std::vector<float>& out) { CHECK(out[0] == 0); });
}

TEST_CASE("reduce_columns equals the float64 reference") {
  struct {
    int64_t rows;
    int C;
  } const shapes[] = {{1, 1}, {0, 5}, {63, 3}, {65, 17}, {20001, 3}, {300, 257}, {7, 40000}};
  for (const auto& shape : shapes) {
    const auto rows = shape.rows;
    const auto C = shape.C;
    CAPTURE(rows);
    CAPTURE(C);
    const auto x = test::random_floats(rows * C);
    const auto xd = test::widen(x), magnitude = test::absolute(xd);
    CpuContext ctx(1);
    std::vector<double> want(C), scale(C);
    reduce_columns<double>(ctx, rows, C, xd.data(), want.data());
    reduce_columns<double>(ctx, rows, C, magnitude.data(), scale.data());
    test::every_way(
        [&](Context& c) {
          const test::Array<float> out(c, C);
          reduce_columns<float>(c, rows, C, test::Array(c, x), out);
          return out.host();
        },
        test::near(want, scale, 65));  // 64 float additions and the last rounding
  }
}

TEST_CASE("all_finite finds one bad number anywhere") {
  const int64_t n = 100003;
  auto x = test::random_floats(n);
  const auto check = [&](Context& c) {
    const auto finite = [&] { return all_finite<float>(c, n, test::Array(c, x)); };
    CHECK(finite());
    CHECK(all_finite<float>(c, 0, test::Array(c, x)));
    const int64_t places[] = {0, 15, 16, 40000, n - 1};
    for (const int64_t i : places)
      for (const float bad : {float(NAN), float(INFINITY), float(-INFINITY)}) {
        const float good = x[i];
        x[i] = bad;
        CHECK_FALSE(finite());
        x[i] = good;
      }
    x[7] = 3e38f;
    CHECK(finite());
  };
  test::for_each_isa([&] {
    CpuContext ctx(3);
    check(ctx);
  });
  test::for_each_cuda_run(check);
}

}  // namespace
}  // namespace assay
