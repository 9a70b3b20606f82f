// The state of a module with PyTorch's names and layouts: what load_state_dict(strict=True) takes.
#pragma once

#include <string>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

/// `values`, of the shape of `p.tensor` (the parameter itself, or its gradient), as PyTorch holds
/// it.
Tensor to_torch(const Parameter& p, const Tensor& values);

/// Every parameter and buffer: convolutions (K,C,R,S), dense layers in NCHW order, batch norm with
/// num_batches_tracked. Always of type F32, or I64 for counts.
StateDict save_state(const Module& module);

/// The inverse. Throws CheckpointError that starts with `source` and lists the names that are
/// missing or unexpected, or names the tensor and both shapes; nothing is changed then.
void load_state(const Module& module, const StateDict& state, const std::string& source);

}  // namespace assay
