// Local density against the float64 definition, which sums differences and expands nothing.
#include "kernels/local_density/local_density.h"

#include <algorithm>

#include "kernels/local_density/local_density_ref.h"
#include "kernels/runtime/error.h"
#include "tests/support/every_way.h"

namespace assay {
namespace {

using Kind = LocalKernel::Kind;

/// Fewer and more channels, images and queries than fill a register, a tile, a panel or a task;
/// grids smaller than the window.
constexpr LocalDensityShape kShapes[] = {
    {1, 1, 0, 1, 1, 1},    {2, 3, 1, 5, 3, 7},    {1, 2, 1, 33, 13, 17}, {2, 2, 2, 3, 4, 5},
    {1, 1, 0, 70, 130, 9}, {3, 2, 1, 32, 12, 32}, {2, 1, 1, 31, 25, 81}};

constexpr Algorithm kCudaVersions[] = {Algorithm::naive, Algorithm::tiled, Algorithm::pipelined,
                                       Algorithm::tensor_core};

struct Problem {
  LocalDensityShape s;
  std::vector<float> features, queries, centre, metric, norms;
  std::vector<int> image, query_image;

  LocalBank<float> bank() const {
    return {features.data(), metric.data(), centre.data(), norms.data(), image.data()};
  }
};

/// Features around `offset`, with a metric from their own covariance; some queries are features,
/// and every second image of the queries is one of the bank's.
Problem make_problem(const LocalDensityShape& s, float offset) {
  Problem p{.s = s,
            .features = test::random_floats(int64_t{s.cells()} * s.C * s.n),
            .queries = test::random_floats(int64_t{s.cells()} * s.m * s.C),
            .centre = std::vector<float>(s.cells() * s.C),
            .metric = std::vector<float>(int64_t{s.cells()} * s.C * s.C),
            .norms = std::vector<float>(int64_t{s.cells()} * s.window() * s.n),
            .image = {},
            .query_image = {}};
  for (float& v : p.features) v += offset;
  for (float& v : p.queries) v += offset;
  for (int cell = 0; cell < s.cells(); ++cell)
    for (int c = 0; c < s.C; ++c)
      p.queries[(int64_t{cell} * s.C + c) * s.m] = p.features[(int64_t{cell} * s.C + c) * s.n];
  for (int i = 0; i < s.n; ++i) p.image.push_back(i / 2 * 3);  // two features of each image
  for (int j = 0; j < s.m; ++j)
    p.query_image.push_back(j % 2 == 0 ? -1 : p.image[static_cast<size_t>(j % s.n)]);
  ref::local_metric(s, 0.5, p.features.data(), p.centre.data(), p.metric.data());
  ref::local_bank_norms(s, p.features.data(), p.metric.data(), p.centre.data(), p.norms.data());
  return p;
}

std::vector<float> scores(Context& ctx, const Problem& p, const LocalKernel& kernel, bool masked) {
  const test::Array<float> out(ctx, int64_t{p.s.cells()} * p.s.m);
  const test::Array features(ctx, p.features), metric(ctx, p.metric), centre(ctx, p.centre),
      norms(ctx, p.norms), queries(ctx, p.queries);
  const test::Array image(ctx, p.image), query_image(ctx, p.query_image);
  local_density<float>(ctx, p.s, kernel, {features, metric, centre, norms, image}, queries,
                       masked ? query_image.get() : nullptr, out);
  return out.host();
}

std::vector<float> expected(const Problem& p, const LocalKernel& kernel, bool masked) {
  std::vector<float> want(int64_t{p.s.cells()} * p.s.m, NAN);
  ref::local_density<float>(p.s, kernel, p.bank(), p.queries.data(),
                            masked ? p.query_image.data() : nullptr, want.data());
  return want;
}

/// The error bound of each score, with one more rounding for the reference, which is a float.
std::vector<double> bounds(const Problem& p, const LocalKernel& kernel,
                           const std::vector<float>& want) {
  std::vector<double> bound;
  for (int cell = 0; cell < p.s.cells(); ++cell)
    for (int64_t j = 0; j < p.s.m; ++j)
      bound.push_back(ref::local_density_bound(p.s, kernel, p.bank(),
                                               p.queries.data() + int64_t{cell} * p.s.m * p.s.C + j,
                                               cell) +
                      1.2e-7 * std::abs(want[bound.size()]));
  return bound;
}

/// The largest of |got - want| / bound; both infinite is no error.
double worst_share(const std::vector<float>& got, const std::vector<float>& want,
                   const std::vector<double>& bound) {
  REQUIRE(got.size() == want.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isinf(want[i]) && got[i] == want[i]) continue;
    const double share = std::abs(double{got[i]} - want[i]) / bound[i];
    worst = std::isnan(share) ? INFINITY : std::max(worst, share);
  }
  return worst;
}

TEST_CASE("local_density is within its bound of the float64 definition") {
  for (const LocalDensityShape& s : kShapes)
    for (const float offset : {0.0f, 3.0f})
      for (const bool masked : {false, true})
        for (const LocalKernel kernel :
             {LocalKernel{Kind::nearest}, LocalKernel{Kind::log_sum_exp, 0.3},
              LocalKernel{Kind::log_sum_exp, 5.0}}) {
          CAPTURE(s.C);
          CAPTURE(s.n);
          CAPTURE(s.m);
          CAPTURE(offset);
          CAPTURE(masked);
          CAPTURE(kernel.s);
          const Problem p = make_problem(s, offset);
          const auto want = expected(p, kernel, masked);
          const auto bound = bounds(p, kernel, want);
          const auto run = [&](Context& c) { return scores(c, p, kernel, masked); };
          const auto is_within = [&](const std::vector<float>& got) {
            CHECK(worst_share(got, want, bound) <= 1);
          };
          test::every_way_on_cpu(run, is_within);
          for (const Algorithm algo : kCudaVersions) {
            CAPTURE(name_of(algo));
            test::every_way_on_cuda(
                [&](Context& c) {
                  c.algorithm = algo;
                  return run(c);
                },
                is_within);
          }
        }
}

// The error of the expansion on features like a detector's: standardised, 81 channels, a metric
// from their covariance. It is compared with direct differences in float.
TEST_CASE("local_density: the expansion's error is a few roundings of the distance's own size") {
  const LocalDensityShape s{2, 2, 1, 60, 20, 81};
  const Problem p = make_problem(s, 1.0f);
  const auto want = expected(p, {Kind::nearest}, false);
  const double largest = *std::max_element(want.begin(), want.end());
  test::every_way_on_cpu([&](Context& c) { return scores(c, p, {Kind::nearest}, false); },
                         [&](const std::vector<float>& got) {
                           double worst = 0;
                           for (size_t i = 0; i < got.size(); ++i)
                             worst = std::max(worst, std::abs(double{got[i]} - want[i]));
                           CHECK(worst <= 32 * 1.2e-7 * largest);
                         });
}

TEST_CASE("local_density: a query that is a feature of the bank is at distance 0, or masked") {
  const LocalDensityShape s{1, 1, 0, 2, 1, 3};
  Problem p = make_problem(s, 0);
  p.query_image = {p.image[0]};
  test::every_way([&](Context& c) { return scores(c, p, {Kind::nearest}, false); },
                  [](const std::vector<float>& got) { CHECK(got[0] <= 1e-5f); });
  test::every_way([&](Context& c) { return scores(c, p, {Kind::nearest}, true); },
                  [](const std::vector<float>& got) { CHECK(std::isinf(got[0])); });
}

TEST_CASE("local_metric and local_bank_norms equal their definitions") {
  for (const LocalDensityShape& s : kShapes) {
    CAPTURE(s.C);
    CAPTURE(s.n);
    Problem p = make_problem(s, 1.0f);
    const auto run = [&](Context& c) {
      const test::Array features(c, p.features);
      const test::Array<float> centre(c, static_cast<int64_t>(p.centre.size())),
          metric(c, static_cast<int64_t>(p.metric.size())),
          norms(c, static_cast<int64_t>(p.norms.size()));
      local_metric<float>(c, s, 0.5, features, centre, metric);
      const test::Array given_metric(c, p.metric), given_centre(c, p.centre);
      local_bank_norms<float>(c, s, features, given_metric, given_centre, norms);
      std::vector<float> all = centre.host();
      for (const auto& part : {metric.host(), norms.host()})
        all.insert(all.end(), part.begin(), part.end());
      return all;
    };
    std::vector<float> want = p.centre;
    want.insert(want.end(), p.metric.begin(), p.metric.end());
    want.insert(want.end(), p.norms.begin(), p.norms.end());
    // Second moments of features below 2 round by n u 4 each, C of them in a row; the inverse of
    // (A + dA) is off by |A^-1| |dA| |A^-1| with |A^-1| <= 1 / ridge = 2.
    const double u = 6e-8, metric_bound = 2 * 2 * s.C * (s.window() * s.n + 4) * 4 * u;
    std::vector<double> bound(p.centre.size(), (s.n + 2) * 2 * u);
    bound.insert(bound.end(), p.metric.size(), metric_bound);
    for (int cell = 0; cell < s.cells(); ++cell)
      for (int k = 0; k < s.window(); ++k)
        for (int i = 0; i < s.n; ++i) {
          double S = 0;
          const float* b = p.features.data() + int64_t{s.neighbour(cell, k)} * s.C * s.n + i;
          const float* centre = p.centre.data() + int64_t{cell} * s.C;
          for (int c = 0; c < s.C; ++c)
            for (int d = 0; d < s.C; ++d)
              S += std::abs(double{p.metric[(int64_t{cell} * s.C + c) * s.C + d]} *
                            (b[int64_t{c} * s.n] - centre[c]) * (b[int64_t{d} * s.n] - centre[d]));
          bound.push_back((2 * s.C + 4) * u * S + 1e-30);
        }
    test::every_way(
        run, [&](const std::vector<float>& got) { CHECK(worst_share(got, want, bound) <= 1); });
  }
}

TEST_CASE("local_density: bad shapes and bandwidths are refused") {
  CpuContext ctx(1);
  const Problem p = make_problem({1, 1, 0, 1, 1, 1}, 0);
  CHECK_THROWS_AS(scores(ctx, p, {Kind::log_sum_exp, 0.0}, false), Error);
  Problem none = p;
  none.s.n = 0;
  CHECK_THROWS_AS(scores(ctx, none, {Kind::nearest}, false), Error);
  Problem wide = p;
  wide.s.radius = LocalDensityShape::kMaxRadius + 1;
  CHECK_THROWS_AS(scores(ctx, wide, {Kind::nearest}, false), Error);
  Problem flat = p;
  CHECK_THROWS_AS(
      local_metric<float>(ctx, p.s, 0.0, p.features.data(), flat.centre.data(), flat.metric.data()),
      Error);
}

}  // namespace
}  // namespace assay
