// The operands of a convolution on the device, and the search for a library's best plan.
#pragma once

#include <optional>

#include "bench/gpu/conv_check.h"
#include "bench/gpu/device_ops.h"
#include "bench/gpu/harness.h"

namespace assay::bench {

/// x, w, y and (with an epilogue) bias of a convolution without upsampling and pooling, in fp32,
/// NHWC, uniform in [-1, 1), and reference values of each pass. For dgrad and wgrad, which have no
/// epilogue, y is the gradient.
class ConvSource {
 public:
  ConvSource(Bench& bench, const Conv2dShape& s) : ConvSource(bench, s, false, {}) {}
  /// With a bias and the activation of `e`: for fprop.
  ConvSource(Bench& bench, const Conv2dShape& s, const Conv2dEpilogue& e)
      : ConvSource(bench, s, true, e) {}
  const Conv2dShape& shape() const { return host_.s; }
  bool has_bias() const { return has_bias_; }
  const Conv2dEpilogue& epilogue() const { return host_.e; }
  /// x, w, y, bias.
  TensorView view(size_t which) const { return tensors_->view(0, which); }
  const ConvSample& sample(Pass pass);
  static std::vector<Extent> extents(const Conv2dShape& s, bool bias);

 private:
  ConvSource(Bench& bench, const Conv2dShape& s, bool bias, const Conv2dEpilogue& e);

  Context& ctx_;
  bool has_bias_;
  ConvHost host_;
  std::unique_ptr<TensorSets> tensors_;
  std::optional<ConvSample> samples_[3];
};

/// Sets of a ConvSource's tensors in a layout and element type: the inputs of `pass` are copied
/// from the source, the output is poisoned.
class ConvSets {
 public:
  /// parameters: the type of w and bias.
  ConvSets(Context& ctx, const ConvSource& source, Pass pass, Element element, Element parameters,
           Layout layout, int sets);
  ConvSets(Context& ctx, const ConvSource& source, Pass pass, Element element, Layout layout,
           int sets)
      : ConvSets(ctx, source, pass, element, element, layout, sets) {}
  ConvPointers operator[](int set) const;
  /// Bytes of one set.
  static int64_t bytes(const Conv2dShape& s, Element element);
  /// The error of the output in set 0, which is poisoned again.
  double check(const ConvSample& sample);

 private:
  Context& ctx_;
  size_t output_;
  bool has_bias_;
  TensorSets tensors_;
};

/// A library's fastest plan, found by trials.
struct BestPlan {
  std::string name;
  Layout layout;
  ConvPlan plan;
  std::shared_ptr<Scratch> workspace;
  double error = 0, warm_us = 0;
  int offered = 0, tried = 0, failed = 0, wrong = 0;
};
/// Tries the candidates of all lists in turn, best first, up to the settings' limits, and returns
/// the fastest by warm time. Plans that fail, need more than 1 GiB of workspace or exceed
/// `max_error` do not count; if all do, there is none. The winner of an earlier search is used
/// without a new one as long as it works. `only` restricts the search to a layout.
std::optional<BestPlan> best_plan(Bench& bench, const std::string& key, const ConvRequest& r,
                                  ConvSource& source, double max_error,
                                  std::optional<Layout> only = {});
/// Writes the plan to the row.
void describe(Row& row, const Bench& bench, const std::optional<BestPlan>& best);

/// Name of the algorithm that a call in ctx.precision runs; it says where bf16 tensors are
/// converted.
std::string algorithm_name(const Context& ctx, Pass pass, const Conv2dShape& s,
                           const Conv2dEpilogue& e);

/// The operation's key in the file of plans: shape, pass and arithmetic, not the layer.
std::string key_of(const ConvRequest& r);

/// A device tensor as fp32 on the host; it must be NHWC.
std::vector<float> to_host(Context& ctx, const TensorView& t);

}  // namespace assay::bench
