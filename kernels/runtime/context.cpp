#include "kernels/runtime/context.h"

#include <algorithm>
#include <cstring>

#include "kernels/runtime/error.h"

namespace assay {
namespace {
thread_local Context* innermost = nullptr;
constexpr const char* kPrecisionNames[] = {"fp32", "fp32-strict", "tf32x3", "tf32", "bf16"};
}  // namespace

CpuContext::CpuContext(int threads) : pool_(threads), weights_(cpu_allocator()) {
  context_.threads = &pool_;
  context_.memory = &cpu_allocator();
  context_.weights = &weights_;
}

Context& current_context() {
  if (innermost != nullptr) return *innermost;
  static auto* fallback = new CpuContext;  // leaked on purpose: tensors may outlive main()
  return *fallback;
}

ContextScope::ContextScope(Context& context) : previous_(innermost) { innermost = &context; }
ContextScope::~ContextScope() { innermost = previous_; }

WeightCache::Entry& WeightCache::find(const void* data, uint32_t kind, size_t bytes) {
  constexpr size_t kMostEntries = 512;  // several networks; beyond that the oldest goes
  Entry& entry = entries_[{data, kind}];
  entry.last_use = ++clock_;
  if (entry.buffer.bytes() != bytes) {
    entry.buffer = Scratch(memory_, bytes);
    entry.version = 0;
  }
  if (entries_.size() > kMostEntries) {
    auto oldest = entries_.begin();
    for (auto it = entries_.begin(); it != entries_.end(); ++it)
      if (it->second.last_use < oldest->second.last_use) oldest = it;
    entries_.erase(oldest);
  }
  return entry;
}

const char* name_of(Precision p) { return kPrecisionNames[static_cast<int>(p)]; }

Precision precision_from_name(const char* name) {
  for (int i = 0; i < 5; ++i)
    if (std::strcmp(name, kPrecisionNames[i]) == 0) return static_cast<Precision>(i);
  throw UsageError(str("precision: '", name, "' is none of fp32, fp32-strict, tf32x3, tf32, bf16"));
}

}  // namespace assay
