#include "tensor/tensor.h"

#include <fmt/format.h>

#include <atomic>

#include "kernels/pointwise/pointwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/runtime/transfer.h"
#include "tensor/dtype.h"
#include "tensor/tape.h"

namespace assay {

namespace {

uint64_t next_version() {
  static std::atomic<uint64_t> counter{0};
  return ++counter;
}

}  // namespace

int64_t numel(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

struct Tensor::Storage {
  Scratch block;
  // What the elements are to become; unset if they are written.
  std::optional<double> constant;
  std::unique_ptr<PartialSum> sum;
  bool is_summed = true;
  Context* sum_context = nullptr;
  std::atomic<uint64_t> version{next_version()};
};

struct Tensor::Impl {
  Shape shape;
  DType dtype;
  Device device;
  std::shared_ptr<Storage> storage;
  int64_t first = 0;  // offset of a view in the storage, in elements
  bool requires_grad = false;
  Tensor grad;
};

const Tensor::Impl& Tensor::impl() const {
  ASSAY_CHECK(defined(), "tensor: undefined; it was never given a value");
  return *impl_;
}

Tensor Tensor::allocate(Shape shape, DType dtype, Device device) {
  for (const int64_t d : shape)
    ASSAY_CHECK(d >= 0, "tensor: the shape {} has a negative dimension", to_string(shape));
  Context& ctx = current_context();
  ASSAY_CHECK(device == ctx.device || !device.is_cuda(),
              "tensor: no context of the device {} is current; make a ContextScope", device.name());
  ASSAY_CHECK(dtype != DType::f64 || !ctx.device.is_cuda(),
              "tensor: float64 is the reference, which runs in a context of the CPU");
  Allocator& memory = device == ctx.device ? *ctx.memory : cpu_allocator();
  auto impl = std::make_shared<Impl>();
  impl->storage = std::make_shared<Storage>();
  impl->storage->block = Scratch(memory, static_cast<size_t>(numel(shape)) * size_of(dtype));
  impl->shape = std::move(shape);
  impl->dtype = dtype;
  impl->device = device;
  return Tensor(std::move(impl));
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  return allocate(std::move(shape), dtype, current_context().device);
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  return full(std::move(shape), 0, dtype);
}

Tensor Tensor::full(Shape shape, double value, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  if (dtype == DType::u8)
    return from(t.shape(), std::vector<uint8_t>(t.size(), static_cast<uint8_t>(value)));
  with_float_type("full", t, [&]<class T>() {
    fill<T>(current_context(), t.size(), static_cast<T>(value), t.mutable_data<T>());
  });
  return t;
}

Tensor Tensor::constant(Shape shape, double value, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  t.impl_->storage->constant = value;
  return t;
}

namespace {

template <class T>
Tensor from_host(Shape shape, std::span<const T> values) {
  Tensor t = Tensor::empty(std::move(shape), dtype_of<T>);
  ASSAY_CHECK(t.size() == static_cast<int64_t>(values.size()),
              "tensor: the shape {} has {} elements but {} values were given", to_string(t.shape()),
              t.size(), values.size());
  copy_bytes(current_context(), t.mutable_data<T>(), t.device(), values.data(), Device::cpu(),
             values.size_bytes());
  return t;
}

}  // namespace

Tensor Tensor::from(Shape shape, std::span<const float> values) {
  return from_host(std::move(shape), values);
}
Tensor Tensor::from(Shape shape, std::span<const double> values) {
  return from_host(std::move(shape), values);
}
Tensor Tensor::from(Shape shape, std::span<const uint8_t> values) {
  return from_host(std::move(shape), values);
}
Tensor Tensor::from(Shape shape, std::span<const bf16> values) {
  return from_host(std::move(shape), values);
}

const Shape& Tensor::shape() const {
  return impl().shape;
}
int Tensor::rank() const {
  return static_cast<int>(impl().shape.size());
}
int64_t Tensor::size() const {
  return numel(impl().shape);
}
DType Tensor::dtype() const {
  return impl().dtype;
}
Device Tensor::device() const {
  return impl().device;
}
uint64_t Tensor::version() const {
  return impl().storage->version;
}

int64_t Tensor::dim(int i) const {
  const int from_front = i < 0 ? i + rank() : i;
  ASSAY_CHECK(from_front >= 0 && from_front < rank(), "tensor: no dimension {} in {}", i,
              to_string(shape()));
  return shape()[from_front];
}

template <class T>
const T* Tensor::data() const {
  ASSAY_CHECK(dtype() == dtype_of<T>, "tensor: holds {}, not {}", name_of(dtype()),
              name_of(dtype_of<T>));
  const Storage& storage = *impl_->storage;
  if (storage.constant || !storage.is_summed) write_elements();
  return storage.block.template as<T>() + impl_->first;
}

void Tensor::write_elements() const {
  Storage& storage = *impl_->storage;
  if (!storage.is_summed) {
    storage.is_summed = true;
    finish_sum(*storage.sum_context, *storage.sum, storage.block.as<float>());
    return;
  }
  const double value = *storage.constant;
  storage.constant.reset();
  with_float_type("constant", *this, [&]<class T>() {
    fill<T>(current_context(), size(), static_cast<T>(value), mutable_data<T>());
  });
}

std::optional<double> Tensor::unwritten_constant() const {
  return impl().storage->constant;
}

void Tensor::set_partial_sum(std::unique_ptr<PartialSum> sum) const {
  ASSAY_CHECK(dtype() == DType::f32 && impl_->first == 0 && sum->n == size(),
              "tensor: a partial sum of {} elements does not fit {}", sum->n, to_string(shape()));
  Storage& storage = *impl_->storage;
  storage.version = next_version();
  storage.sum = std::move(sum);
  storage.is_summed = false;
  storage.sum_context = &current_context();
}

const PartialSum* Tensor::partial_sum() const {
  const PartialSum* sum = impl().storage->sum.get();
  return sum != nullptr && impl_->first == 0 && sum->n == size() ? sum : nullptr;
}

template <class T>
T* Tensor::mutable_data() const {
  const T* elements = data<T>();
  impl_->storage->version = next_version();
  impl_->storage->sum.reset();
  return const_cast<T*>(elements);
}

template const float* Tensor::data() const;
template const double* Tensor::data() const;
template const uint8_t* Tensor::data() const;
template const bf16* Tensor::data() const;
template float* Tensor::mutable_data() const;
template double* Tensor::mutable_data() const;
template uint8_t* Tensor::mutable_data() const;
template bf16* Tensor::mutable_data() const;

namespace {

template <class T, class To>
std::vector<To> host_copy(const Tensor& t) {
  std::vector<T> values(t.size());
  copy_bytes(current_context(), values.data(), Device::cpu(), t.data<T>(), t.device(),
             values.size() * sizeof(T));
  if constexpr (std::is_same_v<T, To>)
    return values;
  else if constexpr (std::is_same_v<T, bf16>) {
    std::vector<To> wide;
    wide.reserve(values.size());
    for (const bf16 v : values) wide.push_back(static_cast<float>(v));
    return wide;
  } else {
    return std::vector<To>(values.begin(), values.end());
  }
}

template <class To>
std::vector<To> to_host(const Tensor& t) {
  switch (t.dtype()) {
    case DType::f32:
      return host_copy<float, To>(t);
    case DType::f64:
      return host_copy<double, To>(t);
    case DType::bf16:
      return host_copy<bf16, To>(t);
    default:
      return host_copy<uint8_t, To>(t);
  }
}

}  // namespace

std::vector<float> Tensor::to_floats() const {
  return to_host<float>(*this);
}
std::vector<double> Tensor::to_doubles() const {
  return to_host<double>(*this);
}

double Tensor::item() const {
  ASSAY_CHECK(size() == 1, "item: wants one element, has the shape {}", to_string(shape()));
  return to_doubles()[0];
}

Tensor Tensor::view(Shape shape, int64_t first) const {
  auto made = std::make_shared<Impl>();
  made->shape = std::move(shape);
  made->dtype = impl_->dtype;
  made->device = impl_->device;
  made->storage = impl_->storage;
  made->first = first;
  return Tensor(std::move(made));
}

Tensor Tensor::reshape(Shape shape) const {
  const Shape old = this->shape();
  const Shape wanted = shape;
  int64_t known = 1, *unknown = nullptr;
  for (int64_t& d : shape) {
    ASSAY_CHECK(d >= 0 || (d == -1 && unknown == nullptr),
                "reshape: {} may have one -1 and no other negative dimension", to_string(wanted));
    if (d == -1)
      unknown = &d;
    else
      known *= d;
  }
  if (unknown != nullptr && known > 0) *unknown = size() / known;
  ASSAY_CHECK(numel(shape) == size() && (unknown == nullptr || known > 0),
              "reshape: {} does not fit into {}", to_string(old), to_string(wanted));
  Tensor y = view(std::move(shape), impl_->first);
  Tape::record("reshape", {*this}, y, [old](const Tensor& dy, const NeedsInputGrad&) {
    return std::vector<Tensor>{dy.reshape(old)};
  });
  return y;
}

Tensor Tensor::rows(int64_t begin, int64_t count) const {
  ASSAY_CHECK(rank() > 0 && begin >= 0 && count >= 0 && begin + count <= dim(0),
              "rows: {} to {} are not all in {}", begin, begin + count, to_string(shape()));
  ASSAY_CHECK(!Tape::records({*this}), "rows: has no derivative; detach() the tensor first");
  Shape part = shape();
  part[0] = 1;
  const int64_t row = numel(part);
  part[0] = count;
  return view(std::move(part), impl_->first + begin * row);
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape(), dtype());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::detach() const {
  return view(shape(), impl_->first);
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  Tensor copy = allocate(shape(), dtype(), target);
  copy.copy_elements(*this);
  return copy;
}

namespace {

Tensor converted(const Tensor& x, DType target) {
  if (x.dtype() == DType::f32 && target == DType::bf16) {
    Tensor y = Tensor::empty(x.shape(), target);
    convert(current_context(), x.size(), x.data<float>(), y.mutable_data<bf16>());
    return y;
  }
  if (x.dtype() == DType::bf16 && target == DType::f32) {
    Tensor y = Tensor::empty(x.shape(), target);
    convert(current_context(), x.size(), x.data<bf16>(), y.mutable_data<float>());
    return y;
  }
  switch (target) {
    case DType::f32:
      return Tensor::from(x.shape(), std::span<const float>(x.to_floats()));
    case DType::f64:
      return Tensor::from(x.shape(), std::span<const double>(x.to_doubles()));
    case DType::bf16:
      return converted(converted(x, DType::f32), target);
    default:
      throw Error("to: float32, float64 and bfloat16 are the types that a tensor converts to");
  }
}

}  // namespace

Tensor Tensor::to(DType target) const {
  if (target == dtype()) return *this;
  Tensor y = converted(*this, target);
  Tape::record("convert", {*this}, y, [source = dtype()](const Tensor& dy, const NeedsInputGrad&) {
    return std::vector<Tensor>{dy.to(source)};
  });
  return y;
}

void Tensor::copy_from(const Tensor& source) const {
  check_same_shape("copy_from", *this, source);
  copy_elements(source);
}

void Tensor::copy_elements(const Tensor& source) const {
  const auto copy = [&]<class T>() {
    copy_bytes(current_context(), mutable_data<T>(), device(), source.data<T>(), source.device(),
               static_cast<size_t>(size()) * sizeof(T));
  };
  switch (dtype()) {
    case DType::f32:
      return copy.operator()<float>();
    case DType::f64:
      return copy.operator()<double>();
    case DType::u8:
      return copy.operator()<uint8_t>();
    case DType::bf16:
      return copy.operator()<bf16>();
  }
}

bool Tensor::requires_grad() const {
  return defined() && impl_->requires_grad;
}

Tensor& Tensor::set_requires_grad(bool value) {
  ASSAY_CHECK(!value || dtype() != DType::u8, "set_requires_grad: uint8 has no gradient");
  impl_->requires_grad = value;
  return *this;
}

Tensor Tensor::grad() const {
  return impl().grad;
}

void Tensor::set_grad(Tensor grad) const {
  if (grad.defined()) check_same_shape("set_grad", *this, grad);
  impl_->grad = std::move(grad);
}

bool Tensor::sole_owner() const {
  return defined() && impl_.use_count() == 1 && impl_->storage.use_count() == 1;
}

void check_alike(std::string_view op, const Tensor& a, const Tensor& b) {
  ASSAY_CHECK(a.dtype() == b.dtype(), "{}: mixes {} and {}", op, name_of(a.dtype()),
              name_of(b.dtype()));
  ASSAY_CHECK(a.device() == b.device(), "{}: mixes the devices {} and {}", op, a.device().name(),
              b.device().name());
}

void check_parameter(std::string_view op, const Tensor& x, const Tensor& parameter) {
  if (x.dtype() != DType::bf16) return check_alike(op, x, parameter);
  ASSAY_CHECK(parameter.dtype() == DType::f32,
              "{}: beside bfloat16 activations the parameters are float32, not {}", op,
              name_of(parameter.dtype()));
}

void check_same_shape(std::string_view op, const Tensor& a, const Tensor& b) {
  ASSAY_CHECK(a.shape() == b.shape(), "{}: the shapes {} and {} differ", op, to_string(a.shape()),
              to_string(b.shape()));
  check_alike(op, a, b);
}

void check_rank(std::string_view op, const Tensor& x, int rank, std::string_view layout) {
  ASSAY_CHECK(x.rank() == rank, "{}: wants {} but got {}", op, layout, to_string(x.shape()));
}

}  // namespace assay
