// Images of floats with any number of channels, with blur and halving.
#pragma once

#include <vector>

namespace assay {

/// values (height,width,channels).
struct Planes {
  std::vector<float> values;
  int height = 0, width = 0, channels = 0;
};

/// Weights of a Gaussian at -radius ... radius, their sum 1.
std::vector<float> gaussian(double sigma, int radius);

/// Padding beyond the edge: the edge value repeated, or the image mirrored with the edge twice
/// (d c b a | a b c d | d c b a).
enum class Edge : unsigned char { repeat, mirror };

/// Convolves x with the symmetric kernel along both axes.
Planes blur(const Planes& x, const std::vector<float>& kernel, Edge edge);

/// Averages each 2 x 2 block; an odd last row or column is dropped.
Planes halve(const Planes& x);

}  // namespace assay
