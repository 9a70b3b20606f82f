// Refuses each allocation of what must answer a lack of memory by an exception, or by nothing in a
// destructor: ending the program by std::terminate fails the test. A program of its own, because it
// replaces operator new.
#include <stdlib.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string>

#include "data/stream.h"
#include "kernels/runtime/error.h"
#include "models/run/folder.h"

namespace {

std::atomic<long> until_refused{0};  // allocations until one is refused; 0: none is

}  // namespace

void* operator new(std::size_t bytes) {
  long left = until_refused.load();
  while (left > 0 && !until_refused.compare_exchange_weak(left, left - 1)) {
  }
  void* block = left == 1 ? nullptr : std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace {

namespace fs = std::filesystem;
constexpr long kRefusals = 40;  // more than each of them allocates

void end_staged_files(const fs::path& folder, long refused) {
  const assay::RunFolder run(folder / "run");
  fs::create_directories(run.root());
  std::optional<assay::StagedFiles> staged(std::in_place, run);
  std::ofstream(staged->folder().root() / "metrics.json") << "{}";
  until_refused = refused;
  staged.reset();
}

void end_claim(const fs::path& folder, long refused) {
  std::optional<assay::RunClaim> claim(std::in_place, assay::RunFolder(folder / "new" / "run"));
  until_refused = refused;
  claim.reset();
  until_refused = 0;
  if (fs::exists(folder / "new")) throw assay::Error("the folder of a claim stayed");
}

void make_stream(const fs::path&, long refused) {
  until_refused = refused;
  const assay::ImageStream stream([](const assay::ImageStream::Push&) {},
                                  {.height = 8, .width = 8, .channels = 1, .threads = 2});
}

}  // namespace

int main() {
  std::string folder = (fs::temp_directory_path() / "assay-no-memory-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  int answered = 0;
  for (const auto test : {end_staged_files, end_claim, make_stream})
    for (long refused = 1; refused <= kRefusals; ++refused) {
      try {
        test(folder, refused);
      } catch (const std::bad_alloc&) {
        ++answered;
      }
      until_refused = 0;
    }
  fs::remove_all(folder);
  std::printf("%d refusals reached the caller\n", answered);
  return answered > 0 ? 0 : 1;
}
