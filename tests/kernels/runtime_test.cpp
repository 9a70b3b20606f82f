// The thread pool, the allocator, the weight cache and the choice of the instruction set.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <thread>

#include "kernels/runtime/cpu_limit.h"
#include "kernels/runtime/divisor.h"
#include "kernels/runtime/error.h"
#include "tests/support/kernel_test.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

TEST_CASE("ThreadPool: every part runs once, at any number of threads and parts") {
  const int64_t counts[] = {0, 1, 2, 7, 1000};
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int64_t parts : counts) {
      std::vector<std::atomic<int>> runs(parts);
      parallel_for(pool, parts, [&](int64_t part) { ++runs[part]; });
      for (const auto& r : runs) CHECK(r == 1);
    }
  }
}

TEST_CASE("ThreadPool: many small jobs one after the other") {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int job = 0; job < 5000; ++job) parallel_for(pool, 4, [&](int64_t part) { sum += part; });
  CHECK(sum == 5000 * 6);
}

TEST_CASE("ThreadPool: a job inside a part runs where it is") {
  ThreadPool pool(3);
  std::atomic<int> inner{0}, elsewhere{0};
  parallel_for(pool, 6, [&](int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_for(pool, 5, [&](int64_t) {
      ++inner;
      if (std::this_thread::get_id() != here) ++elsewhere;
    });
  });
  CHECK(inner == 30);
  CHECK(elsewhere == 0);
}

TEST_CASE("ThreadPool: a recording has every job and part once, nested jobs none") {
  ThreadPool pool(2);
  std::vector<RecordedJob> jobs;
  int runs = 0;
  const auto both = [&] {
    parallel_for(pool, 3, [&](int64_t) { parallel_for(pool, 2, [&](int64_t) { ++runs; }); });
    parallel_for(pool, 1, [&](int64_t) { ++runs; });
  };
  pool.record(&jobs);
  both();  // on this thread alone
  pool.record(nullptr);
  CHECK(runs == 7);
  REQUIRE(jobs.size() == 2);
  CHECK(jobs[0].parts.size() == 3);
  CHECK(jobs[1].parts.size() == 1);
  parallel_for(pool, 1, [&](int64_t) { ++runs; });
  CHECK(jobs.size() == 2);
}

TEST_CASE("ThreadPool: the exception of the lowest part arrives, and the pool works on") {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      int64_t caught = -1;
      try {
        parallel_for(pool, 50, [](int64_t part) {
          if (part % 10 == 3) throw part;
        });
      } catch (int64_t part) {
        caught = part;
      }
      CHECK(caught == 3);
    }
    std::atomic<int> runs{0};
    parallel_for(pool, 10, [&](int64_t) { ++runs; });
    CHECK(runs == 10);
  }
}

TEST_CASE("ThreadPool: callers of several threads take turns") {
  ThreadPool pool(2);
  std::atomic<int64_t> runs{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) parallel_for(pool, 3, [&](int64_t) { ++runs; });
    });
  for (auto& caller : callers) caller.join();
  CHECK(runs == 4 * 200 * 3);
}

TEST_CASE("ThreadPool: no threads is an error") {
  CHECK_THROWS_AS(ThreadPool(0), UsageError);
}

TEST_CASE("cgroup_cpus: the lowest quota of the group and all above it, rounded up") {
  const fs::path root = fs::temp_directory_path() / fmt::format("assay-cgroup-{}", getpid());
  const auto put = [&](const std::string& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  };
  CHECK(cgroup_cpus(root) == 0);  // no control groups at all
  put("proc/self/cgroup", "0::/job/step\n");
  CHECK(cgroup_cpus(root) == 0);
  put("sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
  CHECK(cgroup_cpus(root) == 0);
  put("sys/fs/cgroup/job/cpu.max", "250000 100000\n");
  CHECK(cgroup_cpus(root) == 3);
  put("sys/fs/cgroup/job/step/cpu.max", "150000 100000\n");
  CHECK(cgroup_cpus(root) == 2);
  put("sys/fs/cgroup/cpu.max", "5000 100000\n");
  CHECK(cgroup_cpus(root) == 1);
  for (const char* broken : {"", "x y", "-5 100000", "5 0", "5"}) {
    put("sys/fs/cgroup/cpu.max", broken);
    CHECK(cgroup_cpus(root) == 2);
  }
  // Version 1; a container sees its own group at the mount, under the host's path.
  put("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/docker/abc\n2:cpuset:/b\n");
  CHECK(cgroup_cpus(root) == 0);
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup_cpus(root) == 0);
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000\n");
  CHECK(cgroup_cpus(root) == 4);
  fs::remove_all(root);
}

