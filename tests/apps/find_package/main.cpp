// A program outside the project: a small network learns one picture.
#include <cstdio>

#include "layers/init.h"
#include "models/experiments/run.h"
#include "models/networks/network.h"
#include "optim/adam.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

int main() {
  const auto network = assay::make_network("kd-cae", 32);
  assay::init_parameters(*network, assay::Init::he, 1);
  assay::Adam adam(network->parameters(), {});
  const assay::Tensor x = assay::Tensor::full({2, 32, 32, 3}, 0.25);
  double first = 0, last = 0;
  for (int step = 0; step < 30; ++step) {
    assay::Tape tape;
    const assay::Tensor l = assay::mse_loss((*network)(x), x);
    last = l.item();
    if (step == 0) first = last;
    adam.zero_grad();
    tape.backward(l);
    adam.step();
  }
  std::printf("%f -> %f\n", first, last);
  return last < first / 2 ? 0 : 1;
}
