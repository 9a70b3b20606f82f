// Small images of floats with any number of channels, and what the detector does to them.
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

/// What stands beyond the edge: the edge's own value, or the image mirrored with the edge twice
/// (d c b a | a b c d | d c b a).
enum class Edge : unsigned char { repeat, mirror };

/// Convolved with the symmetric kernel along both sides.
Planes blur(const Planes& x, const std::vector<float>& kernel, Edge edge);

/// Mean of each 2 x 2; an odd last row or column is dropped.
Planes halve(const Planes& x);

}  // namespace assay
