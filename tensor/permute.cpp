#include "tensor/permute.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tensor/dtype.h"

namespace assay {

namespace {

/// For each element of the permuted tensor, in order, the index of its source.
std::vector<int64_t> sources(const Shape& shape, const std::vector<int>& order) {
  const int rank = static_cast<int>(shape.size());
  std::vector<int64_t> stride(rank, 1);
  for (int i = rank - 2; i >= 0; --i) stride[i] = stride[i + 1] * shape[i + 1];
  std::vector<int64_t> index(numel(shape)), at(rank, 0);
  int64_t source = 0;
  for (int64_t& i : index) {
    i = source;
    for (int d = rank - 1; d >= 0; --d) {  // count up, the last dimension fastest
      source += stride[order[d]];
      if (++at[d] < shape[order[d]]) break;
      source -= stride[order[d]] * at[d];
      at[d] = 0;
    }
  }
  return index;
}

}  // namespace

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = static_cast<int>(order.size()) == x.rank();
  for (size_t i = 0; i < sorted.size(); ++i)
    each_once = each_once && sorted[i] == static_cast<int>(i);
  ASSAY_CHECK(each_once, "permute: the order must name each dimension of ", to_string(x.shape()),
              " once");
  Shape shape;
  for (const int d : order) shape.push_back(x.dim(d));
  const std::vector<int64_t> index = sources(x.shape(), order);
  const auto permuted = [&](const auto& values) {
    auto result = values;
    for (size_t i = 0; i < index.size(); ++i) result[i] = values[index[i]];
    return Tensor::from(shape, std::span(std::as_const(result)));
  };
  return x.dtype() == DType::f64 ? permuted(x.to_doubles()) : permuted(x.to_floats());
}

Tensor flatten_nchw(const Tensor& x) {
  check_rank("flatten_nchw", x, 4, "x (N,H,W,C)");
  return permute(x, {0, 3, 1, 2}).reshape({x.dim(0), -1});
}

}  // namespace assay
