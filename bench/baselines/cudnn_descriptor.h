// RAII and checks for cuDNN's C API.
#pragma once

#include <cudnn.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/runtime/error.h"

namespace assay::bench {

inline void check_cudnn(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char message[512] = "";
  cudnnGetLastErrorString(message, sizeof message);
  throw Error(fmt::format("cuDNN: {} from {}: {}", cudnnGetErrorString(status), call, message));
}
#define ASSAY_CUDNN_CHECK(call) ::assay::bench::check_cudnn((call), #call)

/// A backend descriptor of the graph API; copies share it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = nullptr;
    ASSAY_CUDNN_CHECK(cudnnBackendCreateDescriptor(type, &made));
    shared_ = std::shared_ptr<void>(made, [](void* d) { cudnnBackendDestroyDescriptor(d); });
  }
  cudnnBackendDescriptor_t get() const { return shared_.get(); }

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  const std::vector<T>& values) {
    ASSAY_CUDNN_CHECK(cudnnBackendSetAttribute(get(), name, type,
                                               static_cast<int64_t>(values.size()), values.data()));
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, std::initializer_list<int64_t> values) {
    return set(name, CUDNN_TYPE_INT64, std::vector<int64_t>(values));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value) { return set(name, {value}); }
  Descriptor& set(cudnnBackendAttributeName_t name, double value) {
    return set(name, CUDNN_TYPE_DOUBLE, std::vector<double>{value});
  }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    return set(name, CUDNN_TYPE_DATA_TYPE, std::vector<cudnnDataType_t>{value});
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
               std::vector<cudnnBackendDescriptor_t>{value.get()});
  }
  Descriptor& finalize() {
    ASSAY_CUDNN_CHECK(cudnnBackendFinalize(get()));
    return *this;
  }

  int64_t count(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    int64_t n = 0;
    ASSAY_CUDNN_CHECK(cudnnBackendGetAttribute(get(), name, type, 0, &n, nullptr));
    return n;
  }
  template <class T>
  std::vector<T> values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    std::vector<T> v(static_cast<size_t>(count(name, type)));
    int64_t n = 0;
    if (!v.empty())
      ASSAY_CUDNN_CHECK(cudnnBackendGetAttribute(get(), name, type, static_cast<int64_t>(v.size()),
                                                 &n, v.data()));
    v.resize(static_cast<size_t>(n));
    return v;
  }
  int64_t integer(cudnnBackendAttributeName_t name) const {
    return values<int64_t>(name, CUDNN_TYPE_INT64).at(0);
  }
  /// The descriptors of an attribute; cuDNN fills those that the caller makes. `max_count` is their
  /// largest number, for attributes whose number cuDNN does not report.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name,
                                      cudnnBackendDescriptorType_t type,
                                      int64_t max_count = 0) const {
    if (max_count == 0) max_count = count(name, CUDNN_TYPE_BACKEND_DESCRIPTOR);
    std::vector<Descriptor> made(static_cast<size_t>(max_count));
    std::vector<cudnnBackendDescriptor_t> raw;
    for (Descriptor& d : made) raw.push_back((d = Descriptor(type)).get());
    int64_t n = 0;
    if (!made.empty())
      ASSAY_CUDNN_CHECK(cudnnBackendGetAttribute(get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                 static_cast<int64_t>(raw.size()), &n, raw.data()));
    made.resize(static_cast<size_t>(n));
    return made;
  }

 private:
  std::shared_ptr<void> shared_;
};

/// A descriptor of the older API: Old<cudnnTensorDescriptor_t, cudnnCreate..., cudnnDestroy...>.
template <class T, cudnnStatus_t (*create)(T*), cudnnStatus_t (*destroy)(T)>
class Old {
 public:
  Old() { ASSAY_CUDNN_CHECK(create(&it_)); }
  ~Old() {
    if (it_ != nullptr) destroy(it_);
  }
  Old(Old&& other) noexcept : it_(std::exchange(other.it_, nullptr)) {}
  Old& operator=(Old&&) = delete;
  T get() const { return it_; }

 private:
  T it_ = nullptr;
};
using OldTensor =
    Old<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using OldFilter =
    Old<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using OldConvolution = Old<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                           cudnnDestroyConvolutionDescriptor>;
using OldPooling =
    Old<cudnnPoolingDescriptor_t, cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor>;
using OldActivation = Old<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
                          cudnnDestroyActivationDescriptor>;

}  // namespace assay::bench
