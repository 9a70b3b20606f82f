// The CUDA runtime of the framework (contexts, transfers, StepGraph) on the emulated device.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "kernels/emulator/config.h"
#include "kernels/runtime/cuda/cuda_context.h"
#include "kernels/runtime/cuda/step_graph.h"
#include "kernels/runtime/error.h"
#include "tests/emulator/device_array.h"
#include "tests/emulator/kernels/kernels.h"
#include "tests/emulator/schedules.h"
#include "tests/support/this_program.h"

namespace assay::testing {
namespace {

constexpr int kN = 100;
constexpr size_t kBytes = kN * sizeof(float);

std::vector<float> to_host(Context& ctx, const Scratch& block) {
  std::vector<float> host(kN);
  copy_bytes(ctx, host.data(), Device::cpu(), block.as<float>(), Device::cuda(), kBytes);
  return host;
}

}  // namespace

TEST_CASE("the emulator is this build's CUDA device") {
  CHECK(cuda_available());
  CHECK(Device::cuda().is_cuda());
  CHECK_EQ(device_name(Device::cuda()), "emulated CUDA");
}

TEST_CASE("CUDA_VISIBLE_DEVICES hides the device") {
  const auto devices = [](const char* visible) {
    setenv("CUDA_VISIBLE_DEVICES", visible, 1);
    int count = -1;
    const cudaError_t error = cudaGetDeviceCount(&count);
    unsetenv("CUDA_VISIBLE_DEVICES");
    CHECK_EQ(cudaGetLastError(), error);
    CHECK_EQ(error, count == 0 ? cudaErrorNoDevice : cudaSuccess);
    return count;
  };
  for (const char* hidden : {"", "-1", "1", "1,0", "01"}) CHECK_EQ(devices(hidden), 0);
  for (const char* seen : {"0", "0,1"}) CHECK_EQ(devices(seen), 1);
}

TEST_CASE("bytes go to the device, between its buffers and back") {
  CudaContext context(1);
  Context& ctx = context.get();
  const std::vector<float> x = random_floats(kN, 1);
  const Scratch a(ctx, kBytes), b(ctx, kBytes);
  copy_bytes(ctx, a.as<float>(), Device::cuda(), x.data(), Device::cpu(), kBytes);
  copy_bytes(ctx, b.as<float>(), Device::cuda(), a.as<float>(), Device::cuda(), kBytes);
  zero_bytes(ctx, a.as<float>(), kBytes);
  CHECK(to_host(ctx, b) == x);
  CHECK(to_host(ctx, a) == std::vector<float>(kN, 0.0f));

  CpuContext cpu(1);  // has no stream, so it waits for all of them
  run_double(b.as<float>(), kN, ctx.stream);
  std::vector<float> doubled = x;
  for (float& v : doubled) v *= 2.0f;
  CHECK(to_host(cpu, b) == doubled);
}

TEST_CASE("make_context gives either device; the allocator caches") {
  const auto context = make_context(Device::cuda(), 1);
  Context& ctx = context->get();
  CHECK(ctx.device.is_cuda());
  const int64_t own = ctx.memory->stats().system_calls;  // of the context
  for (int i = 0; i < 3; ++i) const Scratch block(ctx, 5000);
  CHECK_EQ(ctx.memory->stats().system_calls, own + 1);
  CHECK_FALSE(make_context(Device::cpu(), 1)->get().device.is_cuda());
}

TEST_CASE("out of memory says how much was asked for, held and free") {
  const KeepConfig keep;
  emulator::config().memory_bytes = 1 << 20;
  CudaContext context(1);
  Context& ctx = context.get();
  const int64_t own = ctx.memory->stats().live;  // of the context
  const Scratch held(ctx, 1 << 19);
  std::string message;
  try {
    const Scratch too_much(ctx, 1 << 20);
  } catch (const Error& e) {
    message = e.what();
  }
  CHECK_EQ(message, fmt::format("out of memory on cuda: asked for 1048576 bytes with {} in use and "
                                "{} free; try a smaller --batch",
                                524288 + own, 524288 - own));
}

TEST_CASE("the copy stream and the compute stream wait for each other") {
  const KeepConfig keep;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    cudaDeviceReset();
    emulator::config().seed = seed;
    CudaContext context(1);
    Context& ctx = context.get();
    const Scratch x(ctx, kBytes);
    const PinnedBuffer batch(kBytes);
    zero_bytes(ctx, x.as<float>(), kBytes);
    for (int step = 1; step <= 3; ++step) {
      std::fill_n(batch.as<float>(), kN, static_cast<float>(step));
      context.copies_wait_for_compute();
      ASSAY_CUDA_CHECK(cudaMemcpyAsync(x.as<float>(), batch.as<float>(), kBytes,
                                       cudaMemcpyHostToDevice,
                                       static_cast<cudaStream_t>(context.copy_stream())));
      context.compute_waits_for_copies();
      run_add_one(x.as<float>(), kN, ctx.stream);
      CHECK(to_host(ctx, x) == std::vector<float>(kN, static_cast<float>(step + 1)));
    }
  }
}

