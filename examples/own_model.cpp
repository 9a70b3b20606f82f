// The program `assay` with an additional model: a small autoencoder that the library's commands
// train, evaluate and use for prediction.
//
//   own_model train bottleneck --data builtin --class ring --code-channels 4 --out run
//   own_model evaluate run
//   own_model predict run image.png
#include "apps/assay/program.h"
#include "layers/conv.h"
#include "layers/sequential.h"
#include "models/detectors/reconstruction_detector.h"
#include "models/experiments/autoencoder_run.h"
#include "models/experiments/registry.h"

namespace {

using assay::Activation;
using assay::Conv2dConfig;
using assay::RunConfig;

/// x (N,H,W,c) in [0,1] -> code (N,H/8,W/8,code_channels) -> reconstruction (N,H,W,c).
class Bottleneck : public assay::Network {
 public:
  Bottleneck(int image_size, int channels, int code_channels) : Network(image_size, channels) {
    assay::check_image_size("bottleneck", image_size, 8, 16);
    encoder_
        .add<assay::Conv2d>(Conv2dConfig{
            .C = channels, .K = 16, .op = {.pad = 1, .activation = Activation::relu, .pool = 2}})
        .add<assay::Conv2d>(
            Conv2dConfig{.C = 16,
                         .K = code_channels,
                         .op = {.pad = 1, .activation = Activation::relu, .pool = 4}});
    decoder_
        .add<assay::Conv2d>(
            Conv2dConfig{.C = code_channels,
                         .K = 16,
                         .op = {.pad = 1, .upsample = 4, .activation = Activation::relu}})
        .add<assay::Conv2d>(
            Conv2dConfig{.C = 16,
                         .K = channels,
                         .op = {.pad = 1, .upsample = 2, .activation = Activation::sigmoid}});
    add_child("encoder", encoder_);
    add_child("decoder", decoder_);
  }

  assay::Tensor forward(const assay::Tensor& x) override { return decoder_(encoder_(x)); }

  assay::Shape describe(const std::string&, const assay::Shape& input,
                        std::vector<assay::LayerRow>& rows) const override {
    return decoder_.describe("decoder", encoder_.describe("encoder", input, rows), rows);
  }

 private:
  assay::Sequential encoder_, decoder_;
};

std::unique_ptr<assay::Network> make_bottleneck(const RunConfig& config) {
  return std::make_unique<Bottleneck>(config.image_size, config.channels(),
                                      config.own<int>("code_channels"));
}

assay::ModelSpec bottleneck() {
  assay::ModelSpec model = assay::autoencoder_model([](const RunConfig& config) {
    return std::make_unique<assay::ReconstructionDetector>(config, make_bottleneck);
  });
  model.name = "bottleneck";
  model.presets = {{.name = "bottleneck",
                    .image_size = 64,
                    .channels = 3,
                    .init = assay::Init::he,
                    .make = make_bottleneck}};
  model.options.push_back("score");  // of ReconstructionDetector
  model.own_options = {
      assay::own_option("code_channels", 8, assay::at_least{1}, "channels of the code")};
  model.report.introduction = "a small autoencoder, which learns from good images alone";
  return model;
}

}  // namespace

int main(int argc, char** argv) {
  assay::register_model(bottleneck());
  return assay::run_program(argc, argv);
}
