// Every operation that can be recorded, with inputs that exercise its derivative. The inputs are
// float64; given them as float32, a case computes in float32. The networks' tests require a case
// for each operation that a model records.
#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/ops.h"
#include "tests/support/gradcheck.h"

namespace assay::testing {

struct GradcheckCase {
  std::string op;  ///< as Tape::ops() names it
  std::string what;
  Function f;
  std::vector<Tensor> inputs;
};

inline std::vector<GradcheckCase> convolution_cases(RandomTensors& r) {
  std::vector<GradcheckCase> cases;
  const auto conv = [&](std::string what, const Shape& x, const Shape& w, const Conv2dOptions& o) {
    cases.push_back({"conv2d",
                     std::move(what),
                     [o](const auto& in) { return conv2d(in[0], in[1], in[2], o); },
                     {r.normal(x), r.normal(w), r.normal({w[0]})}});
  };
  conv("stride 2, pad 1, odd sizes", {2, 7, 6, 3}, {4, 3, 3, 3}, {.stride = 2, .pad = 1});
  conv("1x1 image", {1, 1, 1, 5}, {2, 1, 1, 5}, {});
  conv("filter 2x3 stride 3", {2, 8, 9, 2}, {3, 2, 3, 2}, {.stride = 3, .pad = 2});
  conv("relu, pool 2", {2, 6, 7, 3}, {4, 3, 3, 3},
       {.pad = 1, .activation = Activation::relu, .pool = 2});
  conv("stride 2, tanh, pool 2", {1, 9, 9, 2}, {3, 3, 3, 2},
       {.stride = 2, .pad = 1, .activation = Activation::tanh, .pool = 2});
  conv("leaky relu, pool 4", {1, 9, 8, 2}, {3, 3, 3, 2},
       {.pad = 1, .activation = Activation::leaky_relu, .slope = 0.2f, .pool = 4});
  conv("upsample 2, sigmoid", {2, 3, 4, 2}, {3, 3, 3, 2},
       {.pad = 1, .upsample = 2, .activation = Activation::sigmoid});
  conv("upsample 4, relu", {1, 2, 3, 2}, {2, 3, 3, 2},
       {.pad = 1, .upsample = 4, .activation = Activation::relu});
  conv("upsample 2, 1x1", {1, 3, 3, 4}, {1, 1, 1, 4}, {.upsample = 2});
  cases.push_back({"conv2d",
                   "no bias",
                   [](const auto& in) { return conv2d(in[0], in[1], {}, {.stride = 2, .pad = 1}); },
                   {r.normal({1, 6, 6, 2}), r.normal({3, 4, 4, 2})}});

  const auto transposed = [&](std::string what, const Shape& x, const Shape& w,
                              const ConvTranspose2dOptions& o) {
    cases.push_back({"conv_transpose2d",
                     std::move(what),
                     [o](const auto& in) { return conv_transpose2d(in[0], in[1], in[2], o); },
                     {r.normal(x), r.normal(w), r.normal({w[3]})}});
  };
  transposed("4x4/1/0 on 1x1", {2, 1, 1, 3}, {3, 4, 4, 2}, {});
  transposed("4x4/2/1, tanh", {2, 4, 5, 3}, {3, 4, 4, 2},
             {.stride = 2, .pad = 1, .activation = Activation::tanh});
  transposed("3x3/3/1, relu", {1, 3, 2, 2}, {2, 3, 3, 4},
             {.stride = 3, .pad = 1, .activation = Activation::relu});
  cases.push_back({"conv_transpose2d",
                   "no bias, leaky relu",
                   [](const auto& in) {
                     return conv_transpose2d(
                         in[0], in[1], {},
                         {.stride = 2, .pad = 1, .activation = Activation::leaky_relu});
                   },
                   {r.normal({1, 3, 3, 2}), r.normal({2, 4, 4, 3})}});
  return cases;
}

inline std::vector<GradcheckCase> dense_cases(RandomTensors& r) {
  std::vector<GradcheckCase> cases;
  for (const Activation a : {Activation::none, Activation::relu, Activation::leaky_relu,
                             Activation::sigmoid, Activation::tanh})
    cases.push_back({"linear",
                     name_of(a),
                     [a](const auto& in) { return linear(in[0], in[1], in[2], a); },
                     {r.normal({3, 5}), r.normal({4, 5}), r.normal({4})}});
  cases.push_back({"linear",
                   "no bias",
                   [](const auto& in) { return linear(in[0], in[1], {}); },
                   {r.normal({1, 7}), r.normal({2, 7})}});
  for (const Activation a : {Activation::none, Activation::leaky_relu})
    cases.push_back({"batch_norm",
                     name_of(a),
                     [a](const auto& in) {
                       const DType type = master_type(in[0].dtype());
                       BatchNormState state{Tensor::zeros({3}, type), Tensor::full({3}, 1, type)};
                       return batch_norm(in[0], in[1], in[2], state, {.activation = a});
                     },
                     {r.normal({2, 3, 4, 3}), r.uniform({3}, 0.5, 1.5), r.normal({3})}});
  const Tensor gamma = r.uniform({3}, 0.5, 1.5), beta = r.normal({3}), mean = r.normal({3}),
               var = r.uniform({3}, 0.2, 2);
  for (const Activation a : {Activation::none, Activation::leaky_relu})
    cases.push_back({"batch_norm",
                     fmt::format("inference, {}", name_of(a)),
                     [=](const auto& in) {
                       const DType type = master_type(in[0].dtype());
                       BatchNormState state{mean.to(type), var.to(type)};
                       return batch_norm(in[0], gamma.to(type), beta.to(type), state,
                                         {.training = false, .activation = a});
                     },
                     {r.normal({2, 3, 4, 3})}});
  return cases;
}

inline std::vector<GradcheckCase> plain_cases(RandomTensors& r) {
  std::vector<GradcheckCase> cases;
  const auto add_case = [&](std::string op, std::string what, Function f,
                            std::vector<Tensor> inputs) {
    cases.push_back({std::move(op), std::move(what), std::move(f), std::move(inputs)});
  };
  const Shape image{2, 7, 5, 3};
  add_case("max_pool2d", "3/2", [](const auto& in) { return max_pool2d(in[0], 3, 2); },
           {r.normal(image)});
  add_case("avg_pool2d", "3/2", [](const auto& in) { return avg_pool2d(in[0], 3, 2); },
           {r.normal(image)});
  add_case("upsample2d", "3", [](const auto& in) { return upsample2d(in[0], 3); },
           {r.normal(image)});
  for (const Activation a :
       {Activation::relu, Activation::leaky_relu, Activation::sigmoid, Activation::tanh})
    add_case("activation", name_of(a), [a](const auto& in) { return activation(in[0], a); },
             {r.normal({11})});
  add_case("add", "", [](const auto& in) { return add(in[0], in[1]); },
           {r.normal({5}), r.normal({5})});
  add_case("subtract", "", [](const auto& in) { return subtract(in[0], in[1]); },
           {r.normal({5}), r.normal({5})});
  add_case("multiply", "", [](const auto& in) { return multiply(in[0], in[1]); },
           {r.normal({5}), r.normal({5})});
  add_case("multiply", "with itself", [](const auto& in) { return multiply(in[0], in[0]); },
           {r.normal({5})});
  add_case("affine", "", [](const auto& in) { return affine(in[0], -2.5, 3); }, {r.normal({5})});
  add_case("sum", "", [](const auto& in) { return sum(in[0]); }, {r.normal({4, 5})});
  add_case("reshape", "",
           [](const auto& in) {
             return in[0].reshape({5, -1});
           },
           {r.normal({4, 5})});
  return cases;
}

inline std::vector<GradcheckCase> loss_cases(RandomTensors& r) {
  std::vector<GradcheckCase> cases;
  const Tensor target = r.uniform({2, 3}, 0, 1);
  cases.push_back({"mse_loss",
                   "",
                   [target](const auto& in) { return mse_loss(in[0], target.to(in[0].dtype())); },
                   {r.normal({2, 3})}});
  for (const double weight : {1.0, 3.5})
    cases.push_back({"bce_with_logits_loss",
                     fmt::format("weight {:f}", weight),
                     [=](const auto& in) {
                       return bce_with_logits_loss(in[0], target.to(in[0].dtype()), weight);
                     },
                     {r.normal({2, 3})}});
  const Tensor images = r.uniform({2, 13, 14, 2}, 0, 1);
  cases.push_back({"ssim_loss",
                   "",
                   [=](const auto& in) { return ssim_loss(in[0], images.to(in[0].dtype())); },
                   {r.uniform({2, 13, 14, 2}, 0, 1)}});
  return cases;
}

inline std::vector<GradcheckCase> gradcheck_cases() {
  RandomTensors random(20260601);
  std::vector<GradcheckCase> all;
  for (auto cases :
       {convolution_cases(random), dense_cases(random), plain_cases(random), loss_cases(random)})
    all.insert(all.end(), cases.begin(), cases.end());
  return all;
}

}  // namespace assay::testing
