// The order of dimensions, for exported data: files in PyTorch's layouts, latents.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace assay {

/// A copy whose dimension i is x's dimension order[i]. Not recorded. Throws Error unless `order`
/// names each dimension once.
Tensor permute(const Tensor& x, const std::vector<int>& order);

/// x (N,H,W,C) -> (N, C*H*W): each image flattened as PyTorch flattens it.
Tensor flatten_nchw(const Tensor& x);

}  // namespace assay
