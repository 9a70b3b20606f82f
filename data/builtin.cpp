#include "data/builtin.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "data/builtin_objects.h"
#include "data/file.h"
#include "data/image_io.h"
#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/parallel.h"

namespace assay {
namespace {

constexpr int kFirstTestGood = kBuiltinTrainGood;
constexpr int kFirstDefective = kBuiltinTrainGood + kBuiltinTestGood;
constexpr int kImages = kFirstDefective + kBuiltinDefective;

/// A pixel belongs to the mask if the flaw changed it by more than this (8-bit levels, before the
/// camera's noise).
constexpr int kVisibleChange = 10;

/// Replaces each pixel by the highest (or lowest) value in the square window of 2 r + 1 pixels
/// around it, in two separable passes.
Image extreme_in_window(const Image& mask, int r, bool highest) {
  Image rows = mask, out = mask;
  const auto pick = [&](uint8_t a, uint8_t b) { return highest ? std::max(a, b) : std::min(a, b); };
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      for (int k = std::max(x - r, 0); k <= std::min(x + r, mask.width - 1); ++k) {
        *rows.at(y, x) = pick(*rows.at(y, x), *mask.at(y, k));
      }
    }
  }
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      *out.at(y, x) = *rows.at(y, x);
      for (int k = std::max(y - r, 0); k <= std::min(y + r, mask.height - 1); ++k) {
        *out.at(y, x) = pick(*out.at(y, x), *rows.at(k, x));
      }
    }
  }
  return out;
}

/// Morphological closing: fills holes where the flaw has the colour of the surface below it.
Image closed(const Image& mask) {
  const int r = mask.width / 100 + 1;
  return extreme_in_window(extreme_in_window(mask, r, true), r, false);
}

/// Scratch, blob or stain, laid over a surface.
struct Overlay {
  Flaw flaw = Flaw::none;
  Vec2 at, direction;
  double size = 0, bow = 0;
  Rgb color;
  Lamp lamp;
  double soft = 0;
  std::shared_ptr<const Noise> noise;

  /// Signed distance to a circle whose outline is disturbed by noise.
  double ragged(Vec2 p, double radius, double raggedness, double frequency) const {
    return to_disc(p, radius) + raggedness * radius * noise->layered(frequency / radius * p);
  }

  Rgb over(const SurfacePoint& point, Vec2 p) const {
    const Rgb under = point.color;
    const Vec2 from = turn_back(p - at, direction);  // x along, y across
    if (flaw == Flaw::scratch) {
      const double along = from.x / size, across = from.y - bow * (1 - along * along);
      const double width = 0.026 * std::sqrt(std::max(0.0, 1 - along * along)) *
                           (1 + 0.4 * noise->at(14 * along, 0.5));
      const double groove = std::abs(along) < 1 ? coverage(std::abs(across) - width, soft) : 0.0;
      // The far wall of the groove catches the light, the near one is dark.
      const double lit = smooth_step(-0.8 * width, 0.4 * width, across);
      return mix(under, mix(0.35 * under, 0.35 * under + Rgb{0.55, 0.55, 0.52}, lit),
                 groove * point.on_object);
    }
    if (flaw == Flaw::blob) {
      const double d = ragged(from, size, 0.45, 0.9);
      const double height = smooth_step(0, 0.6 * size, -d);
      const Vec2 lean = turn((1.6 * (1 - height) / size) * from, direction);
      const Rgb dirt =
          (0.35 + 0.65 * lamp.diffuse(lean)) * color + (0.6 * lamp.highlight(lean, 5)) * kWhite;
      return mix(under, dirt, coverage(d, 2 * soft));
    }
    const double d = ragged(from, size, 0.5, 0.7);
    const double rim =
        coverage(std::abs(d + 0.02) - 0.012, 0.04);  // the dark edge of the dried stain
    const double wet = coverage(d, 0.08 * (1 + size));
    return under * mix(kWhite, Rgb{0.52, 0.40, 0.27}, std::min(1.0, 0.85 * wet + 0.25 * rim));
  }
};

