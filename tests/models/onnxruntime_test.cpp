// Exported networks in onnxruntime (https://onnxruntime.ai), where Python has it: 20 inputs each.
// ASSAY_PYTHON names an interpreter other than python3.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdlib>

#include "tensor/safetensors.h"
#include "tests/models/onnx_runs.h"

namespace assay {

TEST_CASE("onnx: onnxruntime gives what the networks give, for 20 inputs each") {
  const char* chosen = std::getenv("ASSAY_PYTHON");
  const std::string python = chosen == nullptr ? "python3" : chosen;
  if (std::system((python + " -c 'import onnxruntime' 2>/dev/null").c_str()) != 0) {
    MESSAGE("SKIPPED: no onnxruntime here; pip install onnxruntime, or set ASSAY_PYTHON");
    return;
  }
  const testing::TemporaryFolder temporary;
  for (const std::string& preset : testing::kExported) {
    const testing::ExportedRun run = testing::export_run(preset, temporary / ("run-" + preset),
                                                         temporary / (preset + ".onnx"), 20);
    SafeTensors expected{{{run.source.input, StoredTensor::of(run.input)},
                          {run.source.output, StoredTensor::of(run.output)}},
                         run.source.metadata};
    if (run.inner.defined()) expected.tensors["latent"] = StoredTensor::of(run.inner);
    write_safetensors(temporary / (preset + ".safetensors"), expected);
  }
  const std::string command = fmt::format("{} {}/tests/models/onnxruntime_check.py {}", python,
                                          ASSAY_SOURCE_DIR, temporary.path().string());
  CHECK(std::system(command.c_str()) == 0);
}

}  // namespace assay
