// Sums against the float64 reference, and the search for numbers that are not finite.
#include "kernels/reduce/reduce.h"

#include "tests/support/every_way.h"
#include "tests/support/parts.h"

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

TEST_CASE("reduce_rows and reduce_columns of more groups than there are counters") {
  test::for_each_cuda_run([](Context& ctx) {
    const int64_t rows = (1 << 14) + 3, C = 4097;  // two parts a row
    std::vector<float> x(static_cast<size_t>(rows * C), 0.0f);
    for (int64_t row = 0; row < rows; ++row) {
      x[static_cast<size_t>(row * C)] = static_cast<float>(row);
      x[static_cast<size_t>(row * C + C - 1)] = 1;
    }
    const test::Array<float> out(ctx, rows);
    reduce_rows<float>(ctx, rows, C, test::Array(ctx, x), out);
    const std::vector<float> sums = out.host();
    for (int64_t row = 0; row < rows; ++row) REQUIRE(sums[row] == static_cast<float>(row + 1));
  });
}

TEST_CASE("finish_sum adds few and many parts, of one addend and of two") {
  test::for_each_cuda_run([](Context& ctx) {
    for (const int64_t n : {1, 31, 1027})
      for (const auto& counts :
           std::vector<std::vector<int>>{{1}, {4}, {5}, {263}, {3, 2}, {2, 40}}) {
        CAPTURE(n);
        CAPTURE(counts[0]);
        PartialSum sum{n, {}};
        std::vector<double> want(static_cast<size_t>(n)), scale(static_cast<size_t>(n));
        int total = 0;
        for (const int count : counts) {
          test::add_parts(ctx, sum, count, want, scale);
          total += count;
        }
        const test::Array<float> out(ctx, n);
        finish_sum(ctx, sum, out);
        CHECK(test::excess(out.host(), want, scale, total) <= 0);
      }
  });
  CpuContext cpu(1);
  float out = 0;
  CHECK_THROWS_AS(finish_sum(cpu, {1, {}}, &out), Error);
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