Overlay draw_overlay(const ObjectKind& object, const Scene& scene, RandomSequence& random) {
  Overlay overlay;
  overlay.noise = std::make_shared<Noise>(random);
  // One statement each: the order in which call arguments are evaluated is unspecified.
  const double across = random.uniform(), along = random.uniform();
  const Vec2 spot = object.spot(along, across);
  overlay.flaw = scene.flaw;
  overlay.at = turn(spot, scene.rotation) + scene.shift;
  overlay.direction = unit(random.uniform());
  const double u = random.uniform();
  overlay.bow = 0.08 * (2.0 * random.uniform() - 1);
  overlay.color = object.blob;
  overlay.lamp = scene.lamp;
  overlay.soft = scene.soft;
  switch (scene.flaw) {
    case Flaw::scratch:
      overlay.size = mix(0.24, 0.40, u);
      break;
    case Flaw::blob:
      overlay.size = mix(0.10, 0.17, u);
      break;
    default:
      overlay.size = mix(0.16, 0.28, u);
  }
  return overlay;
}

bool lies_on_surface(Flaw flaw) {
  return flaw == Flaw::scratch || flaw == Flaw::blob || flaw == Flaw::stain;
}

uint8_t to_8_bits(double value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
}

/// Camera model: falloff towards the corners, exposure, noise.
struct Camera {
  Rgb exposure;
  uint64_t seed, stream;

  Rgb falloff(Rgb color, Vec2 p) const { return (1 - 0.10 * dot(p, p)) * (exposure * color); }
  /// About normal: the sum of four bytes, deviation 1.6 levels.
  static double grain(uint32_t bits) {
    const double sum = (bits & 0xFF) + (bits >> 8 & 0xFF) + (bits >> 16 & 0xFF) + (bits >> 24);
    return (sum - 510) * (1.6 / 147.8 / 255);
  }
};

Vec2 pixel_center(int y, int x, int size) {
  return {(2 * x + 1.0) / size - 1, (2 * y + 1.0) / size - 1};
}

Scene draw_scene(const ObjectKind& object, Flaw flaw, int size, RandomSequence& random) {
  const auto either_way = [&](double max) { return max * (2.0 * random.uniform() - 1); };
  Scene scene;
  const Vec2 lamp = 0.62 * unit(0.625 + either_way(0.012));  // from the upper left
  scene.lamp = {lamp.x, lamp.y, std::sqrt(1 - dot(lamp, lamp))};
  scene.soft = 3.0 / size;
  scene.rotation = unit(either_way(object.max_turn));
  scene.shift = {either_way(object.max_shift), either_way(object.max_shift)};
  scene.flaw = flaw;
  scene.choice = random.bits();
  scene.amount = random.uniform();
  return scene;
}

LoadedImage draw_image(const ObjectKind& object, uint64_t id, Flaw flaw, int size, uint64_t seed) {
  RandomSequence random(seed, RandomStream::builtin, id);
  Scene scene = draw_scene(object, flaw, size, random);
  const double brightness = 1 + 0.03 * (2.0 * random.uniform() - 1);
  const double warmth = 0.015 * (2.0 * random.uniform() - 1);
  const Camera camera{{brightness * (1 + warmth), brightness, brightness * (1 - warmth)},
                      seed,
                      stream_id(RandomStream::builtin, id | uint64_t{1} << 32)};
  // The same specimen is painted with and without its flaw.
  RandomSequence same_specimen = random;
  const Paint paint = object.paint(scene, random);
  const Overlay overlay = lies_on_surface(flaw) ? draw_overlay(object, scene, random) : Overlay{};
  scene.flaw = Flaw::none;
  const Paint paint_good = object.paint(scene, same_specimen);

  LoadedImage loaded;
  loaded.image = Image(size, size, 3);
  if (flaw != Flaw::none) loaded.mask = Image(size, size, 1);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const Vec2 p = pixel_center(y, x, size);
      const SurfacePoint point = paint(p);
      const Rgb color =
          camera.falloff(lies_on_surface(flaw) ? overlay.over(point, p) : point.color, p);
      if (loaded.mask) {
        const Rgb good = camera.falloff(paint_good(p).color, p);
        const int change = std::max({std::abs(to_8_bits(color.r) - to_8_bits(good.r)),
                                     std::abs(to_8_bits(color.g) - to_8_bits(good.g)),
                                     std::abs(to_8_bits(color.b) - to_8_bits(good.b))});
        *loaded.mask->at(y, x) = change > kVisibleChange ? 255 : 0;
      }
      const Philox4 grain = philox(camera.seed, camera.stream, static_cast<uint64_t>(y) * size + x);
      uint8_t* out = loaded.image.at(y, x);
      out[0] = to_8_bits(color.r + Camera::grain(grain.v[0]));
      out[1] = to_8_bits(color.g + Camera::grain(grain.v[1]));
      out[2] = to_8_bits(color.b + Camera::grain(grain.v[2]));
    }
  }
  if (loaded.mask) loaded.mask = closed(*loaded.mask);
  return loaded;
}

