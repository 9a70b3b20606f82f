// The CUDA table of algorithms, and the gradient of the bias.
#include "kernels/conv2d/algorithm.h"
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/runtime/cuda/column_sums.cuh"

namespace assay::cuda {
namespace {

template <class T>
struct BiasGradient {
  GradientOfZFrom<T> dz;
  __device__ ColumnValues<1> operator()(int64_t row, int k) const {
    return {{dz.behind_pool(row * dz.K + k)}};
  }
};
struct StoreBiasGradient {
  float* dbias;
  __device__ void operator()(int k, const ColumnTotals<1>& sum) const {
    dbias[k] = static_cast<float>(sum.v[0]);
  }
};

// The passes of the table from those of algorithms.h.
template <auto kFprop, class T = float>
void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
           Weights<float> w, const float* bias, T* y, uint8_t* argmax) {
  kFprop(ctx, s, e, x, w.data, bias, y, argmax);
}
template <auto kDgrad, class T = float>
void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
           Weights<float> w, T* dx) {
  kDgrad(ctx, s, e, g, w.data, dx);
}
template <auto kWgrad, class T = float>
void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x, Conv2dGrad<T> g,
           float* dw, float* dbias) {
  if (kWgrad(ctx, s, e, x, g, dw, dbias) || dbias == nullptr) return;
  const int64_t rows = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool);
  column_sums<1>(ctx, rows, s.K, BiasGradient<T>{{s, e, g}}, StoreBiasGradient{dbias});
}

