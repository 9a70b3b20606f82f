// 2x2 max pooling, one thread for 4 channels of an output pixel.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/kernels.h"

namespace assay::testing {
namespace {

__global__ void maxpool(const float* __restrict__ x, float* __restrict__ y,
                        uint8_t* __restrict__ argmax, int N, int H, int W, int C) {
  const int P = H / 2, Q = W / 2, groups = C / 4;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= N * P * Q * groups) return;
  const int c = i % groups * 4, q = i / groups % Q, p = i / groups / Q % P, n = i / groups / Q / P;
  float best[4];
  uint8_t which[4] = {};
  for (int k = 0; k < 4; ++k) {
    const float4 v =
        cuda::ldv<float4>(x + (size_t(n * H + 2 * p + k / 2) * W + 2 * q + k % 2) * C + c);
    const float values[4] = {v.x, v.y, v.z, v.w};
    for (int j = 0; j < 4; ++j)
      if (k == 0 || values[j] > best[j]) {
        best[j] = values[j];
        which[j] = uint8_t(k);
      }
  }
  const size_t out = (size_t(n * P + p) * Q + q) * C + c;
  cuda::stv(y + out, make_float4(best[0], best[1], best[2], best[3]));
  cuda::stv(argmax + out, make_uchar4(which[0], which[1], which[2], which[3]));
}

}  // namespace

void run_maxpool(const float* x, float* y, uint8_t* argmax, int N, int H, int W, int C) {
  const int threads = N * (H / 2) * (W / 2) * (C / 4);
  cuda::launch(maxpool, (threads + 255) / 256, 256, 0, nullptr, x, y, argmax, N, H, W, C);
}

}  // namespace assay::testing