std::string numbered(const std::string& folder, int number) {
  return fmt::format("{}/{:03}.png", folder, number);
}

}  // namespace

std::vector<std::string> builtin_classes() {
  std::vector<std::string> names;
  for (const ObjectKind& kind : object_kinds()) names.emplace_back(kind.name);
  return names;
}

Dataset open_builtin(const std::string& object_class, int size, uint64_t seed) {
  ASSAY_CHECK_AS(UsageError, size >= 32 && size <= 2048,
                 "builtin: images have 32 to 2048 pixels a side, not {}", size);
  const auto found =
      std::find_if(object_kinds().begin(), object_kinds().end(),
                   [&](const ObjectKind& kind) { return kind.name == object_class; });
  if (found == object_kinds().end()) {
    throw UsageError(fmt::format("builtin: no class \"{}\"; there are: {}", object_class,
                                 fmt::join(builtin_classes(), ", ")));
  }
  const ObjectKind& object = *found;
  const auto class_id = static_cast<uint64_t>(found - object_kinds().begin());

  Dataset data{object_class, "builtin", {}, {}};
  const auto add = [&](std::vector<Sample>& samples, int index, Flaw flaw, std::string path) {
    Sample sample;
    sample.path = std::move(path);
    sample.defective = flaw != Flaw::none;
    sample.defect = name_of(flaw);
    sample.draw = [&object, id = class_id * kImages + index, flaw, size, seed] {
      return draw_image(object, id, flaw, size, seed);
    };
    samples.push_back(std::move(sample));
  };
  for (int i = 0; i < kBuiltinTrainGood; ++i) {
    add(data.train_good, i, Flaw::none, numbered("train/good", i));
  }
  for (int i = 0; i < kBuiltinTestGood; ++i) {
    add(data.test, kFirstTestGood + i, Flaw::none, numbered("test/good", i));
  }
  const int kinds = static_cast<int>(object.flaws.size());
  for (int i = 0; i < kBuiltinDefective; ++i) {
    const Flaw flaw = object.flaws[i % kinds];
    add(data.test, kFirstDefective + i, flaw,
        numbered(std::string("test/") + name_of(flaw), i / kinds));
  }
  std::sort(data.test.begin(), data.test.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
  return data;
}

void write_builtin(const std::filesystem::path& folder, int size, uint64_t seed) {
  // A folder of MVTec AD has classes leather and screw already.
  for (const std::string& name : builtin_classes())
    ASSAY_CHECK_AS(UsageError, !std::filesystem::exists(folder / name),
                   "{}: is there already; remove it or choose another folder",
                   (folder / name).string());
  for (const std::string& name : builtin_classes()) {
    const std::vector<Sample> samples = pooled(open_builtin(name, size, seed));
    parallel_for(current_context(), static_cast<int64_t>(samples.size()), [&](int64_t i) {
      const Sample& sample = samples[i];
      const LoadedImage loaded = load(sample);
      const std::filesystem::path relative = sample.path, file = folder / name / relative;
      make_folder(file.parent_path());
      write_png(file, loaded.image);
      if (loaded.mask) {
        const auto masks = folder / name / "ground_truth" / sample.defect;
        make_folder(masks);
        write_png(masks / (relative.stem().string() + "_mask.png"), *loaded.mask);
      }
    });
  }
}

}  // namespace assay
