// Kernel density against the float64 definition, which sums squared differences one by one.
#include "kernels/kde/kde.h"

#include <cstring>

#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

constexpr KdeShape kShapes[] = {{1, 1, 1},    {3, 2, 7},       {5, 33, 17},
                                {65, 4, 100}, {130, 37, 1025}, {64, 32, 2048}};

std::vector<double> densities(Context& ctx, const KdeShape& s, double h,
                              const std::vector<float>& train, const std::vector<float>& queries) {
  const test::Array<double> out(ctx, s.m);
  kde_log_density<float>(ctx, s, h, test::Array(ctx, train), test::Array(ctx, queries), out);
  return out.host();
}

bool within(const std::vector<double>& got, const std::vector<double>& want, double relative) {
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - want[i]) <= relative * std::abs(want[i]))) return false;
  return got.size() == want.size();
}

bool within_absolute(const std::vector<double>& got, const std::vector<double>& want,
                     double error) {
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - want[i]) <= error)) return false;
  return got.size() == want.size();
}

/// Squares of numbers below 2 after the mean is subtracted, one float rounding in each of the
/// three steps to a term of the sum, and chains of at most 64 terms.
double distance_error_on_cuda(const KdeShape& s) {
  return 64 * 6e-8 * 4 * s.D;
}
double error_on_cuda(const KdeShape& s, double h) {
  return distance_error_on_cuda(s) / (2 * h * h) + 1e-12;
}

TEST_CASE("kde_log_density is within 1e-6 relative of the float64 definition") {
  for (const KdeShape& s : kShapes)
    for (const double h : {0.3, 1.0, 8.0})
      for (const float offset : {0.0f, 1000.0f}) {
        CAPTURE(s.n);
        CAPTURE(s.m);
        CAPTURE(s.D);
        CAPTURE(h);
        CAPTURE(offset);
        auto train = test::random_floats(int64_t{s.n} * s.D),
             queries = test::random_floats(int64_t{s.m} * s.D);
        for (float& v : train) v += offset;
        for (float& v : queries) v += offset;
        CpuContext ctx(1);
        std::vector<double> want(s.m, NAN);
        kde_log_density<double>(ctx, s, h, test::widen(train).data(), test::widen(queries).data(),
                                want.data());
        const auto run = [&](Context& c) { return densities(c, s, h, train, queries); };
        test::every_way_on_cpu(
            run, [&](const std::vector<double>& got) { CHECK(within(got, want, 1e-6)); });
        if (h == 1.0 || s.n * s.m < 1000)  // because the emulator is slow
          test::every_way_on_cuda(run, [&](const std::vector<double>& got) {
            CHECK(within_absolute(got, want, error_on_cuda(s, h)));
          });
      }
}

// The latents of a study at the narrowest bandwidth of its tutorials: errors grow with D / h^2.
TEST_CASE("kde_log_density on the CUDA device is within .05 nats at D = 8192 and h = 0.2") {
  const KdeShape s{40, 6, 8192};
  auto train = test::random_floats(int64_t{s.n} * s.D),
       queries = test::random_floats(int64_t{s.m} * s.D);
  for (auto* points : {&train, &queries})
    for (float& v : *points) v = std::max(0.0f, 0.8f + v);  // as behind a ReLU: |x|^2 is about 8000
  std::copy(train.begin(), train.begin() + s.D, queries.begin());  // a query that is a point
  CpuContext cpu(1);
  std::vector<double> want(s.m);
  kde_log_density<double>(cpu, s, 0.2, test::widen(train).data(), test::widen(queries).data(),
                          want.data());
  test::for_each_cuda_run([&](Context& ctx) {
    for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::naive})
      for (const Precision precision : {Precision::fp32, Precision::tf32x3}) {
        ctx.algorithm = algorithm;
        ctx.precision = precision;
        CHECK(within_absolute(densities(ctx, s, 0.2, train, queries), want, 0.05));
      }
  });
}

TEST_CASE("kde_log_density: one point at the query is the Gaussian's peak") {
  const KdeShape s{1, 1, 3};
  const std::vector<float> point = {0.1f, 0.2f, 0.3f};
  const double two_pi = 6.283185307179586;
  test::every_way([&](Context& c) { return densities(c, s, 0.5, point, point); },
                  [&](const std::vector<double>& got) {
                    CHECK(got[0] == doctest::Approx(-1.5 * std::log(two_pi * 0.25)).epsilon(1e-12));
                  });
}

TEST_CASE("kde_log_density: far from everything the logarithm is finite") {
  const KdeShape s{2, 1, 2};
  test::every_way(
      [&](Context& c) {
        return densities(c, s, 1e-3, {0, 0, 1, 1}, {1000, 1000});
      },
      [](const std::vector<double>& got) {
        CHECK(std::isfinite(got[0]));
        CHECK(got[0] < -1e11);
      });
}

TEST_CASE("squared_distances equals the float64 definition") {
  for (const KdeShape& s : kShapes) {
    CAPTURE(s.n);
    CAPTURE(s.D);
    const auto train = test::random_floats(int64_t{s.n} * s.D),
               queries = test::random_floats(int64_t{s.m} * s.D);
    CpuContext ctx(1);
    std::vector<double> want(int64_t{s.m} * s.n, NAN);
    squared_distances<double>(ctx, s, test::widen(train).data(), test::widen(queries).data(),
                              want.data());
    const auto run = [&](Context& c) {
      const test::Array<double> got(c, int64_t{s.m} * s.n);
      squared_distances<float>(c, s, test::Array(c, train), test::Array(c, queries), got);
      return got.host();
    };
    // The expansion cancels |q|^2 + |x|^2 < 8 D down to the distance, all in double.
    test::every_way_on_cpu(run, [&](const std::vector<double>& got) {
      CHECK(within_absolute(got, want, 1e-15 * 8 * s.D * std::sqrt(s.D) + 1e-15));
    });
    test::every_way_on_cuda(run, [&](const std::vector<double>& got) {
      CHECK(within_absolute(got, want, distance_error_on_cuda(s)));
    });
  }
}

TEST_CASE("kde: bad shapes and bandwidths are refused") {
  CpuContext ctx(1);
  const std::vector<float> point = {1};
  CHECK_THROWS_AS(densities(ctx, {1, 1, 1}, 0.0, point, point), Error);
  CHECK_THROWS_AS(densities(ctx, {0, 1, 1}, 1.0, point, point), Error);
}

}  // namespace
}  // namespace assay
