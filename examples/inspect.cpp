// Inspects images with a run of `assay train` and says which are defective; writes heat maps.
//
//   inspect RUN HEAT_MAPS IMAGE...
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "data/image_io.h"
#include "models/experiments/predictor.h"

int main(int argc, char** argv) try {
  if (argc < 4) return std::fprintf(stderr, "usage: inspect RUN HEAT_MAPS IMAGE...\n"), 2;
  const assay::Predictor predictor(argv[1]);
  std::filesystem::create_directories(argv[2]);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 3; i < argc; ++i) {
    // A camera's buffer does as well: 8 bits a value, 1, 3 or 4 channels, any stride.
    const assay::Image image = assay::read_image(argv[i]);
    const assay::PixelView pixels{.data = image.pixels.data(),
                                  .width = image.width,
                                  .height = image.height,
                                  .channels = image.channels};
    const assay::ImagePrediction prediction = predictor.predict(pixels);
    std::printf("%s: %s, score %.3f\n", argv[i], prediction.defective ? "defective" : "good",
                prediction.score);
    if (!prediction.heat.empty())
      assay::write_png(std::filesystem::path(argv[2]) / (std::to_string(i - 3) + ".png"),
                       predictor.heat_map(pixels, prediction));
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::printf("%d images, %.0f a second\n", argc - 3, (argc - 3) / time.count());
  return 0;
} catch (const std::exception& error) {
  return std::fprintf(stderr, "inspect: %s\n", error.what()), 1;
}
