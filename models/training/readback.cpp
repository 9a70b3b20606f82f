#include "models/training/readback.h"

namespace assay {

Readback::Readback(int64_t figures)
    : figures_(figures), slots_(static_cast<size_t>((kAhead + 1) * figures) * sizeof(float)) {}

float* Readback::slot(int64_t number) const {
  return slots_.as<float>() + number % (kAhead + 1) * figures_;
}

void Readback::push(const Tensor& figures) {
  ASSAY_CHECK(!full() && figures.size() == figures_, "readback: no slot for {} figures",
              figures.size());
  const int64_t number = popped_ + static_cast<int64_t>(reads_.size());
  reads_.push_back(std::make_unique<AsyncRead>(current_context(), slot(number),
                                               figures.data<float>(),
                                               static_cast<size_t>(figures_) * sizeof(float)));
}

std::vector<float> Readback::pop() {
  ASSAY_CHECK(!empty(), "readback: no step is under way");
  reads_.front()->wait();
  const float* figures = slot(popped_);
  reads_.pop_front();
  ++popped_;
  return {figures, figures + figures_};
}

}  // namespace assay
