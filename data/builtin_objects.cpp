#include "data/builtin_objects.h"

#include <memory>

namespace assay {
namespace {

Vec2 to_object(const Scene& scene, Vec2 p) {
  return turn_back(p - scene.shift, scene.rotation);
}
/// Rotates a surface slope from object to image coordinates.
Vec2 to_image(const Scene& scene, Vec2 lean) {
  return turn(lean, scene.rotation);
}

/// Share of the light that reaches the ground at this distance from an object. Callers measure the
/// distance at a point moved towards the lamp, since the shadow falls away from it.
double shadow(double distance, double width, double depth) {
  return 1 - depth * (1 - smooth_step(-width, width, distance));
}

// ---- ring: a turned steel flange with six holes on a dark mat ----------------------------------

constexpr double kRingOuter = 0.72, kRingInner = 0.34, kRingHoles = 0.53, kRingHole = 0.085;
constexpr uint32_t kRingHoleCount = 6;

double to_ring(Vec2 q) {
  const double r = length(q);
  return std::max(r - kRingOuter, kRingInner - r);
}

using Holes = std::vector<Vec2>;  // centers

double to_holes(Vec2 q, const Holes& holes) {
  double nearest = 9;
  for (const Vec2& center : holes) nearest = std::min(nearest, dot(q - center, q - center));
  return std::sqrt(nearest) - kRingHole;
}

Holes drill(const Scene& scene) {
  Holes holes;
  for (uint32_t i = 0; i < kRingHoleCount; ++i) {
    const bool wrong = i == scene.choice % kRingHoleCount;
    if (wrong && scene.flaw == Flaw::missing) continue;
    const bool moved = wrong && scene.flaw == Flaw::misplaced;
    const double angle =
        static_cast<double>(i) / kRingHoleCount + (moved ? 0.060 + 0.015 * scene.amount : 0.0);
    holes.push_back(kRingHoles * unit(angle));
  }
  return holes;
}

Paint paint_ring(const Scene& scene, RandomSequence& random) {
  const auto noise = std::make_shared<Noise>(random);
  const Holes holes = drill(scene);
  return [=](Vec2 p) {
    const Vec2 q = to_object(scene, p);
    const Vec2 towards_lamp = turn_back({scene.lamp.x, scene.lamp.y}, scene.rotation);
    // The mat, woven, with the ring's shadow on it.
    const double weave = 0.02 * sin_turns(26 * p.x) * sin_turns(26 * p.y);
    const double mat = 0.17 + weave + 0.035 * noise->layered(9 * p);
    Rgb color = (mat * shadow(to_ring(q + 0.10 * towards_lamp), 0.09, 0.65)) * Rgb{0.85, 0.95, 1.1};
    const double body = std::max(to_ring(q), -to_holes(q, holes));
    // Lathe marks run around; the face shines where it is seen across them towards the lamp.
    const double r = length(q);
    const Vec2 outward = (1 / std::max(r, 1e-6)) * q;
    const double marks =
        noise->at(150 * r, 7.5) + 0.6 * noise->at(60 * r + 3 * noise->at(4 * q), 31.5);
    const double bevel = smooth_step(-0.045, 0, to_ring(q)) -
                         smooth_step(-0.03, 0, body) * (body > to_ring(q) + 1e-9 ? 0.8 : 0.0);
    const double side = r > (kRingOuter + kRingInner) / 2 ? 1 : -1;
    const Vec2 lean = to_image(scene, (side * 1.1 * bevel + 0.035 * marks) * outward);
    const double across = dot(outward, towards_lamp);
    const double sheen = across * across / (dot(towards_lamp, towards_lamp) + 1e-9);
    const double light = 0.20 + 0.38 * scene.lamp.diffuse(lean) + 0.22 * sheen * sheen +
                         0.35 * scene.lamp.highlight(lean, 4) + 0.025 * marks;
    const double here = coverage(body, scene.soft);
    return SurfacePoint{mix(color, light * Rgb{0.93, 0.96, 1.0}, here), here};
  };
}

Vec2 spot_ring(double u, double v) {
  return mix(0.42, 0.64, v) * unit(u);
}

// ---- brush: a brush head seen from above, four by nine tufts -----------------------------------

constexpr Vec2 kBrushHalf = {0.40, 0.84};
constexpr int kTuftColumns = 4, kTuftRows = 9;
constexpr double kTuftRadius = 0.078;

struct Tufts {
  std::array<Vec2, kTuftColumns * kTuftRows> offset;
  int missing = -1;
};

Vec2 tuft_center(int column, int row) {
  return {(column - (kTuftColumns - 1) / 2.0) * 0.185, (row - (kTuftRows - 1) / 2.0) * 0.178};
}

Paint paint_brush(const Scene& scene, RandomSequence& random) {
  const auto noise = std::make_shared<Noise>(random);
  const auto tufts = std::make_shared<Tufts>();
  for (Vec2& offset : tufts->offset) {
    offset = {0.008 * (2.0 * random.uniform() - 1), 0.008 * (2.0 * random.uniform() - 1)};
  }
  const int part = static_cast<int>(scene.choice % (kTuftColumns * kTuftRows));
  if (scene.flaw == Flaw::missing) tufts->missing = part;
  if (scene.flaw == Flaw::misplaced) {  // bent aside, over the gap to its neighbours
    tufts->offset[part] = (0.095 + 0.03 * scene.amount) * unit(0.1 + 0.8 * scene.amount);
  }
  return [=](Vec2 p) {
    const Vec2 q = to_object(scene, p);
    const Vec2 towards_lamp = turn_back({scene.lamp.x, scene.lamp.y}, scene.rotation);
    // A pale table.
    const double table = 0.70 + 0.03 * noise->layered(3 * p) + 0.012 * noise->at(70 * p);
    const double head = to_box(q, kBrushHalf, 0.30);
    Rgb color = (table * shadow(to_box(q + 0.13 * towards_lamp, kBrushHalf, 0.30), 0.12, 0.5)) *
                Rgb{0.98, 0.97, 0.92};
    // The plastic head: flat, rounded at the rim.
    const double rim = smooth_step(-0.10, 0, head);
    const Vec2 outward = (1 / std::max(length(q), 1e-6)) * q;
    const Vec2 rim_lean = to_image(scene, 1.2 * rim * outward);
    const double plastic = 0.30 + 0.62 * scene.lamp.diffuse(rim_lean);
    const double gloss = 0.35 * scene.lamp.highlight(rim_lean, 5);
    color =
        mix(color, plastic * Rgb{0.25, 0.52, 0.62} + gloss * kWhite, coverage(head, scene.soft));
    if (head > 0.1) return SurfacePoint{color, 0};
    // Each tuft's hole and shadow, then the tuft: a dome of fibres.
    for (int row = 0; row < kTuftRows; ++row) {
      for (int column = 0; column < kTuftColumns; ++column) {
        const int i = row * kTuftColumns + column;
        const Vec2 center = tuft_center(column, row);
        if (std::abs(q.x - center.x) > 0.3 || std::abs(q.y - center.y) > 0.3) continue;
        color = (1 - 0.55 * coverage(to_disc(q - center, 0.06), 0.03)) * color;
        if (i == tufts->missing) continue;
        const Vec2 from = q - center - tufts->offset[i];
        color = shadow(to_disc(from + 0.05 * towards_lamp, kTuftRadius), 0.05, 0.45) * color;
      }
    }
    for (int row = 0; row < kTuftRows; ++row) {
      for (int column = 0; column < kTuftColumns; ++column) {
        const int i = row * kTuftColumns + column;
        const Vec2 from = q - tuft_center(column, row) - tufts->offset[i];
        if (i == tufts->missing || dot(from, from) > 0.02) continue;
        const double fibres = noise->at(55 * q) + 0.5 * noise->at(28 * q + Vec2{9.5, 2.5});
        const double distance = to_disc(from, kTuftRadius) + 0.006 * noise->at(40 * q);
        const Vec2 lean = to_image(scene, 6.5 * from + Vec2{0.10 * fibres, 0.10 * fibres});
        const double light = 0.30 + 0.62 * scene.lamp.diffuse(lean) + 0.10 * fibres;
        const Rgb fibre = (row + column) % 2 == 0 ? Rgb{0.96, 0.95, 0.90} : Rgb{0.90, 0.42, 0.28};
        color = mix(color, light * fibre, coverage(distance, 2 * scene.soft));
      }
    }
    return SurfacePoint{color, coverage(head, scene.soft)};
  };
}

Vec2 spot_brush(double u, double v) {
  return {mix(-0.26, 0.26, u), mix(-0.66, 0.66, v)};
}

// ---- chip: an integrated circuit on its board --------------------------------------------------

constexpr Vec2 kChipHalf = {0.42, 0.66};
constexpr int kPins = 8;

constexpr double kPinPitch = 0.158;

/// The row of pins that a point is nearest to.
int nearest_pin(double y) {
  return std::clamp(static_cast<int>(std::floor(y / kPinPitch + kPins / 2.0)), 0, kPins - 1);
}
double pin_y(int i) {
  return (i - (kPins - 1) / 2.0) * kPinPitch;
}

struct Glyph {
  char letter;
  std::array<uint8_t, 7> rows;  // 5 dots each, the left one highest
};
constexpr std::array<Glyph, 7> kGlyphs = {{
    {'A', {0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001}},
    {'S', {0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110}},
    {'Y', {0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100}},
    {'0', {0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110}},
    {'1', {0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110}},
    {'2', {0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111}},
    {'7', {0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000}},
}};
constexpr std::array<std::string_view, 2> kMarking = {"ASSAY", "2107"};

/// True where the marking is printed.
bool marked(Vec2 q) {
  constexpr double kDot = 0.0195;
  const double column = (q.x + 0.285) / kDot, line = (q.y + 0.14) / kDot;
  if (column < 0 || line < 0) return false;
  const size_t row = static_cast<size_t>(line) / 11, y = static_cast<size_t>(line) % 11;
  const size_t place = static_cast<size_t>(column) / 6, x = static_cast<size_t>(column) % 6;
  if (row >= kMarking.size() || place >= kMarking[row].size() || y >= 7 || x >= 5) return false;
  const auto glyph = std::find_if(kGlyphs.begin(), kGlyphs.end(),
                                  [&](const Glyph& g) { return g.letter == kMarking[row][place]; });
  return glyph->rows[y] >> (4 - x) & 1;
}

Paint paint_chip(const Scene& scene, RandomSequence& random) {
  const auto noise = std::make_shared<Noise>(random);
  const int part = static_cast<int>(scene.choice % (2 * kPins));
  const int missing = scene.flaw == Flaw::missing ? part : -1;
  // A misplaced chip is soldered askew: its board stays where it is.
  Scene body = scene;
  if (scene.flaw == Flaw::misplaced) {
    const double angle = (0.014 + 0.012 * scene.amount) * (scene.choice % 2 == 0 ? 1 : -1);
    body.rotation = turn(scene.rotation, unit(angle));
    body.shift = scene.shift + (0.03 + 0.03 * scene.amount) * unit(scene.amount * 7);
  }
  return [=](Vec2 p) {
    const Vec2 b = to_object(scene, p);  // on the board
    const Vec2 q = to_object(body, p);   // on the chip
    const Vec2 towards_lamp = turn_back({scene.lamp.x, scene.lamp.y}, body.rotation);
    Rgb color = (0.9 + 0.10 * noise->layered(12 * p)) * Rgb{0.07, 0.30, 0.17};
    const Vec2 from_pin = {std::abs(b.x), b.y - pin_y(nearest_pin(b.y))};
    const double track = std::max(std::abs(from_pin.y) - 0.016, 0.62 - from_pin.x);
    color = mix(color, Rgb{0.16, 0.47, 0.27}, coverage(track, scene.soft));
    const double pad = to_box(from_pin - Vec2{0.60, 0}, {0.11, 0.052}, 0.02);
    color = mix(color, Rgb{0.62, 0.60, 0.50}, coverage(pad, scene.soft));
    const double via = to_disc(from_pin - Vec2{0.88, 0}, 0.035);
    color = mix(color, Rgb{0.60, 0.55, 0.36}, coverage(via, scene.soft));
    color = mix(color, Rgb{0.04, 0.06, 0.05}, coverage(via + 0.02, scene.soft));
    color = shadow(to_box(q + 0.12 * towards_lamp, kChipHalf, 0.04), 0.08, 0.6) * color;
    const double side = q.x < 0 ? -1 : 1;
    const int pin = nearest_pin(q.y);
    const Vec2 from_leg = {q.x - side * 0.50, q.y - pin_y(pin)};
    const double leg = to_box(from_leg, {0.13, 0.036}, 0.012);
    if (leg < scene.soft && pin + (side < 0 ? 0 : kPins) != missing) {  // round across, bent down
      const double down = side * 1.5 * smooth_step(0.02, 0.10, side * from_leg.x);
      const Vec2 lean = to_image(body, {down, 16 * from_leg.y});
      const double light =
          0.22 + 0.50 * scene.lamp.diffuse(lean) + 0.4 * scene.lamp.highlight(lean, 4);
      color = mix(color, light * Rgb{0.95, 0.95, 0.98}, coverage(leg, scene.soft));
    }
    const double package = to_box(q, kChipHalf, 0.03);
    const double bevel = smooth_step(-0.05, -0.02, package);
    const Vec2 outward = std::abs(q.x) / kChipHalf.x > std::abs(q.y) / kChipHalf.y
                             ? Vec2{q.x > 0 ? 1.0 : -1.0, 0}
                             : Vec2{0, q.y > 0 ? 1.0 : -1.0};
    const Vec2 lean = to_image(body, 0.9 * bevel * outward);
    const double grain = noise->at(80 * q) + 0.5 * noise->layered(6 * q);
    Rgb epoxy = (0.05 + 0.16 * scene.lamp.diffuse(lean) + 0.018 * grain) * Rgb{1.0, 1.0, 1.06};
    if (marked(q)) epoxy = epoxy + 0.36 * Rgb{1.0, 1.0, 0.94};
    const double dimple = to_disc(q - Vec2{-0.29, -0.52}, 0.055);
    epoxy = (1 - 0.55 * coverage(dimple, 2 * scene.soft)) * epoxy +
            (0.10 * coverage(std::abs(dimple) - 0.006, scene.soft)) * kWhite;
    const double here = coverage(package, scene.soft);
    return SurfacePoint{mix(color, epoxy, here), here};
  };
}

Vec2 spot_chip(double u, double v) {
  return {mix(-0.28, 0.28, u), mix(-0.50, 0.50, v)};
}

// ---- leather: pebbled grain that fills the image ---------------------------------------------

/// Distance to the border between the two nearest grains of a jittered grid (Worley 1996, F2 - F1).
double grain_border(const Noise& noise, Vec2 p) {
  const auto cx = static_cast<int64_t>(std::floor(p.x)), cy = static_cast<int64_t>(std::floor(p.y));
  double first = 9, second = 9;
  for (int64_t y = cy - 1; y <= cy + 1; ++y) {
    for (int64_t x = cx - 1; x <= cx + 1; ++x) {
      const Vec2 seed = {x + 0.5 + 0.42 * noise.cell(x, y),
                         y + 0.5 + 0.42 * noise.cell(x + 29, y + 13)};
      const double d = length(p - seed);
      second = std::min(second, std::max(first, d));
      first = std::min(first, d);
    }
  }
  return second - first;
}

Vec2 spot_leather(double u, double v) {
  return {mix(-0.5, 0.5, u), mix(-0.5, 0.5, v)};
}

Paint paint_leather(const Scene& scene, RandomSequence& random) {
  const auto noise = std::make_shared<Noise>(random);
  const Vec2 hole = spot_leather(scene.amount, (scene.choice % 97) / 97.0);
  const double hole_radius = 0.09 + 0.05 * ((scene.choice >> 8) % 16) / 16.0;
  return [=](Vec2 p) {
    const Vec2 q = to_object(scene, p);
    const auto height = [&](Vec2 at) {
      const Vec2 warped =
          13 * at + 0.55 * Vec2{noise->at(5 * at), noise->at(5 * at + Vec2{31.7, 11.3})};
      const double border = grain_border(*noise, warped);
      return smooth_step(0.0, 0.38, border) + 0.10 * noise->at(60 * at);
    };
    constexpr double kStep = 0.006;
    const double h = height(q);
    const Vec2 slope = {(height(q + Vec2{kStep, 0}) - h) / kStep,
                        (height(q + Vec2{0, kStep}) - h) / kStep};
    const Vec2 lean = to_image(scene, -0.026 * slope);
    const double light = 0.30 + 0.55 * scene.lamp.diffuse(lean) * mix(0.80, 1.0, h) +
                         0.10 * scene.lamp.highlight(lean, 3);
    const double tint = 1 + 0.08 * noise->layered(2.2 * q);
    Rgb color = (light * tint) * Rgb{0.62, 0.40, 0.26};
    if (scene.flaw == Flaw::missing) {  // a punched hole: dark, with a torn pale rim
      const double d = to_disc(q - hole, hole_radius) + 0.02 * noise->at(14 * q);
      color = mix(color, Rgb{0.78, 0.62, 0.44}, coverage(d - 0.02, 0.03));
      color = mix(color, Rgb{0.05, 0.04, 0.04}, coverage(d, 0.02));
    }
    return SurfacePoint{color, 1};
  };
}

// ---- screw: a wood screw on a light table, at any angle --------------------------------------

constexpr double kScrewHead = -0.72, kScrewNeck = -0.52, kScrewThread = -0.22, kScrewTip = 0.76;

/// Half the height of the screw at x: head, smooth shank, thread, tip.
double screw_radius(double x, double end) {
  if (x < kScrewHead || x > end) return 0;
  if (x < kScrewNeck) return mix(0.225, 0.095, smooth_step(kScrewHead + 0.05, kScrewNeck, x));
  const double body = x < kScrewThread ? 0.088 : 0.082;
  return body * std::min(1.0, std::max(0.0, (kScrewTip - x) / 0.20));
}

Paint paint_screw(const Scene& scene, RandomSequence& random) {
  const auto noise = std::make_shared<Noise>(random);
  const bool cut = scene.flaw == Flaw::missing && scene.choice % 2 == 0;
  const bool bare = scene.flaw == Flaw::missing && !cut;  // a stretch without thread
  const double end = cut ? 0.36 + 0.12 * scene.amount : kScrewTip;
  const double bare_at = mix(-0.05, 0.25, scene.amount);
  const double bend = scene.flaw == Flaw::misplaced
                          ? (0.20 + 0.10 * scene.amount) * (scene.choice % 2 == 0 ? 1 : -1)
                          : 0.0;
  return [=](Vec2 p) {
    const auto on_screw = [&](Vec2 at) {
      Vec2 q = to_object(scene, at);
      const double along = std::max(0.0, q.x + 0.3);
      q.y -= bend * along * along;
      return q;
    };
    const auto distance = [&](Vec2 q) {
      const double turns = 15.5 * q.x + 1.1 * q.y;
      const double ridge = std::abs(2 * (turns - std::floor(turns)) - 1);
      const bool threaded = q.x > kScrewThread && !(bare && std::abs(q.x - bare_at) < 0.13);
      const double radius = screw_radius(q.x, end);
      const double ends = std::max(kScrewHead - q.x, q.x - end);
      return std::max(std::abs(q.y) - radius - (threaded && radius > 0 ? 0.034 * ridge : 0.0),
                      ends);
    };
    const double table = 0.74 + 0.03 * noise->layered(3 * p) + 0.015 * noise->at(75 * p);
    const Vec2 towards_lamp = {scene.lamp.x, scene.lamp.y};
    Rgb color = (table * shadow(distance(on_screw(p + 0.12 * towards_lamp)), 0.07, 0.45)) *
                Rgb{0.97, 0.98, 1.0};
    const Vec2 q = on_screw(p);
    const double d = distance(q);
    if (d > scene.soft) return SurfacePoint{color, 0};
    const double turns = 15.5 * q.x + 1.1 * q.y;
    const double phase = turns - std::floor(turns);
    const bool threaded = q.x > kScrewThread && !(bare && std::abs(q.x - bare_at) < 0.13);
    const double radius = std::max(screw_radius(q.x, end) + (threaded ? 0.02 : 0), 0.03);
    const double round = std::clamp(q.y / radius, -0.95, 0.95);
    double along = 0.05 * noise->at(90 * q.x, 3.5);
    if (threaded) along = phase < 0.5 ? 0.9 : -0.9;
    if (q.x < kScrewNeck) along = -0.8 * smooth_step(kScrewHead + 0.05, kScrewNeck, q.x);
    const Vec2 lean = to_image(scene, {along, round / std::sqrt(1 - round * round)});
    const double light = 0.10 + 0.48 * scene.lamp.diffuse(lean) +
                         0.55 * scene.lamp.highlight(lean, 4) + 0.02 * noise->at(40 * q);
    const double here = coverage(d, scene.soft);
    return SurfacePoint{mix(color, light * Rgb{0.95, 0.86, 0.62}, here), here};
  };
}

Vec2 spot_screw(double u, double v) {
  return {mix(-0.55, 0.45, u), mix(-0.03, 0.03, v)};
}

}  // namespace

const char* name_of(Flaw flaw) {
  switch (flaw) {
    case Flaw::none:
      return "good";
    case Flaw::scratch:
      return "scratch";
    case Flaw::blob:
      return "blob";
    case Flaw::missing:
      return "missing";
    case Flaw::stain:
      return "stain";
    case Flaw::misplaced:
      return "misplaced";
  }
  return "";
}

const std::vector<ObjectKind>& object_kinds() {
  using enum Flaw;
  static const std::vector<ObjectKind> all = {
      {.name = "brush",
       .flaws = {blob, missing, stain, misplaced},
       .max_turn = 0.006,
       .max_shift = 0.02,
       .blob = {0.10, 0.10, 0.09},
       .spot = spot_brush,
       .paint = paint_brush},
      {.name = "chip",
       .flaws = {scratch, blob, missing, misplaced},
       .max_turn = 0.004,
       .max_shift = 0.02,
       .blob = {0.74, 0.70, 0.62},
       .spot = spot_chip,
       .paint = paint_chip},
      {.name = "leather",
       .flaws = {scratch, blob, missing, stain},
       .max_turn = 0.5,
       .max_shift = 0.1,
       .blob = {0.86, 0.85, 0.78},
       .spot = spot_leather,
       .paint = paint_leather},
      {.name = "ring",
       .flaws = {scratch, blob, missing, stain, misplaced},
       .max_turn = 0.006,
       .max_shift = 0.02,
       .blob = {0.62, 0.36, 0.12},
       .spot = spot_ring,
       .paint = paint_ring},
      {.name = "screw",
       .flaws = {scratch, missing, stain, misplaced},
       .max_turn = 0.5,
       .max_shift = 0.04,
       .blob = {0.3, 0.2, 0.1},
       .spot = spot_screw,
       .paint = paint_screw},
  };
  return all;
}

}  // namespace assay
