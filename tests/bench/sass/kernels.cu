// Small kernels whose main loops are known, for sass_report_test.py:
//   nvcc -O3 -arch=sm_90a -cubin -o kernels.sm_90a.cubin kernels.cu   (and sm_80)
//   nvdisasm -c -hex kernels.sm_90a.cubin > kernels.sm_90a.sass

// A round: a barrier, 2 loads of 16 bytes and 8 multiply-adds; before and behind it no loop.
extern "C" __global__ void __launch_bounds__(128) fma_loop(const float4* x, float* y, int rounds) {
  __shared__ float4 tile[256];
  tile[threadIdx.x] = x[threadIdx.x];
  tile[threadIdx.x + 128] = x[threadIdx.x + 128];
  float s = 0, t = 0;
#pragma unroll 1
  for (int i = 0; i < rounds; ++i) {
    __syncthreads();
    const float4 a = tile[threadIdx.x ^ i % 128], b = tile[threadIdx.x + (i & 127)];
    s = fmaf(a.x, b.x, s);
    t = fmaf(a.y, b.y, t);
    s = fmaf(a.z, b.z, s);
    t = fmaf(a.w, b.w, t);
    s = fmaf(a.x, b.w, s);
    t = fmaf(a.y, b.z, t);
    s = fmaf(a.z, b.y, s);
    t = fmaf(a.w, b.x, t);
  }
  y[blockIdx.x * 128 + threadIdx.x] = s + t;
}

// A round: 4 products m16n8k8 of TF32.
extern "C" __global__ void __launch_bounds__(32) mma_loop(const unsigned* x, float* y, int rounds) {
  float d[4][4] = {};
  unsigned a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = x[threadIdx.x + 32 * i];
  for (int i = 0; i < 2; ++i) b[i] = x[threadIdx.x + 32 * (4 + i)];
#pragma unroll 1
  for (int i = 0; i < rounds; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
          "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
          : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
  for (int j = 0; j < 4; ++j)
    for (int e = 0; e < 4; ++e) y[(4 * j + e) * 32 + threadIdx.x] = d[j][e];
}

// An array that is indexed at run time lies on the stack.
extern "C" __global__ void stack_array(const float* x, float* y, int k) {
  float local[32] = {};
  for (int i = 0; i < 64; ++i) local[i * k & 31] += x[i];
  y[threadIdx.x] = local[(threadIdx.x + k) & 31];
}
