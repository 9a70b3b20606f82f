// Version 1 of the CPU: the sums of conv2d.h as plain loops, one output after the other. dz
// is formed where it is read. Tasks write different outputs, so the number of threads changes no
// bit.
#include <algorithm>

#include "kernels/conv2d/cpu/algorithms.h"

namespace assay::cpu::naive {
namespace {

/// dz(n,p,q,k) of conv2d.h.
struct GradientOfZ {
  const Conv2dShape& s;
  const Conv2dEpilogue& e;
  const Conv2dGrad<float>& g;
  int rows = s.P() / e.pool, columns = s.Q() / e.pool;  // of y

  float operator()(int n, int p, int q, int k) const {
    const int i = p / e.pool, j = q / e.pool;
    if (i >= rows || j >= columns) return 0;  // in no whole window
    const int64_t at = ((int64_t{n} * rows + i) * columns + j) * s.K + k;
    if (e.pool > 1 && g.argmax[at] != p % e.pool * e.pool + q % e.pool) return 0;
    if (e.activation == Activation::none) return g.dy[at];
    return g.dy[at] * activation_slope(e.activation, e.slope, g.y[at]);
  }
};

}  // namespace

Coverage covers(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&) {
  return Coverage::but_slower("one multiply-add at a time");
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const auto z = [&](int n, int p, int q, int k) {
    float sum = bias != nullptr ? bias[k] : 0;
    for (int r = 0; r < s.R; ++r)
      for (int t = 0; t < s.S; ++t) {
        const int h = p * s.stride - s.pad + r, column = q * s.stride - s.pad + t;
        if (h < 0 || h >= s.H * s.upsample || column < 0 || column >= s.W * s.upsample) continue;
        const float* pixel =
            x + ((int64_t{n} * s.H + h / s.upsample) * s.W + column / s.upsample) * s.C;
        const float* taps = w.data + ((int64_t{k} * s.R + r) * s.S + t) * s.C;
        for (int c = 0; c < s.C; ++c) sum += pixel[c] * taps[c];
      }
    return sum;
  };
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;
  parallel_for(ctx, int64_t{s.N} * rows, [&](int64_t row) {
    const int n = static_cast<int>(row / rows), i = static_cast<int>(row % rows);
    for (int j = 0; j < columns; ++j)
      for (int k = 0; k < s.K; ++k) {
        float best = z(n, i * e.pool, j * e.pool, k);
        int position = 0;
        for (int a = 1; a < e.pool * e.pool; ++a) {
          const float value = z(n, i * e.pool + a / e.pool, j * e.pool + a % e.pool, k);
          if (value > best) {
            best = value;
            position = a;
          }
        }
        const int64_t at = (row * columns + j) * s.K + k;
        y[at] = activate(e.activation, e.slope, best);
        if (argmax != nullptr) argmax[at] = static_cast<uint8_t>(position);
      }
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  const GradientOfZ dz{s, e, g};
  const int P = s.P(), Q = s.Q(), u = s.upsample;
  // The row of z that sees upsampled row h through filter row r, or -1.
  const auto seen_by = [&s](int h, int r, int rows) {
    const int p = h + s.pad - r;
    return p >= 0 && p % s.stride == 0 && p / s.stride < rows ? p / s.stride : -1;
  };
  // pixel (C) += the gradient of upsampled pixel (h, column).
  const auto add_gradient = [&](int n, int h, int column, float* pixel) {
    for (int r = 0; r < s.R; ++r)
      for (int t = 0; t < s.S; ++t) {
        const int p = seen_by(h, r, P), q = seen_by(column, t, Q);
        if (p < 0 || q < 0) continue;
        for (int k = 0; k < s.K; ++k) {
          const float d = dz(n, p, q, k);
          const float* taps = w.data + ((int64_t{k} * s.R + r) * s.S + t) * s.C;
          for (int c = 0; c < s.C; ++c) pixel[c] += d * taps[c];
        }
      }
  };
  parallel_for(ctx, int64_t{s.N} * s.H, [&](int64_t row) {
    const int n = static_cast<int>(row / s.H), h = static_cast<int>(row % s.H);
    for (int column = 0; column < s.W; ++column) {
      float* pixel = dx + (row * s.W + column) * s.C;
      std::fill_n(pixel, s.C, 0.0f);
      for (int a = 0; a < u; ++a)
        for (int b = 0; b < u; ++b) add_gradient(n, h * u + a, column * u + b, pixel);
    }
  });
}

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  const GradientOfZ dz{s, e, g};
  const int P = s.P(), Q = s.Q();
  const int64_t filter_size = int64_t{s.R} * s.S * s.C;
  parallel_for(ctx, s.K, [&](int64_t filter) {
    const int k = static_cast<int>(filter);
    float* gradient = dw + filter * filter_size;
    std::fill_n(gradient, filter_size, 0.0f);
    float bias = 0;
    for (int n = 0; n < s.N; ++n)
      for (int p = 0; p < P; ++p)
        for (int q = 0; q < Q; ++q) {
          const float d = dz(n, p, q, k);
          bias += d;
          for (int r = 0; r < s.R; ++r)
            for (int t = 0; t < s.S; ++t) {
              const int h = p * s.stride - s.pad + r, column = q * s.stride - s.pad + t;
              if (h < 0 || h >= s.H * s.upsample || column < 0 || column >= s.W * s.upsample)
                continue;
              const float* pixel =
                  x + ((int64_t{n} * s.H + h / s.upsample) * s.W + column / s.upsample) * s.C;
              float* tap = gradient + (int64_t{r} * s.S + t) * s.C;
              for (int c = 0; c < s.C; ++c) tap[c] += d * pixel[c];
            }
        }
    if (dbias != nullptr) dbias[k] = bias;
  });
}

}  // namespace assay::cpu::naive
