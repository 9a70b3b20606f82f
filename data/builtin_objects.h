// The five products of the built-in data set, as functions from a point to a colour.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/painting.h"

namespace assay {

/// What is wrong with a product. Scratch, blob and stain lie on any surface; a missing or misplaced
/// part is another product.
enum class Flaw { none, scratch, blob, missing, stain, misplaced };
const char* name_of(Flaw flaw);

/// One image's circumstances.
struct Scene {
  Lamp lamp;
  double soft = 0;  ///< width of a sharp edge: about a pixel and a half
  Vec2 rotation;    ///< unit(angle) of the object
  Vec2 shift;       ///< of the object
  Flaw flaw = Flaw::none;
  uint32_t choice = 0;  ///< which part is missing or misplaced
  double amount = 0;    ///< in [0,1): how far
};

/// What a point of the image shows.
struct Sight {
  Rgb color;
  double product = 0;  ///< 1 on the product, 0 on what it lies on
};
using Paint = std::function<Sight(Vec2)>;

struct Product {
  std::string_view name;
  std::vector<Flaw> flaws;
  double max_turn;   ///< rotation in turns, either way
  double max_shift;  ///< in image coordinates, either way
  Rgb blob;          ///< colour of dirt that is visible on it
  /// A point on the object's surface, in its own coordinates, from two numbers in [0,1).
  Vec2 (*spot)(double u, double v);
  /// Draws what differs from copy to copy from `random`, then paints.
  Paint (*paint)(const Scene& scene, RandomSequence& random);
};

const std::vector<Product>& products();

}  // namespace assay
