#include "models/training/readback.h"

namespace assay {

Readback::Readback(int64_t size)
    : size_(size), slots_(static_cast<size_t>((kAhead + 1) * size) * sizeof(float)) {}

float* Readback::slot(int64_t number) const {
  return slots_.as<float>() + number % (kAhead + 1) * size_;
}

void Readback::push(const Tensor& values) {
  ASSAY_CHECK(!full() && values.size() == size_, "readback: no slot for {} values", values.size());
  const int64_t number = popped_ + static_cast<int64_t>(reads_.size());
  reads_.push_back(std::make_unique<AsyncRead>(current_context(), slot(number),
                                               values.data<float>(),
                                               static_cast<size_t>(size_) * sizeof(float)));
}

std::vector<float> Readback::pop() {
  ASSAY_CHECK(!empty(), "readback: no step is under way");
  reads_.front()->wait();
  const float* values = slot(popped_);
  reads_.pop_front();
  ++popped_;
  return {values, values + size_};
}

}  // namespace assay