TEST_CASE("available_threads: no more than Slurm gave the task, and at least one") {
  const char* const before = std::getenv("SLURM_CPUS_PER_TASK");
  const std::string kept = before == nullptr ? "" : before;
  unsetenv("SLURM_CPUS_PER_TASK");
  const int all = available_threads();
  CHECK(all >= 1);
  setenv("SLURM_CPUS_PER_TASK", "1", 1);
  CHECK(available_threads() == 1);
  setenv("SLURM_CPUS_PER_TASK", "100000", 1);
  CHECK(available_threads() == all);
  for (const char* none : {"0", "-1", "x", ""}) {
    setenv("SLURM_CPUS_PER_TASK", none, 1);
    CHECK(available_threads() == all);
  }
  unsetenv("SLURM_CPUS_PER_TASK");
  if (before != nullptr) setenv("SLURM_CPUS_PER_TASK", kept.c_str(), 1);
}

TEST_CASE("parallel_blocks: the blocks cover the range") {
  CpuContext ctx(2);
  const int64_t sizes[] = {0, 1, 9, 10, 11};
  for (const int64_t n : sizes) {
    std::vector<int> seen(n, 0);
    parallel_blocks(ctx, n, 5, [&](int64_t begin, int64_t end) {
      CHECK(end - begin <= 5);
      for (int64_t i = begin; i < end; ++i) ++seen[i];
    });
    CHECK(seen == std::vector<int>(n, 1));
  }
}

// Counts the bytes in use, and has a limited supply.
struct CountingSource final : MemorySource {
  int64_t given = 0;
  int64_t limit = INT64_MAX;
  void* take(size_t bytes) override {
    if (given + static_cast<int64_t>(bytes) > limit) return nullptr;
    given += static_cast<int64_t>(bytes);
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  }
  void give(void* block, size_t bytes) noexcept override {
    given -= static_cast<int64_t>(bytes);
    std::free(block);
  }
  const char* name() const override { return "test memory"; }
};

TEST_CASE("Allocator: a freed block is given out again") {
  CountingSource source;
  Allocator memory(source);
  void* a = memory.allocate(10000);
  CHECK(reinterpret_cast<uintptr_t>(a) % 64 == 0);
  CHECK(memory.stats().live >= 10000);
  CHECK(memory.stats().live <= 12500);
  CHECK(memory.stats().system_calls == 1);
  memory.deallocate(a, 10000);
  CHECK(memory.stats().live == 0);
  CHECK(memory.stats().cached >= 10000);
  CHECK(memory.allocate(9999) == a);  // the same size class
  CHECK(memory.stats().system_calls == 1);
  memory.deallocate(a, 9999);
  memory.trim();
  CHECK(memory.stats().cached == 0);
  CHECK(source.given == 0);
}

TEST_CASE("Allocator: size classes hold every size and waste at most a quarter") {
  CountingSource source;
  Allocator memory(source);
  for (size_t bytes = 0; bytes < 5000; bytes += 13) {
    void* block = memory.allocate(bytes);
    CHECK(memory.stats().live >= static_cast<int64_t>(bytes));
    CHECK(memory.stats().live <= static_cast<int64_t>(std::max<size_t>(256, bytes + bytes / 4)));
    memory.deallocate(block, bytes);
  }
}

TEST_CASE("Allocator: a free block serves half its size, and keeps its own") {
  CountingSource source;
  Allocator memory(source);
  void* a = memory.allocate(4096);
  memory.deallocate(a, 4096);
  void* small = memory.allocate(1024);
  CHECK(small != a);
  CHECK(memory.allocate(2048) == a);
  CHECK(memory.stats().live == 3072);
  memory.deallocate(a, 2048);
  CHECK(memory.stats().cached == 4096);
  CHECK(memory.allocate(4096) == a);
  memory.deallocate(a, 4096);
  memory.deallocate(small, 1024);
  memory.trim();
  CHECK(source.given == 0);
}

TEST_CASE("Allocator: peak and its reset") {
  CountingSource source;
  Allocator memory(source);
  void* a = memory.allocate(1024);
  void* b = memory.allocate(2048);
  memory.deallocate(b, 2048);
  CHECK(memory.stats().peak == 3072);
  memory.reset_peak();
  CHECK(memory.stats().peak == 1024);
  memory.deallocate(a, 1024);
}

