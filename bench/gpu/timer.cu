#include "bench/gpu/timer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/record_graph.cuh"

namespace assay::bench {
namespace {

__global__ void read_all(const float4* p, int64_t n, float* sink) {
  float sum = 0;
  for (int64_t i = cuda::global_thread(); i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const float4 v = cuda::ldv<float4>(p + i);
    sum += v.x + v.y + v.z + v.w;
  }
  if (sum == 1.0f) *sink = sum;  // never true for zeros; keeps the loads
}

cudaDeviceProp properties() {
  cudaDeviceProp p;
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&p, 0));
  return p;
}

}  // namespace

struct Timer::Events {
  cudaEvent_t start = nullptr, stop = nullptr;
  Events() {
    ASSAY_CUDA_CHECK(cudaEventCreate(&start));
    ASSAY_CUDA_CHECK(cudaEventCreate(&stop));
  }
  ~Events() {
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
  }
};

Timer::Recording::~Recording() {
  if (exec_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(exec_));
}

Timer::Timer(Context& ctx)
    : ctx_(ctx),
      events_(std::make_shared<Events>()),
      flush_buffer_(ctx, static_cast<size_t>(l2_bytes()) * 5 / 2 / 16 * 16),
      sink_(ctx, sizeof(float)) {
  zero_bytes(ctx, flush_buffer_.as<void>(), flush_buffer_.bytes());
}

Timer::Recording Timer::record(const Work& work, int launches, int sets) {
  work(0);
  synchronize(ctx_);
  const cudaStream_t stream = cuda::stream_of(ctx_);
  // Relaxed, because a library may call the driver while it is recorded.
  const cudaGraphExec_t exec = cuda::record_graph(stream, cudaStreamCaptureModeRelaxed, [&] {
    for (int i = 0; i < launches; ++i) work(i % sets);
  });
  Recording recording(exec, launches);
  ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, stream));  // uploads it
  synchronize(ctx_);
  return recording;
}

double Timer::between(const std::function<void()>& run) {
  const cudaStream_t stream = cuda::stream_of(ctx_);
  ASSAY_CUDA_CHECK(cudaEventRecord(events_->start, stream));
  run();
  ASSAY_CUDA_CHECK(cudaEventRecord(events_->stop, stream));
  ASSAY_CUDA_CHECK(cudaEventSynchronize(events_->stop));
  float milliseconds = 0;
  ASSAY_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events_->start, events_->stop));
  return 1e3 * milliseconds;
}

void Timer::flush() {
  const auto n = static_cast<int64_t>(flush_buffer_.bytes() / sizeof(float4));
  cuda::launch(read_all, static_cast<unsigned>(4 * multiprocessors()), cuda::kThreads, 0,
               cuda::stream_of(ctx_), flush_buffer_.as<const float4>(), n, sink_.as<float>());
}

double Timer::warm(const Recording& r) {
  const cudaStream_t stream = cuda::stream_of(ctx_);
  const auto exec = static_cast<cudaGraphExec_t>(r.exec_);
  // The replay before fills the caches, and keeps the device busy while the host queues the next.
  ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, stream));
  return between([&] { ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, stream)); }) / r.launches_;
}

double Timer::cold(const Recording& r) {
  flush();
  return between([&] {
           ASSAY_CUDA_CHECK(
               cudaGraphLaunch(static_cast<cudaGraphExec_t>(r.exec_), cuda::stream_of(ctx_)));
         }) /
         r.launches_;
}

double Timer::eager(const Work& work, int launches) {
  work(0);
  synchronize(ctx_);
  return between([&] {
           for (int i = 0; i < launches; ++i) work(0);
         }) /
         launches;
}

int Timer::launches_for(const Work& work) {
  constexpr double kSample = 200;  // us
  if (!real_device()) return 1;
  const Recording few = record(work, 4, 1);
  double us = warm(few);
  for (int i = 0; i < 2; ++i) us = std::min(us, warm(few));
  return std::clamp(static_cast<int>(std::ceil(kSample / us)), 1, kMaxLaunches);
}

void Timer::wake() {
  if (!real_device()) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 50; ++i) flush();
    synchronize(ctx_);
  }
}

double quantile(std::vector<double> v, double p) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  const double at = p * static_cast<double>(v.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, v.size() - 1);
  return v[low] + (at - static_cast<double>(low)) * (v[high] - v[low]);
}

double median(std::vector<double> v) {
  return quantile(std::move(v), 0.5);
}

bool real_device() {
#if defined(__CUDACC__)
  return true;
#else
  return false;
#endif
}
int64_t l2_bytes() {
  return properties().l2CacheSize;
}
int multiprocessors() {
  return properties().multiProcessorCount;
}

}  // namespace assay::bench
