// The operands of a convolution on the device, and the search for a library's best plan.
#pragma once

#include <optional>

#include "bench/gpu/conv_check.h"
#include "bench/gpu/device_ops.h"
#include "bench/gpu/program.h"

namespace assay::bench {

/// x, w and y of a bare convolution (no upsampling, no epilogue) in fp32, NHWC: uniform in [-1, 1),
/// and what each pass should make of them. For dgrad and wgrad y is the gradient.
class ConvSource {
 public:
  ConvSource(Bench& bench, const Conv2dShape& s);
  const Conv2dShape& shape() const { return host_.s; }
  TensorView x() const { return x_; }
  TensorView w() const { return w_; }
  TensorView y() const { return y_; }
  const ConvSample& sample(Pass pass);

 private:
  Context& ctx_;
  ConvHost host_;
  Scratch memory_[3];
  TensorView x_, w_, y_;
  std::optional<ConvSample> samples_[3];
};

/// So many sets of x, w and y in some layout and element type: the inputs of `pass` copied from the
/// source, the output poisoned.
class ConvSets {
 public:
  ConvSets(Context& ctx, const ConvSource& source, Pass pass, Element element, Layout layout,
           int sets);
  ConvPointers operator[](int set) const;
  /// Bytes of one set.
  static int64_t bytes(const Conv2dShape& s, Element element);
  /// The error of the output in set 0, which is poisoned again.
  double check(const ConvSample& sample);

 private:
  TensorView view(int set, int which) const;  // x, w, y

  Context& ctx_;
  Pass pass_;
  Element element_;
  Layout layout_;
  Extent extents_[3];
  int64_t offsets_[3], stride_;
  Scratch memory_;
};

/// A library's fastest plan, found by trying.
struct BestPlan {
  std::string name;
  Layout layout;
  ConvPlan plan;
  std::shared_ptr<Scratch> workspace;
  double error = 0, warm_us = 0;
  int offered = 0, tried = 0, failed = 0, wrong = 0;
};
/// Candidates of all lists in turn, best first, until the settings' limits; plans that fail, need
/// more than 1 GiB of workspace or are less accurate than `most_error` do not count. The fastest of
/// the rest by warm time; none if there is none. An earlier search's winner is taken as it is.
std::optional<BestPlan> best_plan(Bench& bench, const std::string& key, const ConvRequest& r,
                                  ConvSource& source, double most_error);
/// Writes what was found to the row.
void describe(Row& row, const Bench& bench, const std::optional<BestPlan>& best);

/// Names the operation for the memory of plans: shape, pass and arithmetic, not the layer.
std::string key_of(const ConvRequest& r);

}  // namespace assay::bench
