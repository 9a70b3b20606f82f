// The state of a module with PyTorch's names and layouts, for load_state_dict(strict=True).
#pragma once

#include <string>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

/// A copy of `values` (the parameter p or its gradient) in PyTorch's layout.
Tensor to_torch(const Parameter& p, const Tensor& values);

/// Every parameter and buffer: convolutions as (K,C,R,S), dense layers in NCHW order, batch norm
/// with num_batches_tracked. The type is F32, or I64 for counts.
StateDict save_state(const Module& module);

/// The inverse of save_state(). Throws CheckpointError, without changing anything, if names are
/// missing or unexpected or a shape differs; the message starts with `source` and lists them.
void load_state(const Module& module, const StateDict& state, const std::string& source);

}  // namespace assay
