// The five kinds of objects of the built-in data set, as functions from a point to a colour.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/painting.h"

namespace assay {

/// What is wrong with an object. `missing` and `misplaced` change the object itself, so its own
/// `paint` handles them; scratch, blob and stain are laid over any surface.
enum class Flaw { none, scratch, blob, missing, stain, misplaced };
const char* name_of(Flaw flaw);

/// What varies between images of an object: light, pose, flaw.
struct Scene {
  Lamp lamp;
  double soft = 0;  ///< width of a sharp edge: about a pixel and a half
  Vec2 rotation;    ///< unit(angle) of the object
  Vec2 shift;       ///< of the object
  Flaw flaw = Flaw::none;
  uint32_t choice = 0;  ///< which part is missing or misplaced
  double amount = 0;    ///< in [0,1): scales the size or displacement of the flaw
};

/// The colour at a point of the image, and how much of it is object.
struct SurfacePoint {
  Rgb color;
  double on_object = 0;  ///< 1 on the object, 0 on the ground, between at its edge
};
using Paint = std::function<SurfacePoint(Vec2)>;

struct ObjectKind {
  std::string_view name;
  std::vector<Flaw> flaws;
  double max_turn;   ///< rotation in turns, either way
  double max_shift;  ///< in image coordinates, either way
  Rgb blob;          ///< colour of dirt that is visible on it
  /// A point on the object's surface, in its own coordinates, from two numbers in [0,1).
  Vec2 (*spot)(double u, double v);
  /// Samples the details of one specimen from `random` and returns its paint function.
  Paint (*paint)(const Scene& scene, RandomSequence& random);
};

const std::vector<ObjectKind>& object_kinds();

}  // namespace assay
