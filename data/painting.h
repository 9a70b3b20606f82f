// Tools to paint the built-in images: colours, soft edges, distances to shapes, surface noise,
// light. Coordinates: the image spans [-1,1] x [-1,1], x right, y down.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "data/portable_math.h"
#include "kernels/runtime/philox.h"

namespace assay {

struct Vec2 {
  double x = 0, y = 0;
  friend Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
  friend Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
  friend Vec2 operator*(double k, Vec2 a) { return {k * a.x, k * a.y}; }
};
inline double dot(Vec2 a, Vec2 b) {
  return a.x * b.x + a.y * b.y;
}
inline double length(Vec2 a) {
  return std::sqrt(dot(a, a));
}
inline Vec2 unit(double turns) {
  return {cos_turns(turns), sin_turns(turns)};
}
/// Rotates `a` by an angle, or back; `cs` = unit(angle).
inline Vec2 turn(Vec2 a, Vec2 cs) {
  return {cs.x * a.x - cs.y * a.y, cs.y * a.x + cs.x * a.y};
}
inline Vec2 turn_back(Vec2 a, Vec2 cs) {
  return turn(a, {cs.x, -cs.y});
}

/// 0 black, 1 white.
struct Rgb {
  double r = 0, g = 0, b = 0;
  friend Rgb operator+(Rgb u, Rgb v) { return {u.r + v.r, u.g + v.g, u.b + v.b}; }
  friend Rgb operator*(double k, Rgb u) { return {k * u.r, k * u.g, k * u.b}; }
  friend Rgb operator*(Rgb u, Rgb v) { return {u.r * v.r, u.g * v.g, u.b * v.b}; }
};
inline double mix(double a, double b, double t) {
  return a + (b - a) * t;
}
inline Rgb mix(Rgb a, Rgb b, double t) {
  return (1 - t) * a + t * b;
}
inline constexpr Rgb kWhite = {1, 1, 1};

/// 0 below `low`, 1 above `high`, smooth between.
inline double smooth_step(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}
/// How much of a shape covers a point at this signed distance (negative inside); `soft` is the
/// width of the edge.
inline double coverage(double distance, double soft) {
  return 1 - smooth_step(-soft / 2, soft / 2, distance);
}

/// Signed distances to shapes around the origin, negative inside.
inline double to_disc(Vec2 p, double radius) {
  return length(p) - radius;
}
inline double to_box(Vec2 p, Vec2 half, double round) {
  const Vec2 q = {std::abs(p.x) - half.x + round, std::abs(p.y) - half.y + round};
  return length({std::max(q.x, 0.0), std::max(q.y, 0.0)}) + std::min(std::max(q.x, q.y), 0.0) -
         round;
}
inline double to_segment(Vec2 p, Vec2 a, Vec2 b) {
  const Vec2 ab = b - a;
  const double t = std::clamp(dot(p - a, ab) / dot(ab, ab), 0.0, 1.0);
  return length(p - a - t * ab);
}

/// Random values on a wrapping 64 x 64 lattice, smooth between: value noise, in [-1,1].
class Noise {
 public:
  explicit Noise(RandomSequence& random) {
    for (float& v : lattice_) v = 2 * random.uniform() - 1;
  }
  double at(double x, double y) const {
    const double fx = std::floor(x), fy = std::floor(y);
    const auto ix = static_cast<int64_t>(fx), iy = static_cast<int64_t>(fy);
    const double tx = ease(x - fx), ty = ease(y - fy);
    return mix(mix(cell(ix, iy), cell(ix + 1, iy), tx),
               mix(cell(ix, iy + 1), cell(ix + 1, iy + 1), tx), ty);
  }
  double at(Vec2 p) const { return at(p.x, p.y); }
  /// Three octaves, in [-1,1].
  double layered(Vec2 p) const {
    return (4 * at(p) + 2 * at(2.03 * p + Vec2{17.3, 5.1}) + at(4.01 * p + Vec2{3.7, 41.9})) / 7;
  }
  /// The lattice value itself.
  double cell(int64_t x, int64_t y) const { return lattice_[(y & 63) * 64 + (x & 63)]; }

 private:
  static double ease(double t) { return t * t * (3 - 2 * t); }
  std::array<float, 64 * 64> lattice_;
};

/// A distant lamp; the direction towards it has length 1 and z towards the camera.
struct Lamp {
  double x = 0, y = 0, z = 1;

  /// Lambert's law for a surface of slope `lean` (0 = faces the camera).
  double diffuse(Vec2 lean) const {
    return std::max(0.0, (x * lean.x + y * lean.y + z) / std::sqrt(1 + dot(lean, lean)));
  }
  /// Blinn and Phong's highlight with exponent 2^sharpness.
  double highlight(Vec2 lean, int sharpness) const {
    const double hx = x, hy = y, hz = z + 1;  // half way to the camera
    double h = std::max(0.0, (hx * lean.x + hy * lean.y + hz) /
                                 std::sqrt((hx * hx + hy * hy + hz * hz) * (1 + dot(lean, lean))));
    for (int i = 0; i < sharpness; ++i) h *= h;
    return h;
  }
};

}  // namespace assay
