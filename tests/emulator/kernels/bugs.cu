// Kernels that are nothing but a bug, and a few that are nothing but correct.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/kernels.h"

namespace assay::testing {
namespace {

__global__ void reads_uninitialised_shared(float* data) {
  ASSAY_SHARED(float, tile, [64]);
  if (threadIdx.x < 63) tile[threadIdx.x] = 1.0f;
  __syncthreads();
  data[threadIdx.x] = tile[threadIdx.x];
}

__global__ void misaligned_vector(float* data) {
  const float4 v = cuda::ldv<float4>(data + 1);
  if (threadIdx.x == 0) data[0] = v.x;
}

__global__ void misaligned_copy(float* data) {
  ASSAY_SHARED(float, tile, [64]);
  if (threadIdx.x < 15) ptx::cp_async<16>(&tile[4 * threadIdx.x], data + 4 * threadIdx.x + 1);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
}

__global__ void reads_out_of_bounds(float* data) {
  const float beyond = data[threadIdx.x + 1];
  __syncthreads();
  data[threadIdx.x] = beyond;
}

__global__ void reads_null(float* data) {
  const float* volatile nothing = nullptr;  // volatile: hidden from the compiler
  data[threadIdx.x] = *nothing;
}

__global__ void too_much_static_shared(float* data) {
#if !defined(__CUDACC__)  // nvcc refuses to compile this one
  ASSAY_SHARED(float, tile, [13 << 10]);
  tile[threadIdx.x] = 1.0f;
  data[threadIdx.x] = tile[threadIdx.x];
#endif
  data[threadIdx.x] = 0.0f;
}

// Not a tail call, so that the compiler keeps the frames.
__device__ float deep(float* data, int depth) {
  volatile float local[1024];
  local[depth % 1024] = data[0];
  return depth == 0 ? local[0] : deep(data, depth - 1) + local[depth % 1024];
}
__global__ void stack_overflow(float* data) {
  data[threadIdx.x] = deep(data, 1000);
}

__global__ void shuffles_at_two_places(float* data) {
  float v = data[threadIdx.x];
  if (threadIdx.x % 2 == 0)
    v += __shfl_xor_sync(~0u, v, 1);
  else
    v -= __shfl_xor_sync(~0u, v, 1);
  data[threadIdx.x] = v;
}

__global__ void lane_outside_of_its_mask(float* data) {
  data[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, data[threadIdx.x], 1);
}

__global__ void missing_sync_warp(float* data) {
  ASSAY_SHARED(float, tile, [64]);
  tile[threadIdx.x] = data[threadIdx.x];
  __syncwarp();
  const float neighbour = tile[threadIdx.x ^ 1];
  tile[threadIdx.x] = 2.0f * neighbour;  // its owner may not have read it yet
  __syncwarp();
  data[threadIdx.x] = tile[threadIdx.x];
}

__global__ void named_barrier_of_wrong_count(float* data) {
  if (threadIdx.x < 32) ptx::bar_sync(1, 64);  // only 32 threads ever come
  data[threadIdx.x] = 0.0f;
}

__global__ void others_local_memory(float* data) {
  ASSAY_SHARED(float*, pointer, [1]);
  float mine = data[threadIdx.x];
  if (threadIdx.x == 0) pointer[0] = &mine;
  __syncthreads();
  const float theirs = *const_cast<volatile float*>(pointer[0]);
  __syncthreads();
  data[threadIdx.x] = mine + theirs;
}

__global__ void signed_overflow(float* data) {
  const int big = 0x7fffffff - int(threadIdx.x);
  data[threadIdx.x] = float(big + 1);
}

__global__ void shift_too_far(float* data) {
  data[threadIdx.x] = float(1 << threadIdx.x);  // 64 threads, 32 bits
}

__global__ void traps(float* data) {
  if (data[threadIdx.x] != 12345.0f) __trap();
}

__global__ void transpose(const float* x, float* y, int pitch) {
  ASSAY_DYNAMIC_SHARED(float, tile);
  for (int row = threadIdx.y; row < 32; row += 8)
    tile[row * pitch + threadIdx.x] = x[row * 32 + threadIdx.x];
  __syncthreads();
  for (int row = threadIdx.y; row < 32; row += 8)
    y[row * 32 + threadIdx.x] = tile[threadIdx.x * pitch + row];
}

__global__ void gather(const float* x, float* y, int stride) {
  y[threadIdx.x] = x[threadIdx.x * stride];
}

__global__ void add_one(float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += 1.0f;
}
__global__ void twice(float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= 2.0f;
}

}  // namespace

void run_wrong(Wrong wrong, float* data) {
  void (*const kernels[kWrongs])(float*) = {
      reads_uninitialised_shared,
      misaligned_vector,
      misaligned_copy,
      reads_out_of_bounds,
      reads_null,
      too_much_static_shared,
      stack_overflow,
      shuffles_at_two_places,
      lane_outside_of_its_mask,
      missing_sync_warp,
      named_barrier_of_wrong_count,
      others_local_memory,
      signed_overflow,
      shift_too_far,
      traps,
  };
  cuda::launch(kernels[static_cast<int>(wrong)], 1, 64, 0, nullptr, data);
}

void run_transpose(const float* x, float* y, int pitch) {
  cuda::launch(transpose, 1, dim3(32, 8), sizeof(float) * 32 * pitch, nullptr, x, y, pitch);
}

void run_gather(const float* x, float* y, int stride) {
  cuda::launch(gather, 1, 32, 0, nullptr, x, y, stride);
}

void run_add_one(float* x, int n, void* stream) {
  cuda::launch(add_one, (n + 127) / 128, 128, 0, static_cast<cudaStream_t>(stream), x, n);
}
void run_double(float* x, int n, void* stream) {
  cuda::launch(twice, (n + 127) / 128, 128, 0, static_cast<cudaStream_t>(stream), x, n);
}

}  // namespace assay::testing
