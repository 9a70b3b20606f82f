// Streams, events and graphs of the emulated device behave as CUDA specifies, under every policy.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstring>

#include "kernels/emulator/check.h"
#include "tests/emulator/device_array.h"
#include "tests/emulator/kernels/kernels.h"
#include "tests/emulator/schedules.h"

namespace assay::testing {
namespace {

constexpr int kN = 200;
constexpr size_t kBytes = kN * sizeof(float);

class Stream {
 public:
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, flags));
  }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event() { ASSAY_CUDA_CHECK(cudaEventCreate(&event_)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class Pinned {
 public:
  explicit Pinned(float value) {
    ASSAY_CUDA_CHECK(cudaMallocHost(&data_, kBytes));
    fill(value);
  }
  ~Pinned() { cudaFreeHost(data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  void fill(float value) { std::fill(data_, data_ + kN, value); }
  float* get() const { return data_; }

 private:
  float* data_ = nullptr;
};

template <class F>
void for_each_policy(const F& f) {
  const KeepConfig keep;
  for (const std::string policy : {"eager", "late", "random"})
    for (int seed = 1; seed <= 5; ++seed) {
      cudaDeviceReset();
      const std::string list = fmt::format("streams={},seed={}", policy, seed);
      emulator::apply(emulator::config(), list);
      INFO(list);
      f();
    }
}

bool all_equal(const std::vector<float>& v, float value) {
  return std::all_of(v.begin(), v.end(), [=](float x) { return x == value; });
}

}  // namespace

TEST_CASE("operations of one stream run in order") {
  for_each_policy([] {
    const Stream s;
    const DeviceArray<float> x(kN);
    cudaMemsetAsync(x.get(), 0, kBytes, s);
    run_add_one(x.get(), kN, s);
    run_double(x.get(), kN, s);
    run_add_one(x.get(), kN, s);
    CHECK_EQ(cudaStreamSynchronize(s), cudaSuccess);
    CHECK(all_equal(x.host(), 3.0f));
  });
}

TEST_CASE("an event orders two streams") {
  for_each_policy([] {
    const Stream copies, compute;
    const Event loaded;
    const Pinned host(1.0f);
    const DeviceArray<float> x(kN);
    cudaMemcpyAsync(x.get(), host.get(), kBytes, cudaMemcpyHostToDevice, copies);
    cudaEventRecord(loaded, copies);
    cudaStreamWaitEvent(compute, loaded);
    run_double(x.get(), kN, compute);
    CHECK_EQ(cudaStreamSynchronize(compute), cudaSuccess);
    CHECK(all_equal(x.host(), 2.0f));
  });
}

TEST_CASE("the default stream waits for blocking streams, and they for it") {
  for_each_policy([] {
    const Stream s(cudaStreamDefault);
    const DeviceArray<float> x(kN);
    cudaMemsetAsync(x.get(), 0, kBytes, s);
    run_add_one(x.get(), kN, nullptr);
    run_double(x.get(), kN, s);
    CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
    CHECK(all_equal(x.host(), 2.0f));
  });
}

TEST_CASE("pageable memory is staged, pinned memory is read when the copy runs") {
  const KeepConfig keep;
  emulator::apply(emulator::config(), "streams=late");
  const Stream s;
  const DeviceArray<float> x(kN), y(kN);
  std::vector<float> pageable(kN, 1.0f);
  Pinned pinned(1.0f);
  cudaMemcpyAsync(x.get(), pageable.data(), kBytes, cudaMemcpyHostToDevice, s);
  cudaMemcpyAsync(y.get(), pinned.get(), kBytes, cudaMemcpyHostToDevice, s);
  std::fill(pageable.begin(), pageable.end(), 5.0f);
  pinned.fill(5.0f);  // too early: the copy has not happened
  cudaStreamSynchronize(s);
  CHECK(all_equal(x.host(), 1.0f));
  CHECK(all_equal(y.host(), 5.0f));
}

TEST_CASE("a late stream does nothing before the host waits") {
  const KeepConfig keep;
  emulator::apply(emulator::config(), "streams=late");
  const Stream s;
  int calls = 0;
  cudaLaunchHostFunc(
      s, [](void* count) { ++*static_cast<int*>(count); }, &calls);
  CHECK_EQ(cudaStreamQuery(s), cudaErrorNotReady);
  CHECK_EQ(calls, 0);
  cudaStreamSynchronize(s);
  CHECK_EQ(cudaStreamQuery(s), cudaSuccess);
  CHECK_EQ(calls, 1);
}

TEST_CASE("events tell when they have happened, and the time between them") {
  const KeepConfig keep;
  emulator::apply(emulator::config(), "streams=late");
  const Stream s;
  const Event start, end;
  cudaEventRecord(start, s);
  cudaEventRecord(end, s);
  float ms = -1.0f;
  CHECK_EQ(cudaEventQuery(end), cudaErrorNotReady);
  CHECK_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
  CHECK_EQ(cudaEventSynchronize(end), cudaSuccess);
  CHECK_EQ(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
  CHECK_GE(ms, 0.0f);
}

TEST_CASE("a graph is captured without running, and replayed as often as launched") {
  for_each_policy([] {
    const Stream s;
    const DeviceArray<float> x(std::vector<float>(kN, 1.0f));
    cudaDeviceSynchronize();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    CHECK_EQ(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal), cudaSuccess);
    run_add_one(x.get(), kN, s);
    run_double(x.get(), kN, s);
    CHECK_EQ(cudaStreamEndCapture(s, &graph), cudaSuccess);
    CHECK_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
    CHECK_EQ(cudaGraphDestroy(graph), cudaSuccess);
    CHECK(all_equal(x.host(), 1.0f));
    cudaGraphLaunch(exec, s);
    cudaGraphLaunch(exec, s);
    CHECK_EQ(cudaStreamSynchronize(s), cudaSuccess);
    CHECK(all_equal(x.host(), 10.0f));  // ((1 + 1) 2 + 1) 2
    cudaGraphExecDestroy(exec);
  });
}

TEST_CASE("a capture follows events into other streams and wants them back") {
  for_each_policy([] {
    const Stream a, b;
    const Event fork, join;
    const DeviceArray<float> x(std::vector<float>(kN, 1.0f)), y(std::vector<float>(kN, 1.0f));
    cudaDeviceSynchronize();
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal);
    run_add_one(x.get(), kN, a);
    cudaEventRecord(fork, a);
    cudaStreamWaitEvent(b, fork);
    run_double(y.get(), kN, b);
    cudaEventRecord(join, b);
    run_double(x.get(), kN, a);
    cudaStreamWaitEvent(a, join);
    cudaMemcpyAsync(y.get(), x.get(), kBytes / 2, cudaMemcpyDeviceToDevice, a);
    REQUIRE_EQ(cudaStreamEndCapture(a, &graph), cudaSuccess);
    cudaGraphExec_t exec = nullptr;
    cudaGraphInstantiate(&exec, graph);
    cudaGraphLaunch(exec, a);
    CHECK_EQ(cudaStreamSynchronize(a), cudaSuccess);
    const std::vector<float> host_y = y.host();
    CHECK(all_equal(x.host(), 4.0f));
    CHECK_EQ(host_y.front(), 4.0f);
    CHECK_EQ(host_y.back(), 2.0f);
    cudaGraphDestroy(graph);
    cudaGraphExecDestroy(exec);

    cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal);
    cudaEventRecord(fork, a);
    cudaStreamWaitEvent(b, fork);
    run_double(y.get(), kN, b);
    CHECK_EQ(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureUnjoined);
    CHECK_EQ(graph, nullptr);
  });
}

TEST_CASE("what must not happen during a capture is refused and spoils it") {
  const Stream s;
  void* p = nullptr;
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
  CHECK_EQ(cudaMalloc(&p, 16), cudaErrorStreamCaptureUnsupported);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(s, &status);
  CHECK_EQ(status, cudaStreamCaptureStatusInvalidated);
  CHECK_EQ(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
  cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
  CHECK_EQ(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
  CHECK_EQ(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
  CHECK_EQ(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureUnmatched);
  cudaGetLastError();
}

TEST_CASE("a relaxed capture allows allocations, and its graph has as many nodes as operations") {
  cudaStream_t s = nullptr;
  cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
  void* p = nullptr;
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
  CHECK_EQ(cudaMalloc(&p, 16), cudaSuccess);
  CHECK_EQ(cudaMemsetAsync(p, 0, 16, s), cudaSuccess);
  CHECK_EQ(cudaMemsetAsync(p, 1, 16, s), cudaSuccess);
  REQUIRE_EQ(cudaStreamEndCapture(s, &graph), cudaSuccess);
  size_t nodes = 0;
  CHECK_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
  CHECK_EQ(nodes, 2);
  cudaGraphDestroy(graph);
  cudaFree(p);
  cudaStreamDestroy(s);
}

TEST_CASE("copies that cannot be right are refused") {
  const DeviceArray<float> x(kN);
  std::vector<float> host(kN);
  CHECK_EQ(cudaMemcpy(x.get(), host.data(), kBytes + 4, cudaMemcpyHostToDevice),
           cudaErrorInvalidValue);
  CHECK_EQ(cudaMemcpy(x.get(), host.data(), kBytes, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  CHECK_EQ(cudaMemset(host.data(), 0, kBytes), cudaErrorInvalidValue);
  CHECK_EQ(cudaFree(host.data()), cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace assay::testing