constexpr Conv2dAlgorithm kTable[] = {
    {.name = "hopper_bf16",
     .algo = Algorithm::hopper,
     .covers_text = "bf16 tensors on sm_90, fprop and dgrad, channels in 8s: as hopper",
     .file = "kernels/conv2d/cuda/hopper.cu",
     .wgrad_file = nullptr,
     .covers = hopper::bf16_tensors::covers,
     .fprop = nullptr,
     .dgrad = nullptr,
     .wgrad = nullptr,
     .bf16_fprop = fprop<hopper::bf16_tensors::fprop, bf16>,
     .bf16_dgrad = dgrad<hopper::bf16_tensors::dgrad, bf16>},
    {.name = "tensor_core_bf16",
     .algo = Algorithm::tensor_core,
     .covers_text =
         "bf16 tensors, channels in 8s: the pipeline with mma.sync, bf16 from memory to the "
         "tensor cores",
     .file = "kernels/conv2d/cuda/tensor_core.cu",
     .wgrad_file = "kernels/conv2d/cuda/tensor_core.cu",
     .covers = tensor_core::bf16_tensors::covers,
     .fprop = nullptr,
     .dgrad = nullptr,
     .wgrad = nullptr,
     .bf16_fprop = fprop<tensor_core::bf16_tensors::fprop, bf16>,
     .bf16_dgrad = dgrad<tensor_core::bf16_tensors::dgrad, bf16>,
     .bf16_wgrad = wgrad<tensor_core::bf16_tensors::wgrad, bf16>},
    {.name = "direct_bf16",
     .algo = Algorithm::direct,
     .covers_text = "bf16 tensors of few channels (automatic: min(C,K) <= 4 or max(C,K) <= 16): as "
                    "direct, in fp32 between loads and stores",
     .file = "kernels/conv2d/cuda/few_channels.cu",
     .wgrad_file = "kernels/conv2d/cuda/few_channels_wgrad.cu",
     .covers = direct::bf16_tensors::covers,
     .fprop = nullptr,
     .dgrad = nullptr,
     .wgrad = nullptr,
     .bf16_fprop = fprop<direct::bf16_tensors::fprop, bf16>,
     .bf16_dgrad = dgrad<direct::bf16_tensors::dgrad, bf16>,
     .bf16_wgrad = wgrad<direct::bf16_tensors::wgrad, bf16>},
    {.name = "winograd",
     .algo = Algorithm::winograd,
     .covers_text =
         "fprop and dgrad, fp32, 3x3 of stride 1 and pad 1: F(4x4,3x3), a quarter of the "
         "products",
     .file = "kernels/conv2d/cuda/winograd.cu",
     .wgrad_file = nullptr,
     .covers = winograd::covers,
     .fprop = fprop<winograd::fprop>,
     .dgrad = dgrad<winograd::dgrad>,
     .wgrad = nullptr},
    {.name = "direct",
     .algo = Algorithm::direct,
     .covers_text = "few channels (automatic: min(C,K) <= 4 or max(C,K) <= 16): filters in shared "
                    "memory, no tile that would be mostly padding",
     .file = "kernels/conv2d/cuda/few_channels.cu",
     .wgrad_file = "kernels/conv2d/cuda/few_channels_wgrad.cu",
     .covers = direct::covers,
     .fprop = fprop<direct::fprop>,
     .dgrad = dgrad<direct::dgrad>,
     .wgrad = wgrad<direct::wgrad>},
    {.name = "hopper",
     .algo = Algorithm::hopper,
     .covers_text =
         "fprop and dgrad, tf32x3 and tf32 on sm_90, channels in 4s: TMA copies boxes of "
         "the image, wgmma multiplies",
     .file = "kernels/conv2d/cuda/hopper.cu",
     .wgrad_file = nullptr,
     .covers = hopper::covers,
     .fprop = fprop<hopper::fprop>,
     .dgrad = dgrad<hopper::dgrad>,
     .wgrad = nullptr},
    {.name = "tensor_core",
     .algo = Algorithm::tensor_core,
     .covers_text = "tf32x3 and tf32, channels in 4s: the pipeline, with mma.sync",
     .file = "kernels/conv2d/cuda/tensor_core.cu",
     .wgrad_file = "kernels/conv2d/cuda/tensor_core.cu",
     .covers = tensor_core::covers,
     .fprop = fprop<tensor_core::fprop>,
     .dgrad = dgrad<tensor_core::dgrad>,
     .wgrad = wgrad<tensor_core::wgrad>},
    {.name = "pipelined",
     .algo = Algorithm::pipelined,
     .covers_text = "channels in 4s: cp.async ahead of the multiply-adds, 8 x 8 sums a thread",
     .file = "kernels/conv2d/cuda/pipelined.cu",
     .wgrad_file = "kernels/conv2d/cuda/pipelined.cu",
     .covers = pipelined::covers,
     .fprop = fprop<pipelined::fprop>,
     .dgrad = dgrad<pipelined::dgrad>,
     .wgrad = wgrad<pipelined::wgrad>},
    {.name = "hoisted",
     .algo = Algorithm::hoisted,
     .covers_text = "channels in 4s: as pipelined, without the overlap",
     .file = "kernels/conv2d/cuda/hoisted.cu",
     .wgrad_file = "kernels/conv2d/cuda/hoisted.cu",
     .covers = hoisted::covers,
     .fprop = fprop<hoisted::fprop>,
     .dgrad = dgrad<hoisted::dgrad>,
     .wgrad = wgrad<hoisted::wgrad>},
    {.name = "tiled",
     .algo = Algorithm::tiled,
     .covers_text = "every shape but an upsampling with a stride or a pool: tiles in shared memory",
     .file = "kernels/conv2d/cuda/tiled.cu",
     .wgrad_file = "kernels/conv2d/cuda/tiled.cu",
     .covers = tiled::covers,
     .fprop = fprop<tiled::fprop>,
     .dgrad = dgrad<tiled::dgrad>,
     .wgrad = wgrad<tiled::wgrad>},
    {.name = "naive",
     .algo = Algorithm::naive,
     .covers_text = "every shape: one thread per result",
     .file = "kernels/conv2d/cuda/naive.cu",
     .wgrad_file = "kernels/conv2d/cuda/naive.cu",
     .covers = naive::covers,
     .fprop = fprop<naive::fprop>,
     .dgrad = dgrad<naive::dgrad>,
     .wgrad = wgrad<naive::wgrad>},
};

}  // namespace

std::span<const Conv2dAlgorithm> conv2d_table() {
  return kTable;
}

}  // namespace assay::cuda