TEST_CASE("Allocator: out of memory gives the cache back first, then says so") {
  CountingSource source;
  source.limit = 4096;
  Allocator memory(source);
  memory.deallocate(memory.allocate(1024), 1024);
  void* a = memory.allocate(4096);  // only without the cached 1024
  CHECK(memory.stats().cached == 0);
  CHECK_THROWS_WITH_AS(memory.allocate(256),
                       doctest::Contains("asked for 256 bytes with 4096 in use"), Error);
  memory.deallocate(a, 4096);
}

TEST_CASE("WeightCache: packs when the version is new, and only then") {
  WeightCache cache(cpu_allocator());
  const float weights[] = {1, 2, 3};
  int packed = 0;
  const auto get = [&](uint64_t version, PackKey key = {.kind = PackKind::gemm}) {
    return cache.get(Weights<float>(weights, version), key, sizeof(weights), [&](float* buffer) {
      ++packed;
      for (int i = 0; i < 3; ++i) buffer[i] = 10 * weights[i];
    });
  };
  const float* first = get(5);
  CHECK(first[2] == 30);
  CHECK(packed == 1);
  CHECK(get(5) == first);
  CHECK(packed == 1);
  CHECK(get(6) == first);  // packed anew into the same buffer
  CHECK(packed == 2);
  get(6, {.kind = PackKind::gemm, .stride = 2});  // another form of the same weights
  CHECK(packed == 3);
  get(0);  // unknown content is never remembered
  get(0);
  CHECK(packed == 5);
  cache.clear();
  get(6);
  CHECK(packed == 6);
}

TEST_CASE("WeightCache: the oldest goes when there are too many") {
  WeightCache cache(cpu_allocator());
  const std::vector<float> weights(600);
  int packed = 0;
  const auto get = [&](int i) {
    cache.get(Weights<float>(&weights[i], 1), {.kind = PackKind::gemm}, 64,
              [&](float*) { ++packed; });
  };
  for (int i = 0; i < 600; ++i) get(i);
  get(599);
  CHECK(packed == 600);
  get(0);
  CHECK(packed == 601);
}

TEST_CASE("Divisor: quotients near every multiple, up to the largest number") {
  constexpr int kMost = std::numeric_limits<int>::max();
  for (int d : {1,
                2,
                3,
                4,
                5,
                6,
                7,
                11,
                12,
                25,
                50,
                64,
                641,
                1000,
                65535,
                65536,
                65537,
                1 << 30,
                (1 << 30) + 1,
                kMost - 1,
                kMost}) {
    const Divisor divisor(d);
    CAPTURE(d);
    CHECK(divisor.value() == d);
    const int64_t step = int64_t{std::max(1, kMost / d / 1000)} * d;
    for (int64_t multiple = 0; multiple <= kMost; multiple += step)
      for (const int64_t n : {multiple - 1, multiple, multiple + 1, multiple + d - 1})
        if (n >= 0 && n <= kMost) CHECK(divisor.quotient(static_cast<int>(n)) == n / d);
    CHECK(divisor.quotient(kMost) == kMost / d);
    CHECK(divisor.quotient(kMost - 1) == (kMost - 1) / d);
  }
}

TEST_CASE("ContextScope: the innermost one counts, on its own thread") {
  CpuContext outer(1), inner(1);
  const ContextScope outer_scope(outer);
  CHECK(&current_context() == &outer.get());
  {
    const ContextScope inner_scope(inner);
    CHECK(&current_context() == &inner.get());
    const Context* seen = nullptr;
    std::thread([&] { seen = &current_context(); }).join();
    CHECK(seen != &inner.get());
  }
  CHECK(&current_context() == &outer.get());
}

TEST_CASE("Isa: one that is there can be chosen, and every name is its own") {
  CHECK(isa_available(Isa::portable));
  test::for_each_isa([] { CHECK(isa_available(active_isa())); });
  CHECK(std::string(name_of(Isa::avx2)) == "avx2");
}

TEST_CASE("Precision: names and back") {
  for (const Precision p : {Precision::fp32, Precision::fp32_strict, Precision::tf32x3,
                            Precision::tf32, Precision::bf16})
    CHECK(precision_from_name(name_of(p)) == p);
  CHECK_THROWS_AS(precision_from_name("fp8"), UsageError);
}

}  // namespace
}  // namespace assay
