// A program outside the project: one training step of a small network.
#include <cstdio>

#include "layers/init.h"
#include "models/network.h"
#include "optim/adam.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

int main() {
  const auto network = assay::make_network("kd-cae", 32);
  assay::init_parameters(*network, assay::Init::he, 1);
  assay::Adam adam(network->parameters(), {});
  const assay::Tensor x = assay::Tensor::full({2, 32, 32, 3}, 0.25);
  double losses[2];
  for (double& loss : losses) {
    assay::Tape tape;
    const assay::Tensor l = assay::mse_loss((*network)(x), x);
    loss = l.item();
    adam.zero_grad();
    tape.backward(l);
    adam.step();
  }
  std::printf("%f -> %f\n", losses[0], losses[1]);
  return losses[1] < losses[0] ? 0 : 1;
}