TEST_CASE("a launch throws what its kernel does wrong" * doctest::skip()) {
  const KeepConfig keep;
  emulator::config().streams = emulator::Streams::late;
  const DeviceArray<float> data(std::vector<float>(64, 1.0f));
  CHECK_THROWS_AS(run_wrong(Wrong::trap, data.get()), DeviceError);
}

TEST_CASE("ASSAY_SYNC=1 waits after each launch") {
  const char* test = "a launch throws what its kernel does wrong";
  CHECK_EQ(run_this_program("ASSAY_SYNC=1", test).code, 0);
  CHECK_NE(run_this_program("ASSAY_SYNC=0", test).code, 0);
}

TEST_CASE("a step graph replays the step, and reads what changed in device memory") {
  CudaContext context(1);
  Context& ctx = context.get();
  const Scratch x(ctx, kBytes);
  zero_bytes(ctx, x.as<float>(), kBytes);
  StepGraph graph(context);
  int calls = 0;
  const auto step = [&] {
    ++calls;
    const Scratch activation(ctx, kBytes);  // from the graph's own pool
    copy_bytes(ctx, activation.as<float>(), Device::cuda(), x.as<float>(), Device::cuda(), kBytes);
    run_add_one(activation.as<float>(), kN, ctx.stream);
    copy_bytes(ctx, x.as<float>(), Device::cuda(), activation.as<float>(), Device::cuda(), kBytes);
  };
  for (int i = 0; i < 5; ++i) graph.run(step);
  CHECK(graph.recorded());
  CHECK_EQ(calls, 3);  // two to warm up, one to record
  CHECK(to_host(ctx, x) == std::vector<float>(kN, 5.0f));

  const Scratch other(ctx, kBytes);  // must not be the graph's activation
  zero_bytes(ctx, other.as<float>(), kBytes);
  zero_bytes(ctx, x.as<float>(), kBytes);
  graph.run(step);
  CHECK(to_host(ctx, x) == std::vector<float>(kN, 1.0f));
  CHECK(to_host(ctx, other) == std::vector<float>(kN, 0.0f));
}

TEST_CASE("a step that waits for the device cannot be recorded, and the stream survives") {
  CudaContext context(1);
  Context& ctx = context.get();
  const Scratch x(ctx, kBytes);
  StepGraph graph(context, 1);
  const auto step = [&] {
    zero_bytes(ctx, x.as<float>(), kBytes);
    synchronize(ctx);
  };
  graph.run(step);
  CHECK_THROWS_AS(graph.run(step), DeviceError);
  CHECK_FALSE(graph.recorded());
  zero_bytes(ctx, x.as<float>(), kBytes);
  CHECK(to_host(ctx, x) == std::vector<float>(kN, 0.0f));
}

}  // namespace assay::testing
