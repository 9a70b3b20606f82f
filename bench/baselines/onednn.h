// oneDNN's convolutions and matrix products as a baseline: the library's own choice of layouts, no
// reordering, nothing around them but a convolution's bias. Only bench links oneDNN; the product
// never does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/conv_case.h"

namespace assay::bench {

/// One kernel of oneDNN for a pass of a layer. `run` runs it once, on separate memory.
struct OnednnKernel {
  std::string name;  ///< oneDNN's name of the implementation
  std::function<void()> run;
};

/// oneDNN's kernels for a pass: the direct one and, if it exists, the Winograd one. An upsampled
/// layer is the convolution of the large image, without the copying. A transposed layer is the
/// convolution whose dgrad is its forward pass. Empty if oneDNN refuses.
std::vector<OnednnKernel> onednn_kernels(const Layer& layer, Pass pass);

/// `batches` products (M,K)(K,N), each with operands of its own, `at_once` in a call; the results
/// of a call overwrite those of the one before, so that they stay in the caches. Error where oneDNN
/// refuses.
OnednnKernel onednn_products(int batches, int at_once, int M, int N, int K);

/// "2.6.3"
std::string onednn_version();

}  // namespace assay::bench
