#include "optim/early_stopping.h"

#include <doctest/doctest.h>

#include <cmath>

#include "layers/linear.h"
#include "tests/support/every_device.h"

using namespace assay;

namespace {

/// One weight, whose value is the epoch.
struct Net {
  Linear layer{{.in = 1, .out = 1}};
  Tensor weight = layer.parameters()[0].tensor;
  void set(double value) { weight.copy_from(Tensor::full({1, 1}, value)); }
  double get() const { return weight.item(); }
};

}  // namespace

DEVICE_TEST_CASE(
    "stops after `patience` epochs without a new best and gives the best weights back") {
  Net net;
  EarlyStopping stop({.patience = 2, .min_steps = 0});
  CHECK_FALSE(stop.has_best());
  stop.restore_best(net.layer);  // nothing to restore yet
  const double losses[] = {5, 3, 4, 3};
  for (int epoch = 0; epoch < 4; ++epoch) {
    net.set(epoch);
    CHECK(stop.update(losses[epoch], epoch, net.layer) == (epoch == 3));
  }
  CHECK(stop.best_loss() == 3);
  CHECK(stop.best_epoch() == 1);
  stop.restore_best(net.layer);
  CHECK(net.get() == 1);
}

DEVICE_TEST_CASE("never stops before its number of steps") {
  Net net;
  EarlyStopping stop({.patience = 1, .min_steps = 400});
  CHECK_FALSE(stop.update(1, 100, net.layer));
  CHECK_FALSE(stop.update(2, 399, net.layer));
  CHECK(stop.update(2, 400, net.layer));
}

DEVICE_TEST_CASE("NaN is never a best") {
  Net net;
  EarlyStopping stop({.patience = 2, .min_steps = 0});
  CHECK_FALSE(stop.update(NAN, 1, net.layer));
  CHECK_FALSE(stop.has_best());
  CHECK(stop.update(NAN, 2, net.layer));
}

DEVICE_TEST_CASE("a loaded one goes on where the other stood") {
  Net net;
  EarlyStopping first({.patience = 2, .min_steps = 0}), second = first;
  net.set(7);
  first.update(1, 1, net.layer);
  net.set(8);
  first.update(2, 2, net.layer);
  StateDict state = first.save();
  state["weight"] = StoredTensor::of(net.weight);  // the weights stand in the same file
  second.load(state, "test");
  CHECK(second.best_loss() == 1);
  CHECK(second.update(2, 3, net.layer));
  second.restore_best(net.layer);
  CHECK(net.get() == 7);

  state.erase("early_stopping.epochs");
  CHECK_THROWS_WITH_AS(second.load(state, "c"), "c: early_stopping.epochs is missing",
                       CheckpointError);
}
