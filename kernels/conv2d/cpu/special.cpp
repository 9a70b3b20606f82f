#include "kernels/conv2d/cpu/special.h"

#include <algorithm>
#include <cstring>

#include "kernels/conv2d/cpu/dz_simd.h"
#include "kernels/gemm/gemm_backends.h"

namespace assay::cpu {

bool is_dense(const Conv2dShape& s) {
  return s.R == s.H && s.S == s.W && s.pad == 0 && s.upsample == 1;
}

bool is_pixelwise_behind_upsampling(const Conv2dShape& s, const Conv2dEpilogue& e) {
  return s.upsample > 1 && s.R == 1 && s.S == 1 && s.pad == 0 && s.stride == 1 && e.pool == 1;
}

bool needs_upsampled_copy(const Conv2dShape& s, const Conv2dEpilogue& e) {
  return s.upsample > 1 && (s.stride > 1 || e.pool > 1);
}

Conv2dShape without_upsampling(Conv2dShape s) {
  s.upsample = 1;
  return s;
}

Conv2dShape upsampled(Conv2dShape s) {
  s.H *= s.upsample;
  s.W *= s.upsample;
  s.upsample = 1;
  return s;
}

void upsample(Context& ctx, const Conv2dShape& s, int channels, const float* small, float* big) {
  const int64_t row = int64_t{s.W} * s.upsample * channels;
  parallel_for(ctx, int64_t{s.N} * s.H, [&](int64_t nh) {
    const float* from = small + nh * s.W * channels;
    float* first = big + nh * s.upsample * row;
    float* to = first;
    for (int w = 0; w < s.W; ++w, from += channels)
      for (int b = 0; b < s.upsample; ++b, to += channels)
        for (int c = 0; c < channels; ++c) to[c] = from[c];
    for (int a = 1; a < s.upsample; ++a)
      std::memcpy(first + a * row, first, sizeof(float) * static_cast<size_t>(row));
  });
}

void sum_copies(Context& ctx, const Conv2dShape& s, int channels, const float* big, float* small) {
  const int64_t small_row = int64_t{s.W} * channels;
  parallel_for(ctx, int64_t{s.N} * s.H, [&](int64_t nh) {
    float* row = small + nh * small_row;
    std::fill_n(row, small_row, 0.0f);
    const float* from = big + nh * s.upsample * s.upsample * small_row;
    for (int a = 0; a < s.upsample; ++a)
      for (int w = 0; w < s.W; ++w)
        for (int b = 0; b < s.upsample; ++b, from += channels)
          for (int c = 0; c < channels; ++c) row[int64_t{w} * channels + c] += from[c];
  });
}

void whole_dz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
              float* dz) {
  const int64_t row = int64_t{s.Q()} * s.K;
  parallel_for(ctx, int64_t{s.N} * s.P(), [&](int64_t np) {
    const DzRow job{.dy = g.dy + np * row,
                    .y = e.activation == Activation::none ? nullptr : g.y + np * row,
                    .argmax = nullptr,
                    .windows = s.Q(),
                    .K = s.K,
                    .activation = e.activation,
                    .slope = e.slope,
                    .pool = 1,
                    .a = 0,
                    .left = 0,
                    .width = s.Q(),
                    .out = dz + np * row};
    ASSAY_ISA_CALL(dz_row, job);
  });
}

void dense_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                 Weights<float> w, const float* bias, float* y) {
  const GemmShape g{.M = s.N, .N = s.K, .K = s.R * s.S * s.C, .transpose_b = true};
  gemm(ctx, g, {.activation = e.activation, .slope = e.slope}, x, w, bias, y);
}

void dense_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                 Weights<float> w, float* dx) {
  const Scratch dz(ctx, sizeof(float) * static_cast<size_t>(s.N) * s.K);
  whole_dz(ctx, s, e, g, dz.as<float>());
  gemm(ctx, {.M = s.N, .N = s.R * s.S * s.C, .K = s.K}, {}, dz.as<float>(), w, nullptr, dx);
}

void dense_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                 Conv2dGrad<float> g, float* dw, float* dbias) {
  const Scratch scratch(ctx, sizeof(float) * static_cast<size_t>(s.N) * s.K);
  float* dz = scratch.as<float>();
  whole_dz(ctx, s, e, g, dz);
  gemm(ctx, {.M = s.K, .N = s.R * s.S * s.C, .K = s.N, .transpose_a = true}, {}, dz, x, nullptr,
       dw);
  if (dbias == nullptr) return;
  std::fill_n(dbias, s.K, 0.0f);
  for (int64_t n = 0; n < s.N; ++n)
    for (int k = 0; k < s.K; ++k) dbias[k] += dz[n * s.K + k];
}

}  // namespace assay::cpu
