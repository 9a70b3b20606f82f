#include "tensor/tape.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

#include "kernels/pointwise/pointwise.h"
#include "kernels/reduce/reduce.h"
#include "tensor/dtype.h"

namespace assay {

namespace {

thread_local Tape* innermost = nullptr;
thread_local OpObserver* innermost_observer = nullptr;

std::atomic<bool>& check_finite_flag() {
  static std::atomic<bool> flag = [] {
    const char* value = std::getenv("ASSAY_CHECK_FINITE");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return flag;
}

void require_finite(std::string_view op, const char* what, const Tensor& t) {
  if (!check_finite() || !t.defined() || t.dtype() == DType::u8) return;
  with_float_type(op, t, [&]<class T>() {
    ASSAY_CHECK(all_finite<T>(current_context(), t.size(), t.data<T>()),
                "{}: {} {} holds NaN or infinity", op, what, to_string(t.shape()));
  });
}

/// A gradient as addends: its parts or, if it is complete, itself.
std::vector<SumParts> addends_of(const Tensor& t) {
  if (const PartialSum* sum = t.partial_sum()) return sum->addends;
  return {{std::make_shared<const Tensor>(t), t.data<float>(), 0, 1}};
}

/// a + b as a partial sum, which its reader adds; null where that must be formed at once.
std::unique_ptr<PartialSum> both_sums(const Tensor& a, const Tensor& b) {
  if (!a.device().is_cuda() || a.dtype() != DType::f32) return nullptr;
  auto sum = std::make_unique<PartialSum>(PartialSum{a.size(), addends_of(a)});
  const std::vector<SumParts> more = addends_of(b);
  if (sum->addends.size() + more.size() > PartialSum::kMaxAddends) return nullptr;
  sum->addends.insert(sum->addends.end(), more.begin(), more.end());
  return sum;
}

/// t.grad += g. Adds in place if no other handle shares the existing gradient, or, on CUDA, leaves
/// the addition to the reader, which is an optimizer as a rule.
void accumulate(const Tensor& t, Tensor g) {
  Tensor old = t.grad();
  t.set_grad({});
  if (!old.defined()) {
    t.set_grad(std::move(g));
    return;
  }
  check_same_shape("backward", old, g);
  if (std::unique_ptr<PartialSum> parts = both_sums(old, g)) {
    const Tensor later = Tensor::empty(old.shape(), old.dtype());
    later.set_partial_sum(std::move(parts));
    t.set_grad(later);
    return;
  }
  const Tensor sum = old.sole_owner() ? old : Tensor::empty(old.shape(), old.dtype());
  with_float_type("backward", sum, [&]<class T>() {
    add<T>(current_context(), sum.size(), old.data<T>(), g.data<T>(), sum.mutable_data<T>());
  });
  t.set_grad(sum);
}

/// No tape records while a Pause lives, because there are no derivatives of derivatives.
class Pause {
 public:
  Pause() : tape_(std::exchange(innermost, nullptr)) {}
  ~Pause() { innermost = tape_; }

 private:
  Tape* tape_;
};

Tensor take_grad(const Tensor& t) {
  Tensor g = t.grad();
  t.set_grad({});
  return g;
}

}  // namespace

bool check_finite() {
  return check_finite_flag();
}
void set_check_finite(bool on) {
  check_finite_flag() = on;
}

std::string first_nonfinite_op(const std::function<void()>& f) {
  const bool before = check_finite();
  set_check_finite(true);
  std::string blame;
  try {
    f();
  } catch (const Error& error) {
    blame = std::string(" (") + error.what() + ")";
  }
  set_check_finite(before);
  return blame;
}

OpObserver::OpObserver(Call call) : call_(std::move(call)), previous_(innermost_observer) {
  innermost_observer = this;
}

OpObserver::~OpObserver() {
  innermost_observer = previous_;
}

void OpObserver::note(std::string_view op, const Tensor& output, bool backward) {
  if (innermost_observer != nullptr) innermost_observer->call_(op, output, backward);
}

Tape::Tape() : previous_(innermost) {
  innermost = this;
}
Tape::~Tape() {
  innermost = previous_;
}
Tape* Tape::current() {
  return innermost;
}

std::vector<std::string_view> Tape::ops() const {
  std::vector<std::string_view> names;
  for (const Node& node : nodes_) names.push_back(node.op);
  return names;
}

bool Tape::records(std::initializer_list<Tensor> inputs) {
  if (innermost == nullptr) return false;
  for (const Tensor& t : inputs)
    if (t.requires_grad()) return true;
  return false;
}

void Tape::record(std::string_view op, std::vector<Tensor> inputs, Tensor& output, Vjp vjp) {
  require_finite(op, "the output", output);
  OpObserver::note(op, output, false);
  bool needed = false;
  for (const Tensor& t : inputs) needed = needed || t.requires_grad();
  if (innermost == nullptr || !needed) return;
  output.set_requires_grad(true);
  innermost->nodes_.push_back({op, std::move(inputs), output, std::move(vjp)});
}

void Tape::backward(const Tensor& y, Tensor dy) {
  bool recorded = false;
  for (const Node& node : nodes_) recorded = recorded || node.output.is(y);
  ASSAY_CHECK(recorded,
              "backward: this tensor was not recorded on this tape (was a tape live when it was "
              "computed, and did an input require a gradient?)");
  if (!dy.defined()) {
    ASSAY_CHECK(y.size() == 1, "backward: wants a gradient for an output of the shape {}",
                to_string(y.shape()));
    dy = Tensor::constant(y.shape(), 1, y.dtype());
  }
  const Pause pause;
  accumulate(y, std::move(dy));

  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    const Tensor gradient = take_grad(node.output);
    if (!gradient.defined()) continue;  // not on a path to y

    NeedsInputGrad needs_input_grad;
    for (const Tensor& input : node.inputs) needs_input_grad.push_back(input.requires_grad());
    const ProfileRange range("backward");
    std::vector<Tensor> gradients = node.vjp(gradient, needs_input_grad);
    OpObserver::note(node.op, node.output, true);
    ASSAY_CHECK(gradients.size() == node.inputs.size(), "{}: has {} inputs but {} gradients",
                node.op, node.inputs.size(), gradients.size());
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!needs_input_grad[i] || !gradients[i].defined()) continue;
      require_finite(node.op, "a gradient", gradients[i]);
      accumulate(node.inputs[i], std::move(gradients[i]));
    }
  }
}

}  // namespace assay
