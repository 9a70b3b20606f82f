// Trained networks as ONNX files (https://onnx.ai), for programs that run those.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/networks/network.h"

namespace assay {

/// The networks of a run that ModelSpec::export_networks hands to write_onnx().
struct OnnxSource {
  std::shared_ptr<void> owner = {};  ///< keeps the networks
  std::vector<Network*> networks = {};
  std::string rows = "";  ///< only the layers whose names begin so
  std::string input = "images", output = "reconstruction";
  /// The output of the last layer whose name begins with `inner_rows` becomes the graph's second
  /// output `inner_output`, flattened as PyTorch does. Empty: there is none.
  std::string inner_rows = "", inner_output = "";
  /// The output is the mean of sigmoid(network) over the networks; else there is one network.
  bool mean_probability = false;
  std::map<std::string, std::string> metadata =
      {};  ///< calibration and threshold, as in the model file
};

/// Writes a graph of opset 13: input (batch,C,H,W) float32 as the network takes it (images in
/// [0,1]), weights inside, outputs in PyTorch's layout, `metadata` in metadata_props. Error where
/// the file cannot be written.
void write_onnx(const OnnxSource& source, const std::filesystem::path& file);

}  // namespace assay
