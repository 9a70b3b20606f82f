// Every kind of bug that the emulator claims to find is planted and must be found. Each planted bug
// runs under nine schedules, in the fast build (which notices wrong values, faults, deadlocks and
// divergence) and in the check build (which must report it every time).
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <functional>
#include <sstream>

#include "kernels/emulator/check.h"
#include "tests/emulator/device_array.h"
#include "tests/emulator/schedules.h"
#include "tests/emulator/workloads.h"

namespace assay::testing {
namespace {

/// Whether the fast build notices the bug in all, some or none of the nine schedules.
enum class Fast { always, sometimes, never };

// With a missing barrier a thread may read before, after or while another writes.
constexpr const char* kRace = "shared memory race|uninitialised shared memory";

struct Planted {
  std::string name;
  std::function<std::string()> run;  ///< "" if nothing is noticed
  Fast fast;
  std::string report;  ///< text of the check build's report: alternatives, separated by |
};

std::vector<Planted> planted_in_examples() {
  const auto bug = [](std::string (*check)(Bug), Bug b) { return [=] { return check(b); }; };
  return {
      {"sgemm: no __syncthreads after the refill", bug(check_sgemm, Bug::sgemm_missing_sync),
       Fast::always, kRace},
      {"conv: wait_group leaves one group too many",
       bug(check_conv_tf32, Bug::conv_waits_for_too_few_groups), Fast::sometimes,
       "unfinished asynchronous copy"},
      {"conv: no __syncthreads after wait_group", bug(check_conv_tf32, Bug::conv_missing_sync),
       Fast::always, kRace},
      {"conv: rows beyond the last pixel are stored",
       bug(check_conv_tf32, Bug::conv_writes_out_of_bounds), Fast::always, "out of bounds"},
      {"statistics: __syncthreads in a branch",
       bug(check_batchnorm_statistics, Bug::statistics_divergent_barrier), Fast::always,
       "barrier divergence"},
      {"statistics: no __syncthreads before the second reduction",
       bug(check_batchnorm_statistics, Bug::statistics_missing_sync), Fast::sometimes, kRace},
      {"statistics: full mask, eight lanes",
       bug(check_batchnorm_statistics, Bug::statistics_shuffle_with_absent_lanes), Fast::always,
       "does not take part"},
      {"statistics: two blocks write one word",
       bug(check_batchnorm_statistics, Bug::statistics_two_blocks_write_one_word), Fast::always,
       "global memory race"},
      {"statistics: local array overrun",
       bug(check_batchnorm_statistics, Bug::statistics_local_array_overrun), Fast::never,
       "undefined behaviour"},
      {"kde: no __syncthreads before the refill", bug(check_kde, Bug::kde_missing_sync),
       Fast::always, kRace},
      {"kde: shared memory too small", bug(check_kde, Bug::kde_shared_memory_too_small),
       Fast::always, "out of bounds"},
      {"gemm bf16: the last stage is not waited for",
       bug(check_gemm_bf16, Bug::bf16_reads_unfinished_copy), Fast::sometimes,
       "unfinished asynchronous copy"},
      {"wgmma: no wait for the full barrier", bug(check_wgmma_gemm, Bug::wgmma_no_wait_for_full),
       Fast::sometimes,
       "uninitialised shared memory|shared memory race|unfinished asynchronous copy"},
      {"wgmma: no wait for the empty barrier", bug(check_wgmma_gemm, Bug::wgmma_no_wait_for_empty),
       Fast::always, "more arrivals|deadlock"},
      {"wgmma: 16 bytes too many expected", bug(check_wgmma_gemm, Bug::wgmma_wrong_expected_bytes),
       Fast::always, "deadlock"},
      {"wgmma: no wait_group before the stage is given back",
       bug(check_wgmma_gemm, Bug::wgmma_no_wait_for_products), Fast::sometimes, "wgmma"},
      {"wgmma: no wgmma.fence", bug(check_wgmma_gemm, Bug::wgmma_no_fence), Fast::always,
       "without a wgmma.fence"},
      {"wgmma: an mbarrier is overwritten", bug(check_wgmma_gemm, Bug::wgmma_overwritten_barrier),
       Fast::always, "not initialised"},
      {"wgmma: no fence.proxy.async", bug(check_wgmma_generic, Bug::wgmma_no_proxy_fence),
       Fast::never, "fence.proxy.async"},
      {"wgmma conv: one warp of four asks for registers",
       bug(check_wgmma_conv, Bug::conv_boxes_one_warp_asks), Fast::always, "deadlock"},
      {"wgmma conv: no wait for the empty barrier",
       bug(check_wgmma_conv, Bug::conv_boxes_no_wait_for_empty), Fast::always,
       "more arrivals|deadlock"},
      {"wgmma conv: A is read before its box has landed",
       bug(check_wgmma_conv, Bug::conv_boxes_read_early), Fast::sometimes,
       "uninitialised shared memory|shared memory race|unfinished asynchronous copy"},
      {"wgmma conv: no commit_group", bug(check_wgmma_conv, Bug::conv_boxes_no_commit),
       Fast::always, "no wgmma.commit_group"},
      {"wgmma conv: registers of A change before the wait",
       bug(check_wgmma_conv, Bug::conv_boxes_registers_overwritten), Fast::always,
       "registers of A have changed"},
      {"wgmma conv: a tensor map of one image too many",
       bug(check_wgmma_conv, Bug::conv_boxes_map_beyond_tensor), Fast::always, "out of bounds"},
  };
}

std::vector<Planted> plain_wrongs() {
  const auto wrong = [](Wrong w) {
    return [=] {
      const DeviceArray<float> data(std::vector<float>(64, 1.0f));
      run_wrong(w, data.get());
      data.host();
      return std::string();
    };
  };
  return {
      {"reads uninitialised shared memory", wrong(Wrong::reads_uninitialised_shared), Fast::never,
       "uninitialised shared memory"},
      {"misaligned vector", wrong(Wrong::misaligned_vector), Fast::never, "misaligned"},
      {"misaligned cp.async", wrong(Wrong::misaligned_copy), Fast::always, "misaligned"},
      {"reads one past the end", wrong(Wrong::reads_out_of_bounds), Fast::always, "out of bounds"},
      {"reads nullptr", wrong(Wrong::reads_null), Fast::always, "invalid address"},
      {"52 KiB of static shared memory", wrong(Wrong::too_much_static_shared), Fast::always,
       "static shared memory"},
      {"stack overflow", wrong(Wrong::stack_overflow), Fast::always, "stack overflow"},
      {"two shuffles for one warp", wrong(Wrong::shuffles_at_two_places), Fast::always,
       "divergent warp collective"},
      {"a lane outside of its own mask", wrong(Wrong::lane_outside_of_its_mask), Fast::always,
       "not in its mask"},
      {"no __syncwarp between read and write", wrong(Wrong::missing_sync_warp), Fast::never, kRace},
      {"a named barrier that expects too many", wrong(Wrong::named_barrier_of_wrong_count),
       Fast::always, "wait in a named barrier at bugs.cu:"},
      {"another thread's local memory", wrong(Wrong::others_local_memory), Fast::never,
       "another thread's local memory"},
      {"signed overflow", wrong(Wrong::signed_overflow), Fast::never, "undefined behaviour"},
      {"shift by 32 and more", wrong(Wrong::shift_too_far), Fast::never, "undefined behaviour"},
      {"__trap()", wrong(Wrong::trap), Fast::always, "__trap()"},
      {"a kernel uses freed memory",
       [] {
         float* p = nullptr;
         ASSAY_CUDA_CHECK(cudaMalloc(&p, 64 * sizeof(float)));
         ASSAY_CUDA_CHECK(cudaFree(p));
         run_add_one(p, 64, nullptr);
         ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
         return std::string();
       },
       Fast::always, "freed"},
      {"the last block reads parts that nothing ordered",
       [] {
         const DeviceArray<float> x(random_floats(500, 1)), parts(6), sum(1);
         const DeviceArray<unsigned> counter(std::vector<unsigned>{0});
         run_last_block_sum(x.get(), parts.get(), counter.get(), sum.get(), 500, false);
         sum.host();
         return std::string();
       },
       Fast::never, "global memory race"},
      {"two streams without an event",
       [] {
         cudaStream_t a = nullptr, b = nullptr;
         cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking);
         cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking);
         const DeviceArray<float> x(std::vector<float>(64, 1.0f));
         run_add_one(x.get(), 64, a);
         run_double(x.get(), 64, b);
         ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
         const float result = x.host()[0];
         cudaStreamDestroy(a);
         cudaStreamDestroy(b);
         return result == 4.0f ? std::string() : fmt::format("(1 + 1) * 2 is {:g}", result);
       },
       Fast::sometimes, "race between streams"},
  };
}

