#include "tensor/tensor.h"

#include <doctest/doctest.h>

#include "tensor/permute.h"
#include "tensor/tape.h"
#include "tests/support/every_device.h"

using namespace assay;

namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> values(numel(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return Tensor::from(shape, std::span<const float>(values));
}

}  // namespace

DEVICE_TEST_CASE("tensors are made of the values that they are given") {
  CHECK(Tensor::zeros({2, 3}).to_floats() == std::vector<float>(6, 0));
  CHECK(Tensor::full({3}, 7, DType::u8).to_floats() == std::vector<float>(3, 7));
  CHECK(Tensor::full({}, 2.5).item() == 2.5);
  CHECK(Tensor::empty({0, 4}).size() == 0);
  CHECK_FALSE(Tensor().defined());
  const std::vector<float> five(5);
  CHECK_THROWS_WITH_AS(Tensor::from({2, 3}, std::span<const float>(five)),
                       "tensor: the shape (2, 3) has 6 elements but 5 values were given", Error);
  CHECK_THROWS_AS(Tensor::empty({2, -1}), Error);
  CHECK_THROWS_WITH_AS(Tensor().shape(), doctest::Contains("undefined"), Error);
}

DEVICE_TEST_CASE("dimensions count from both ends") {
  const Tensor t = Tensor::empty({2, 3, 5});
  CHECK(t.dim(0) == 2);
  CHECK(t.dim(-1) == 5);
  CHECK(t.rank() == 3);
  CHECK_THROWS_WITH_AS(t.dim(3), "tensor: no dimension 3 in (2, 3, 5)", Error);
}

TEST_CASE("the type of a pointer must be that of the elements") {
  CHECK_THROWS_WITH_AS(Tensor::zeros({1}).data<double>(), "tensor: holds float32, not float64",
                       Error);
}

DEVICE_TEST_CASE("reshape and rows share storage, clone does not") {
  const Tensor t = counting({4, 3});
  const Tensor flat = t.reshape({-1}), middle = t.rows(1, 2), copy = t.clone();
  flat.rows(4, 1).copy_from(Tensor::full({1}, 100));
  CHECK(flat.shape() == Shape{12});
  CHECK(flat.to_floats()[4] == 100);
  CHECK(middle.to_floats() == std::vector<float>{3, 100, 5, 6, 7, 8});
  CHECK(middle.rows(1, 1).to_floats() == std::vector<float>{6, 7, 8});
  CHECK(copy.to_floats()[4] == 4);
  CHECK_THROWS_WITH_AS(t.reshape({5, -1}), "reshape: (4, 3) does not fit into (5, -1)", Error);
  CHECK_THROWS_AS(t.reshape({-1, -1}), Error);
  CHECK_THROWS_WITH_AS(t.rows(3, 2), "rows: 3 to 5 are not all in (4, 3)", Error);
}

DEVICE_TEST_CASE("rows has no derivative and says so") {
  Tensor t = counting({4, 3});
  t.set_requires_grad(true);
  CHECK_NOTHROW(t.rows(0, 1));
  Tape tape;
  CHECK_THROWS_AS(t.rows(0, 1), Error);
  CHECK_NOTHROW(t.detach().rows(0, 1));
}

DEVICE_TEST_CASE("a version names a content: it changes with writing and is never used twice") {
  const Tensor t = Tensor::zeros({2});
  const uint64_t first = t.version();
  CHECK(t.version() == first);
  t.data<float>();
  CHECK(t.version() == first);
  t.mutable_data<float>();
  CHECK(t.version() != first);
  CHECK(t.reshape({2, 1}).version() == t.version());
  CHECK(t.clone().version() != t.version());
}

DEVICE_TEST_CASE("a constant is written when its elements are first read") {
  const Tensor t = Tensor::constant({3}, 2.5);
  CHECK(t.unwritten_constant() == 2.5);
  CHECK(t.to_doubles() == std::vector<double>{2.5, 2.5, 2.5});
  CHECK_FALSE(t.unwritten_constant());
  CHECK_FALSE(Tensor::full({3}, 2.5).unwritten_constant());
}

DEVICE_TEST_CASE("sole_owner sees other handles and views") {
  Tensor t = Tensor::zeros({2});
  CHECK(t.sole_owner());
  {
    const Tensor handle = t;
    CHECK_FALSE(t.sole_owner());
  }
  {
    const Tensor view = t.reshape({1, 2});
    CHECK_FALSE(t.sole_owner());
  }
  CHECK(t.sole_owner());
}

DEVICE_TEST_CASE("types convert and contents copy") {
  const Tensor t = counting({3});
  const Tensor target = Tensor::zeros({3});
  target.copy_from(t);
  CHECK(target.to_floats() == t.to_floats());
  CHECK_THROWS_WITH_AS(Tensor::zeros({2}).copy_from(t), "copy_from: the shapes (2) and (3) differ",
                       Error);
  CHECK_THROWS_AS(t.item(), Error);
}

TEST_CASE("float64 is the reference, of the CPU alone") {
  const Tensor t = counting({3});
  CHECK(t.to(DType::f64).to_doubles() == std::vector<double>{0, 1, 2});
  CHECK_THROWS_AS(Tensor::zeros({3}, DType::f64).copy_from(t), Error);
  test::for_each_cuda_run([](Context& ctx) {
    const ContextScope scope(ctx);
    CHECK_THROWS_WITH_AS(Tensor::zeros({3}, DType::f64), doctest::Contains("a context of the CPU"),
                         Error);
  });
}

TEST_CASE("a tensor goes to the device of a context and comes back") {
  test::for_each_cuda_run([](Context& ctx) {
    const Tensor on_cpu = counting({2, 3});
    CHECK_THROWS_WITH_AS(on_cpu.to(Device::cuda()), doctest::Contains("make a ContextScope"),
                         Error);
    const ContextScope scope(ctx);
    const Tensor there = on_cpu.to(Device::cuda());
    CHECK(there.device().is_cuda());
    CHECK(there.to(Device::cuda()).is(there));
    const Tensor changed = there.clone();
    changed.copy_from(Tensor::full({2, 3}, 7));
    CHECK(there.to(Device::cpu()).to_floats() == on_cpu.to_floats());
    CHECK(changed.to(Device::cpu()).to_floats() == std::vector<float>(6, 7));
    CHECK_THROWS_WITH_AS(on_cpu.copy_from(changed), "copy_from: mixes the devices cpu and cuda",
                         Error);
  });
}

DEVICE_TEST_CASE("permute moves dimensions") {
  const Tensor t = counting({2, 3, 4});
  const Tensor p = permute(t, {2, 0, 1});
  CHECK(p.shape() == Shape{4, 2, 3});
  const std::vector<float> from = t.to_floats(), to = p.to_floats();
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) CHECK(to[(k * 2 + i) * 3 + j] == from[(i * 3 + j) * 4 + k]);
  CHECK_THROWS_AS(permute(t, {0, 1, 1}), Error);
  CHECK_THROWS_AS(permute(t, {0, 1}), Error);
  const Tensor image = counting({1, 1, 2, 3});
  CHECK(flatten_nchw(image).to_floats() == std::vector<float>{0, 3, 1, 4, 2, 5});
}
