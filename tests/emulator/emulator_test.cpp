// The emulator's own machinery: reports, profile, OS threads, device memory, configuration.
#include <doctest/doctest.h>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/profile.h"
#include "tests/emulator/device_array.h"
#include "tests/emulator/schedules.h"
#include "tests/emulator/workloads.h"
#include "tests/support/this_program.h"

namespace assay::testing {
namespace {

std::string report_of(Wrong wrong) {
  try {
    const DeviceArray<float> data(std::vector<float>(64, 1.0f));
    run_wrong(wrong, data.get());
    data.host();
  } catch (const DeviceError& e) {
    return e.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a deadlock report says who waits where") {
  const std::string report = report_of(Wrong::named_barrier_of_wrong_count);
  INFO(report);
  CHECK_NE(report.find("deadlock in block (0,0,0)"), std::string::npos);
  CHECK_NE(report.find("32 threads wait in a named barrier at bugs.cu:"), std::string::npos);
  CHECK_NE(report.find(": 0-31"), std::string::npos);
  CHECK_NE(report.find("32 threads have exited: 32-63"), std::string::npos);
}

TEST_CASE("after an error the device works again") {
  CHECK_NE(report_of(Wrong::trap), "");
  CHECK_EQ(check_sgemm(), "");
}

TEST_CASE("a grid gives the same bits on one and on several OS threads") {
  const KeepConfig keep;
  const int M = 300, N = 260, K = 20;
  const DeviceArray<float> a(random_floats(size_t(M) * K, 1)), b(random_floats(size_t(K) * N, 2));
  std::vector<float> results[2];
  for (const int threads : {1, 3}) {
    emulator::config().os_threads = threads;
    const DeviceArray<float> c(size_t(M) * N);
    run_sgemm(a.get(), b.get(), c.get(), M, N, K);
    results[threads == 3] = c.host();
    CHECK_EQ(check_last_block_sum(), "");
  }
  CHECK(results[0] == results[1]);
}

TEST_CASE("the same seed repeats the same run") {
  const KeepConfig keep;
  emulator::apply(emulator::config(), "order=random,async=random,seed=11,threads=1");
  uint64_t switches[2];
  for (uint64_t& count : switches) {
    cudaDeviceReset();
    emulator::statistics(true);
    CHECK_EQ(check_wgmma_gemm(), "");
    count = emulator::statistics(true).switches;
  }
  CHECK_EQ(switches[0], switches[1]);
  CHECK_GT(switches[0], 0);
}

TEST_CASE("the checker looks at every access, and only in the check build") {
  emulator::statistics(true);
  CHECK_EQ(check_maxpool(), "");
  const uint64_t checked = emulator::statistics(true).accesses_checked;
  // 2 images of 3x5 pixels and 3 groups of 4 channels: 4 loads and 2 stores each.
  CHECK_EQ(checked, emulator::instrumented() ? 2 * 15 * 3 * 6 : 0);
}

TEST_CASE("the profile shows a bank conflict, and that padding cures it") {
  if (!emulator::instrumented()) return;  // only the check build sees single accesses
  const KeepConfig keep;
  emulator::config().profile = true;
  const DeviceArray<float> x(random_floats(32 * 32, 1)), y(32 * 32);
  for (const int pitch : {32, 33}) {
    emulator::clear_profile();
    run_transpose(x.get(), y.get(), pitch);
    y.host();
    uint64_t cost = 0, ideal = 0;
    for (const emulator::LineProfile& line : emulator::profile()) {
      if (line.global || line.write) {  // everything but the read of a column has the minimum cost
        CHECK_EQ(line.cost, line.ideal);
        CHECK_EQ(line.line.substr(0, 8), "bugs.cu:");
        continue;
      }
      cost += line.cost;
      ideal += line.ideal;
    }
    CHECK_EQ(ideal, 32);
    CHECK_EQ(cost, pitch == 32 ? 32 * 32 : 32);
  }
  CHECK_NE(emulator::profile_report().find("bugs.cu:"), std::string::npos);
}

TEST_CASE("the profile shows the sectors that a strided read wastes") {
  if (!emulator::instrumented()) return;
  const KeepConfig keep;
  emulator::config().profile = true;
  const DeviceArray<float> x(random_floats(32 * 8, 1)), y(32);
  for (const int stride : {1, 2, 8}) {
    emulator::clear_profile();
    run_gather(x.get(), y.get(), stride);
    y.host();
    for (const emulator::LineProfile& line : emulator::profile()) {
      CHECK(line.global);
      CHECK_EQ(line.ideal, 4);  // 32 floats are four sectors of 32 bytes
      CHECK_EQ(line.cost, line.write ? 4 : 4 * stride);
    }
  }
}

TEST_CASE("profiled from the environment" * doctest::skip()) {
  const DeviceArray<float> x(random_floats(32 * 8, 1)), y(32);
  run_gather(x.get(), y.get(), 8);
  y.host();
}

TEST_CASE("ASSAY_EMULATOR=profile=1 prints the profile when the program ends") {
  const std::string text =
      run_this_program("ASSAY_EMULATOR=profile=1", "profiled from the environment").error;
  CAPTURE(text);
  if (emulator::instrumented()) {
    CHECK_NE(text.find("bugs.cu:"), std::string::npos);
    CHECK_NE(text.find("<--"), std::string::npos);
  } else {
    CHECK_NE(text.find("not the check build"), std::string::npos);
  }
  CHECK_EQ(run_this_program("ASSAY_EMULATOR=profile=0", "profiled from the environment").error, "");
}

TEST_CASE("device memory ends where it ends") {
  const KeepConfig keep;
  emulator::config().memory_bytes = 1 << 20;
  void* p = nullptr;
  CHECK_EQ(cudaMalloc(&p, 2 << 20), cudaErrorMemoryAllocation);
  CHECK_EQ(cudaMalloc(&p, 1 << 19), cudaSuccess);
  size_t free_bytes = 0, total = 0;
  cudaMemGetInfo(&free_bytes, &total);
  CHECK_EQ(total, 1 << 20);
  CHECK_EQ(free_bytes, 1 << 19);
  CHECK_EQ(cudaFree(p), cudaSuccess);
  CHECK_EQ(cudaFree(p), cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST_CASE("the configuration reads a list, and refuses what it does not know") {
  emulator::Config c;
  emulator::apply(c, "order=reverse,async=early,streams=eager,seed=7,threads=2");
  CHECK(c.order == emulator::Order::reverse);
  CHECK(c.async == emulator::Async::early);
  CHECK(c.streams == emulator::Streams::eager);
  CHECK_EQ(c.seed, 7);
  CHECK_EQ(c.os_threads, 2);
  CHECK_THROWS_AS(emulator::apply(c, "order=backwards"), UsageError);
  CHECK_THROWS_AS(emulator::apply(c, "speed=9"), UsageError);
  CHECK_THROWS_AS(emulator::apply(c, "seed=many"), UsageError);
}

}  // namespace assay::testing