bool contains_one_of(const std::string& text, const std::string& alternatives) {
  std::istringstream list(alternatives);
  for (std::string part; std::getline(list, part, '|');)
    if (text.find(part) != std::string::npos) return true;
  return false;
}

// The symptom of a run of the planted bug: the report, a wrong result, or "".
std::string symptom(const Planted& planted) {
  try {
    return planted.run();
  } catch (const DeviceError& e) {
    cudaDeviceReset();
    return e.what();
  }
}

void expect_to_find(const std::vector<Planted>& bugs) {
  for (const Planted& planted : bugs) {
    int found = 0;
    for_each_schedule([&](const std::string& schedule) {
      const std::string seen = symptom(planted);
      found += seen.empty() ? 0 : 1;
      if (!emulator::instrumented()) return;
      INFO(planted.name, " (", schedule, "): ", seen);
      CHECK(contains_one_of(seen, planted.report));
    });
    INFO(planted.name, " was found in ", found, " of ", kSchedules, " schedules");
    if (emulator::instrumented() || planted.fast == Fast::always) CHECK_EQ(found, kSchedules);
    if (planted.fast == Fast::sometimes) CHECK_GT(found, 0);
  }
}

}  // namespace

TEST_CASE("bugs planted in the example kernels are found") {
  expect_to_find(planted_in_examples());
}
TEST_CASE("kernels that are nothing but a bug are found") {
  expect_to_find(plain_wrongs());
}

}  // namespace assay::testing
