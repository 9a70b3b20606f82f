// Tiny trained runs of the networks, exported, with inputs and the networks' own outputs.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/experiments/configure.h"
#include "models/experiments/onnx.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"
#include "models/networks/kd_cae.h"
#include "models/run/data.h"
#include "tensor/ops.h"
#include "tensor/permute.h"
#include "tests/support/files.h"
#include "tests/support/random_tensors.h"

namespace assay::testing {

/// Presets with a network: what `assay export` takes.
inline const std::vector<std::string> kExported = {
    "cnn", "cnn-codelab", "kd-cae", "kd-cae-strided", "ni-cae", "dcgan"};

struct ExportedRun {
  OnnxSource source;
  Tensor input = {};   ///< (n,C,H,W)
  Tensor output = {};  ///< of the network, in PyTorch's layout
  Tensor inner = {};   ///< of the second output; undefined where there is none
};

/// (N,H,W,C) -> (N,C,H,W)
inline Tensor as_nchw(const Tensor& x) {
  return x.shape().size() == 4 ? permute(x, {0, 3, 1, 2}) : x;
}

/// Trains a run of a preset in `folder`, exports it to `file` and applies its networks to n inputs.
inline ExportedRun export_run(const std::string& preset, const fs::path& folder,
                              const fs::path& file, int n) {
  RunConfig config = default_config(model_of_preset(preset).name, preset);
  config.data = "builtin";
  config.object_class = "ring";
  config.bit_depth = "16";
  config.epochs = config.model == "dcgan" ? config.epochs : 1;
  config.steps = 2;
  config.batch = 4;
  if (has_option(config.model, "folds")) config.folds = 2;
  if (config.model != "dcgan") config.image_size = preset == "cnn-codelab" ? 94 : 32;
  train_run(config, RunFolder(folder), Start::fresh, {});

  ExportedRun run{.source = find_model(config.model).export_networks(RunFolder(folder))};
  write_onnx(run.source, file);
  const Shape shape = run.source.networks.front()->input_shape(n);
  if (run.source.input == "images") {
    const ImageStore store = read_images(config, open_data(config).test, false);
    std::vector<size_t> some(static_cast<size_t>(n));
    for (size_t i = 0; i < some.size(); ++i) some[i] = i % store.size();
    run.input = store.batch(some);
  } else {
    run.input = RandomTensors(7, DType::f32).normal(shape);
  }
  std::vector<Tensor> outputs;
  for (Network* network : run.source.networks) {
    network->eval();
    outputs.push_back((*network)(run.input));
    if (run.source.mean_probability) outputs.back() = sigmoid(outputs.back());
  }
  run.output = outputs.front();
  for (size_t i = 1; i < outputs.size(); ++i) run.output = add(run.output, outputs[i]);
  run.output = as_nchw(affine(run.output, 1.0 / static_cast<double>(outputs.size()), 0));
  if (auto* network = dynamic_cast<KdCae*>(run.source.networks.front()))
    run.inner = network->latents(run.input);
  run.input = as_nchw(run.input);
  return run;
}

}  // namespace assay::testing
