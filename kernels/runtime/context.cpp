#include "kernels/runtime/context.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/runtime/error.h"
#include "kernels/runtime/isa.h"

namespace assay {
namespace {
thread_local Context* innermost = nullptr;
constexpr const char* kPrecisionNames[] = {"fp32", "fp32-strict", "tf32x3", "tf32", "bf16"};
constexpr const char* kAlgoNames[] = {"automatic",   "naive",  "blocked", "fused",
                                      "winograd",    "tiled",  "hoisted", "pipelined",
                                      "tensor_core", "hopper", "direct",  "tiles"};

/// The value of Enum whose entry in the list of names is `name`.
template <class Enum, size_t kCount>
Enum from_name(const char* what, const char* name, const char* const (&names)[kCount]) {
  std::string known;
  for (size_t i = 0; i < kCount; ++i) {
    if (std::strcmp(name, names[i]) == 0) return static_cast<Enum>(i);
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  throw UsageError(fmt::format("{}: '{}' is none of {}", what, name, known));
}
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

ContextScope::ContextScope(Context& context) : previous_(innermost) {
  innermost = &context;
}
ContextScope::~ContextScope() {
  innermost = previous_;
}

WeightCache::Entry& WeightCache::find(const void* data, const PackKey& key, size_t bytes) {
  constexpr size_t kMaxEntries = 512;  // enough for several networks; then the oldest is dropped
  Entry& entry = entries_[{data, key}];
  entry.last_use = ++clock_;
  if (entry.buffer.bytes() != bytes) {
    entry.buffer = Scratch(memory_, bytes);
    entry.version = 0;
  }
  if (entries_.size() > kMaxEntries) {
    auto oldest = entries_.begin();
    for (auto it = entries_.begin(); it != entries_.end(); ++it)
      if (it->second.last_use < oldest->second.last_use) oldest = it;
    entries_.erase(oldest);
  }
  return entry;
}

void set_precision(Context& ctx, Precision p) {
  if (!ctx.device.is_cuda()) {
    ASSAY_CHECK_AS(UsageError, p != Precision::tf32x3 && p != Precision::tf32,
                   "--precision {}: not on the CPU; there it is fp32, fp32-strict or bf16",
                   name_of(p));
    ASSAY_CHECK_AS(
        UsageError, p != Precision::bf16 || active_tiles() != Tiles::none,
        "--precision bf16: needs the tile instructions of AMX-BF16 (amx_tile and amx_bf16 in "
        "/proc/cpuinfo), which {}; use fp32, or ASSAY_AMX=emulated in the environment, which "
        "rounds as bf16 does but is no faster than fp32",
        tiles_available(Tiles::native) ? "ASSAY_AMX=off hides" : "this machine lacks");
  }
  ctx.precision = p;
}

DType activation_type(const Context& ctx) {
  return ctx.precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

const char* name_of(Precision p) {
  return kPrecisionNames[static_cast<int>(p)];
}
const char* name_of(Algorithm algo) {
  return kAlgoNames[static_cast<int>(algo)];
}

Precision precision_from_name(const char* name) {
  return from_name<Precision>("precision", name, kPrecisionNames);
}

}  // namespace assay
