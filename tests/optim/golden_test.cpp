// Ten steps of each optimizer against PyTorch's (epsilon as torch) and the formulas (as Keras).
#include <doctest/doctest.h>

#include <memory>

#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tests/support/every_device.h"
#include "tests/support/golden_file.h"

using namespace assay;
using testing::difference;
using testing::GoldenFile;

namespace {

std::unique_ptr<Optimizer> make(const std::string& name, const std::vector<double>& o,
                                const std::vector<Parameter>& parameters) {
  const EpsPlacement placement =
      name.ends_with(".torch") ? EpsPlacement::torch : EpsPlacement::keras;
  if (name.starts_with("adam"))
    return std::make_unique<Adam>(parameters, AdamOptions{.learning_rate = o[0],
                                                          .beta1 = o[1],
                                                          .beta2 = o[2],
                                                          .eps = o[3],
                                                          .placement = placement});
  return std::make_unique<Rmsprop>(
      parameters,
      RmspropOptions{.learning_rate = o[0], .rho = o[1], .eps = o[2], .placement = placement});
}

void check_ten_steps(DType type, double bound) {
  const GoldenFile golden("optimizers.safetensors");
  const auto cases = golden.cases("", ".weights");
  REQUIRE(cases.size() == 8);
  for (const std::string& name : cases) {
    CAPTURE(name);
    Parameter p{.name = "w", .tensor = golden.tensor("start").to(type), .layout = {}, .role = {}};
    const auto optimizer = make(name, golden.tensor(name + ".options").to_doubles(), {p});
    const Tensor gradients = golden.tensor("gradients"), want = golden.tensor(name + ".weights");
    for (int step = 0; step < 10; ++step) {
      p.tensor.set_grad(gradients.rows(step, 1).reshape({-1}).to(type));
      optimizer->step();
      CAPTURE(step);
      CHECK(difference(p.tensor, want.rows(step, 1).reshape({-1})) < bound);
    }
  }
}

}  // namespace

TEST_CASE("the reference takes the same ten steps") {
  check_ten_steps(DType::f64, 1e-13);
}

// Weights below 3 are rounded to 2^-23 of themselves in each of ten steps: 10 * 2.4e-7 / 2 at
// worst; the changes, at most .01 a step in all, are exact to a few times 6e-8 of themselves.
DEVICE_TEST_CASE("so does float32, but for its rounding") {
  check_ten_steps(DType::f32, 1.3e-6);
}
