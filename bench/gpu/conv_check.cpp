#include "bench/gpu/conv_check.h"

#include <cmath>
#include <limits>

#include "kernels/runtime/philox.h"

namespace assay::bench {
namespace {

/// dz(n,p,q,k): the gradient before activation and pooling.
double gradient_of_z(const ConvHost& h, int n, int p, int q, int k) {
  const Conv2dShape& s = h.s;
  const int pool = h.e.pool, rows = s.P() / pool, columns = s.Q() / pool;
  const int i = p / pool, j = q / pool;
  if (i >= rows || j >= columns) return 0;  // fills no whole window
  const auto out = static_cast<size_t>(((int64_t{n} * rows + i) * columns + j) * s.K + k);
  if (pool > 1 && h.argmax[out] != (p % pool) * pool + q % pool) return 0;
  if (h.e.activation == Activation::none) return h.dy[out];
  return h.dy[out] *
         activation_slope(h.e.activation, double{h.e.slope}, static_cast<double>(h.y[out]));
}

/// A sum of products and the sum of their squares.
struct Sum {
  double value = 0, squares = 0;
  void add(double product) {
    value += product;
    squares += product * product;
  }
};

Sum z(const ConvHost& h, int n, int p, int q, int k) {
  const Conv2dShape& s = h.s;
  Sum sum;
  if (!h.bias.empty()) sum.add(h.bias[static_cast<size_t>(k)]);
  for (int r = 0; r < s.R; ++r)
    for (int t = 0; t < s.S; ++t) {
      const int row = p * s.stride - s.pad + r, column = q * s.stride - s.pad + t;
      if (row < 0 || row >= s.H * s.upsample || column < 0 || column >= s.W * s.upsample) continue;
      const float* x =
          h.x.data() + ((int64_t{n} * s.H + row / s.upsample) * s.W + column / s.upsample) * s.C;
      const float* w = h.w.data() + ((int64_t{k} * s.R + r) * s.S + t) * s.C;
      for (int c = 0; c < s.C; ++c) sum.add(double{x[c]} * w[c]);
    }
  return sum;
}

Sum z_in_window(const ConvHost& h, int64_t at, int place) {
  const Conv2dShape& s = h.s;
  const int pool = h.e.pool, rows = s.P() / pool, columns = s.Q() / pool;
  const int k = static_cast<int>(at % s.K), j = static_cast<int>(at / s.K % columns),
            i = static_cast<int>(at / s.K / columns % rows),
            n = static_cast<int>(at / s.K / columns / rows);
  return z(h, n, i * pool + place / pool, j * pool + place % pool, k);
}

Sum output_at(const ConvHost& h, int64_t at) {
  Sum best = z_in_window(h, at, 0);
  for (int place = 1; place < h.e.pool * h.e.pool; ++place) {
    const Sum here = z_in_window(h, at, place);
    if (here.value > best.value) best = here;
  }
  best.value = activate(h.e.activation, double{h.e.slope}, best.value);
  // Bounded outputs are no larger than 1, however large the sums.
  if (h.e.activation == Activation::sigmoid || h.e.activation == Activation::tanh) best.squares = 0;
  return best;
}

Sum input_gradient_at(const ConvHost& h, int64_t at) {
  const Conv2dShape& s = h.s;
  const int c = static_cast<int>(at % s.C), column = static_cast<int>(at / s.C % s.W),
            row = static_cast<int>(at / s.C / s.W % s.H),
            n = static_cast<int>(at / s.C / s.W / s.H);
  Sum sum;
  for (int a = 0; a < s.upsample; ++a)
    for (int b = 0; b < s.upsample; ++b)
      for (int r = 0; r < s.R; ++r)
        for (int t = 0; t < s.S; ++t) {
          const int p = row * s.upsample + a + s.pad - r, q = column * s.upsample + b + s.pad - t;
          if (p < 0 || q < 0 || p % s.stride != 0 || q % s.stride != 0) continue;
          if (p / s.stride >= s.P() || q / s.stride >= s.Q()) continue;
          for (int k = 0; k < s.K; ++k)
            sum.add(gradient_of_z(h, n, p / s.stride, q / s.stride, k) *
                    h.w[static_cast<size_t>(((int64_t{k} * s.R + r) * s.S + t) * s.C + c)]);
        }
  return sum;
}

/// dw(k, r, t, c .. c + count).
void filter_gradients(const ConvHost& h, int k, int r, int t, int c, int count, Sum* out) {
  const Conv2dShape& s = h.s;
  for (int n = 0; n < s.N; ++n)
    for (int p = 0; p < s.P(); ++p)
      for (int q = 0; q < s.Q(); ++q) {
        const int row = p * s.stride - s.pad + r, column = q * s.stride - s.pad + t;
        if (row < 0 || row >= s.H * s.upsample || column < 0 || column >= s.W * s.upsample)
          continue;
        const double dz = gradient_of_z(h, n, p, q, k);
        if (dz == 0) continue;
        const float* x = h.x.data() +
                         ((int64_t{n} * s.H + row / s.upsample) * s.W + column / s.upsample) * s.C +
                         c;
        for (int i = 0; i < count; ++i) out[i].add(dz * x[i]);
      }
}

void keep(const std::vector<Sum>& sums, ConvSample& sample) {
  for (const Sum& sum : sums) {
    sample.value.push_back(sum.value);
    sample.squares.push_back(sum.squares);
  }
}

std::vector<int64_t> some_of(int64_t n, RandomSequence& random) {
  std::vector<int64_t> at = {0, n - 1};
  while (at.size() < 512)
    at.push_back(static_cast<int64_t>(double{random.uniform()} * static_cast<double>(n - 1)));
  return at;
}

}  // namespace

double before_pooling(const ConvHost& h, int64_t at, int place) {
  return z_in_window(h, at, place).value;
}

double ConvSample::error(const std::vector<float>& got) const {
  double difference = 0, norm = 0, likely = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    difference += (got[i] - value[i]) * (got[i] - value[i]);
    norm += value[i] * value[i];
    likely += squares[i];
  }
  norm = std::max(norm, likely);
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

ConvSample sample_convolution(Context& ctx, const ConvHost& h, Pass pass) {
  const Conv2dShape& s = h.s;
  RandomSequence random(1, RandomStream::init);
  ConvSample sample;
  if (pass != Pass::wgrad) {
    const bool forward = pass == Pass::fprop;
    sample.at = some_of(forward ? int64_t{s.N} * (s.P() / h.e.pool) * (s.Q() / h.e.pool) * s.K
                                : int64_t{s.N} * s.H * s.W * s.C,
                        random);
    std::vector<Sum> sums(sample.at.size());
    parallel_for(ctx, static_cast<int64_t>(sums.size()), [&](int64_t part) {
      const auto i = static_cast<size_t>(part);
      sums[i] = forward ? output_at(h, sample.at[i]) : input_gradient_at(h, sample.at[i]);
    });
    keep(sums, sample);
    return sample;
  }
  constexpr int kRows = 16;
  const int count = std::min(s.C, 32);
  struct Row {
    int k, r, t, c;
  };
  std::vector<Row> rows;
  for (int i = 0; i < kRows; ++i) {
    const auto below = [&](int n) {
      return static_cast<int>(random.below(static_cast<uint32_t>(n)));
    };
    rows.push_back({below(s.K), below(s.R), below(s.S), below(s.C - count + 1)});
    const Row& row = rows.back();
    for (int c = 0; c < count; ++c)
      sample.at.push_back(((int64_t{row.k} * s.R + row.r) * s.S + row.t) * s.C + row.c + c);
  }
  std::vector<Sum> sums(sample.at.size());
  parallel_for(ctx, kRows, [&](int64_t part) {
    const Row& row = rows[static_cast<size_t>(part)];
    filter_gradients(h, row.k, row.r, row.t, row.c, count, sums.data() + part * count);
  });
  keep(sums, sample);
  return sample;
}

}  // namespace assay::bench
