#include "tensor/permute.h"

#include <algorithm>

#include "kernels/pointwise/pointwise.h"
#include "tensor/dtype.h"

namespace assay {

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = static_cast<int>(order.size()) == x.rank();
  for (size_t i = 0; i < sorted.size(); ++i)
    each_once = each_once && sorted[i] == static_cast<int>(i);
  ASSAY_CHECK(each_once, "permute: the order must name each dimension of {} once",
              to_string(x.shape()));
  ASSAY_CHECK(x.rank() <= Strides::kMaxRank, "permute: {} has more than {} dimensions",
              to_string(x.shape()), Strides::kMaxRank);
  std::vector<int64_t> stride(order.size(), 1);
  for (int d = x.rank() - 2; d >= 0; --d) stride[d] = stride[d + 1] * x.dim(d + 1);
  Strides strides{.rank = x.rank()};
  Shape shape;
  for (const int d : order) {
    strides.size[shape.size()] = x.dim(d);
    strides.stride[shape.size()] = stride[d];
    shape.push_back(x.dim(d));
  }
  Tensor out = Tensor::empty(shape, x.dtype());
  with_float_type("permute", x, [&]<class T>() {
    assay::permute<T>(current_context(), strides, x.data<T>(), out.mutable_data<T>());
  });
  return out;
}

Tensor flatten_nchw(const Tensor& x) {
  check_rank("flatten_nchw", x, 4, "x (N,H,W,C)");
  return permute(x, {0, 3, 1, 2}).reshape({x.dim(0), -1});
}

}  // namespace assay
