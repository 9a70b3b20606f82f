// The first argument of every kernel: device, threads, memory, stream, precision, algorithm.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/runtime/device.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/weight_cache.h"

namespace assay {

/// How products are formed. Parameters, statistics, accumulators and losses are fp32 in all modes.
///   fp32         as accurate as fp32 (CPU, CUDA); allows Winograd, which only the CPU has
///   fp32_strict  fp32 multiply-adds in the order of the direct kernels, no Winograd (CPU, CUDA)
///   tf32x3       three TF32 products: fp32-accurate on tensor cores (CUDA)
///   tf32         one TF32 product (CUDA)
///   bf16         activations and their gradients are bfloat16 tensors; products of those alone may
///                round the weights to bfloat16 too (CPU, CUDA)
enum class Precision : uint8_t { fp32, fp32_strict, tf32x3, tf32, bf16 };

/// The algorithms of the kernels. `automatic` lets the dispatcher choose. Each backend has some of
/// them (kernels/conv2d/algorithm.h, kernels/gemm/algorithm.h); a kernel that lacks the named one
/// chooses as under `automatic`.
enum class Algorithm : uint8_t {
  automatic,
  naive,        ///< plain loops
  blocked,      ///< CPU: register and cache blocking
  fused,        ///< CPU: blocking without copies, with bias, pool and activation in registers
  winograd,     ///< CPU: fewer products
  tiled,        ///< CUDA: tiles in shared memory
  hoisted,      ///< CUDA: indices computed before the loop, four elements a copy
  pipelined,    ///< CUDA: copies run ahead of the products
  tensor_core,  ///< CUDA: products on tensor cores
  hopper,       ///< CUDA, sm_90: TMA and wgmma
  direct,       ///< CUDA: few channels, no tiles
  tiles         ///< CPU: bf16 products on AMX tiles
};

class OwnedContext;
class StepPacks;
class UnfinishedSums;

/// Pointers to what a kernel uses; all of it outlives the calls.
struct Context {
  Device device;
  ThreadPool* threads = nullptr;   ///< never null
  Allocator* memory = nullptr;     ///< memory of `device`; never null
  WeightCache* weights = nullptr;  ///< never null
  void* stream = nullptr;          ///< a cudaStream_t on a CUDA device
  OwnedContext* owner = nullptr;   ///< from make_context(); null in a CpuContext
  Algorithm algorithm = Algorithm::automatic;
  Precision precision = Precision::fp32;
  /// What kernels on CUDA may leave as partial sums (kernels/runtime/partial_sum.h); null: nothing.
  UnfinishedSums* unfinished = nullptr;
  /// Packed weights of a step that is being recorded on CUDA (kernels/runtime/cuda/step_packs.h).
  StepPacks* step_packs = nullptr;
};

/// A Context of the CPU that owns its threads and caches.
class CpuContext {
 public:
  explicit CpuContext(int threads = available_threads());
  Context& get() { return context_; }
  operator Context&() { return context_; }

 private:
  ThreadPool pool_;
  WeightCache weights_;
  Context context_;
};

/// The context of new tensors and of operations: that of this thread's innermost ContextScope, or
/// else a context of the CPU with all threads.
Context& current_context();

/// Makes `context` the current one of this thread until the end of a scope.
class ContextScope {
 public:
  explicit ContextScope(Context& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  Context* previous_;
};

/// Sets ctx.precision. Throws UsageError for tf32x3 and tf32 on the CPU, and for bf16 there where
/// this process has no tile instructions (kernels/runtime/isa.h).
void set_precision(Context& ctx, Precision p);
/// The element type of a network's activations in this context: bf16 if the precision is bf16, else
/// f32.
DType activation_type(const Context& ctx);

const char* name_of(Precision p);
const char* name_of(Algorithm algo);
/// Throws UsageError, which lists the known names, for an unknown name.
Precision precision_from_name(const char* name);

}  // namespace assay
