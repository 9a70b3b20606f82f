// cuDNN's graph API without a GPU: the library plans for a device that is only described to it
// (h200.json), so graphs, heuristics, the choice by arithmetic and the building of plans are tested
// wherever the library is installed.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "bench/baselines/cudnn_graph.h"
#include "bench/model_layers.h"

namespace assay::bench {
namespace {

const GraphTarget& h200() {
  static const GraphTarget* target = [] {
    std::ifstream file(ASSAY_H200_JSON);
    std::stringstream text;
    text << file.rdbuf();
    return new GraphTarget(described_device(text.str()));  // leaked on purpose
  }();
  return *target;
}

/// Some engines are compiled for the graph. With the driver's stub library cuDNN gets as far as
/// loading what it compiled; without any driver library it does not offer them.
bool has_driver_library() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) MESSAGE("SKIPPED: engines compiled at run time need libcuda.so.1");
  return library != nullptr;
}

/// Throws Error if the plan cannot be built, unless the only reason is that no GPU can load it.
void build(const OperationGraph& graph, const EngineChoice& choice) {
  try {
    ExecutionPlan(h200(), graph, choice);
  } catch (const Error& e) {
    if (std::string(e.what()).find("CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER") ==
        std::string::npos)
      throw;
  }
}

int legal_plans(const ConvRequest& r, Layout layout) {
  const OperationGraph graph = convolution_graph(h200(), r, layout);
  int legal = 0;
  for (const EngineChoice& choice : engine_choices(h200(), graph, CUDNN_HEUR_MODE_A)) {
    if (choice.uses_tensor_cores && r.mode.element == Element::f32 && !r.mode.tf32) continue;
    if (legal == 0) build(graph, choice);
    ++legal;
  }
  return legal;
}

}  // namespace

TEST_CASE("every layer of the models has a plan in every pass and class of arithmetic") {
  for (const Layer& layer : model_layers(32))
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad})
      for (const Precision p : {Precision::fp32, Precision::tf32, Precision::bf16}) {
        CAPTURE(layer.name);
        CAPTURE(std::string(name_of(pass)));
        CAPTURE(std::string(name_of(p)));
        const ConvRequest r{bare(layer.shape), pass, math_mode(p)};
        CHECK(legal_plans(r, Layout::nhwc) + legal_plans(r, Layout::nchw) > 0);
      }
}

TEST_CASE("without TF32 no engine that uses tensor cores is left") {
  const ConvRequest r{{32, 64, 64, 32, 64, 3, 3, 1, 1, 1}, Pass::fprop, math_mode(Precision::fp32)};
  const OperationGraph graph = convolution_graph(h200(), r, Layout::nhwc);
  int with = 0, without = 0;
  for (const EngineChoice& choice : engine_choices(h200(), graph, CUDNN_HEUR_MODE_A)) {
    const bool noted = choice.notes.find("tensor_core") != std::string::npos;
    CHECK(choice.uses_tensor_cores == noted);
    ++(noted ? with : without);
  }
  CHECK(with > 0);  // cuDNN offers TF32 for fp32 tensors unless told otherwise
  CHECK(without > 0);
}

TEST_CASE("cuDNN fuses bias and activation behind a convolution") {
  const bool compiles = has_driver_library();
  for (const Precision p : {Precision::fp32, Precision::tf32, Precision::bf16})
    for (const Activation f :
         {Activation::none, Activation::relu, Activation::leaky_relu, Activation::sigmoid}) {
      const bool compiled = f == Activation::leaky_relu || f == Activation::sigmoid;
      if (compiled && !compiles) continue;
      // No engine without tensor cores has a slope below 0.
      if (p == Precision::fp32 && f == Activation::leaky_relu) continue;
      CAPTURE(std::string(name_of(p)));
      CAPTURE(static_cast<int>(f));
      const ConvRequest r{
          {32, 64, 64, 32, 64, 3, 3, 1, 1, 1}, Pass::fprop, math_mode(p), true, f, 0.2f};
      CHECK(legal_plans(r, Layout::nhwc) > 0);
    }
}

TEST_CASE("cuDNN adds a bias, activates, and goes back through relu") {
  if (!has_driver_library()) return;
  const Extent e{32, 64, 64, 32};
  const Layout l = Layout::nhwc;  // in NCHW the older API does it
  for (const Element t : {Element::f32, Element::bf16})
    for (const OperationGraph& g : {bias_activation_graph(h200(), e, t, l, Activation::relu, 0),
                                    bias_activation_graph(h200(), e, t, l, Activation::none, 0),
                                    bias_activation_graph(h200(), e, t, l, Activation::sigmoid, 0),
                                    relu_backward_graph(h200(), e, t, l, 0.2f)}) {
      const auto choices = engine_choices(h200(), g, CUDNN_HEUR_MODE_A);
      REQUIRE(!choices.empty());
      build(g, choices.front());
    }
}

TEST_CASE("plan names are stable, so that they can be remembered") {
  const ConvRequest r{
      {8, 14, 14, 128, 256, 3, 3, 1, 1, 1}, Pass::wgrad, math_mode(Precision::bf16)};
  const auto names = [&] {
    std::string all;
    const OperationGraph graph = convolution_graph(h200(), r, Layout::nhwc);
    for (const EngineChoice& choice : engine_choices(h200(), graph, CUDNN_HEUR_MODE_A))
      all += choice.name + "\n";
    return all;
  };
  CHECK(names() == names());
}

TEST_CASE("a refusal says what cuDNN says") {
  CHECK_THROWS_WITH_AS(described_device("{}"), doctest::Contains("CUDNN_STATUS_BAD_PARAM"), Error);
}

}  // namespace assay::bench
