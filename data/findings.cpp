#include "data/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr double kMaxShapeRatio = 1.25;
constexpr size_t kExamples = 3;
constexpr int kFullDepth = 15;  // 16-bit images may well use only half of the range

double aspect_of(ImageSize size) {
  return static_cast<double>(size.width) / static_cast<double>(size.height);
}

/// Counts images and keeps the first names: "3 of 40 images (a, b, c)".
class Group {
 public:
  void add(const std::string& name) {
    if (names_.size() < kExamples) names_.push_back(name);
    ++count_;
  }
  bool any() const { return count_ > 0; }
  /// `noun` in the singular.
  std::string text(const std::string& noun, size_t of) const {
    return fmt::format("{} of {} {}{} ({}{}", count_, of, noun, of == 1 ? "" : "s",
                       fmt::join(names_, ", "), count_ > names_.size() ? ", ...)" : ")");
  }

 private:
  std::vector<std::string> names_;
  size_t count_ = 0;
};

void look_at_bits(std::span<const ReadImage> images, int bit_depth, ImageFindings& findings) {
  Group deep, above;
  int max_value = 0;
  for (const ReadImage& image : images) {
    if (image.facts->bits != 16) continue;
    deep.add(image.sample->path);
    max_value = std::max(max_value, image.facts->max_value);
    if (image.facts->max_value >> bit_depth != 0) above.add(image.sample->path);
  }
  if (!deep.any()) return;
  const int used = bits_used(max_value);
  if (used < bit_depth && used < kFullDepth)
    findings.notes.push_back(
        fmt::format("{} have 16 bits a value but use {} (the largest value is {}), so they look "
                    "dark; scaled by --bit-depth {}",
                    deep.text("image", images.size()), used, max_value, used));
  if (above.any())
    findings.notes.push_back(fmt::format("{} have values above {}, which become white",
                                         above.text("image", images.size()), (1 << bit_depth) - 1));
}

void look_at_shapes(std::span<const ReadImage> training, std::span<const ReadImage> all,
                    ImageFindings& findings) {
  if (training.empty()) return;
  std::vector<ImageSize> sizes;
  for (const ReadImage& image : training) sizes.push_back(image.facts->size);
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end(),
                   [](ImageSize a, ImageSize b) { return aspect_of(a) < aspect_of(b); });
  Group squashed;
  ImageSize example;
  for (const ReadImage& image : all) {
    if (!differs_in_shape(image.facts->size, *middle)) continue;
    if (!squashed.any()) example = image.facts->size;
    squashed.add(image.sample->path);
  }
  if (squashed.any())
    findings.notes.push_back(
        fmt::format("{} have another shape ({}x{}) than training images ({}x{}): the model sees "
                    "them squashed; crop them alike",
                    squashed.text("image", all.size()), example.width, example.height,
                    middle->width, middle->height));
}

void look_for_copies(std::span<const ReadImage> training, std::span<const ReadImage> test,
                     ImageFindings& findings) {
  std::map<uint64_t, const ReadImage*> learnt;
  Group copies;
  const auto compare = [&](const ReadImage& image, const ReadImage& earlier) {
    copies.add(image.sample->path + " = " + earlier.sample->path);
    if (image.sample->defective != earlier.sample->defective)
      findings.problems.push_back(
          fmt::format("{}: is the same image as {}, but one is good and the other defective",
                      image.sample->path, earlier.sample->path));
  };
  for (const ReadImage& image : training) {
    const auto [found, fresh] = learnt.emplace(image.facts->hash, &image);
    if (!fresh && test.empty()) compare(image, *found->second);
  }
  for (const ReadImage& image : test)
    if (const auto found = learnt.find(image.facts->hash); found != learnt.end())
      compare(image, *found->second);
  if (!copies.any()) return;
  findings.notes.push_back(
      test.empty()
          ? fmt::format("{} stand there twice, so a fold may be tested on what it has learnt",
                        copies.text("image", training.size()))
          : fmt::format("{} are among the training images too, so the metrics are too good",
                        copies.text("test image", test.size())));
}

std::string stem_of(const Sample& sample) {
  std::string stem = std::filesystem::path(sample.path).stem().string();
  constexpr std::string_view kEnding = "_mask";
  if (stem.ends_with(kEnding)) stem.resize(stem.size() - kEnding.size());
  return stem;
}

/// A black-and-white file named like another defective image is probably that image's mask.
void look_for_masks(std::span<const ReadImage> all, ImageFindings& findings) {
  std::map<std::string, const Sample*> images;
  for (const ReadImage& image : all)
    if (image.sample->defective && !image.facts->two_valued)
      images.emplace(stem_of(*image.sample), image.sample);
  for (const ReadImage& image : all) {
    if (!image.sample->defective || !image.facts->two_valued) continue;
    if (const auto found = images.find(stem_of(*image.sample)); found != images.end())
      findings.problems.push_back(
          fmt::format("{}: lies among the images of defects but looks like the mask of {}; put "
                      "masks into a folder of their own, for --masks or in ground_truth",
                      image.sample->path, found->second->path));
  }
}

void look_at_masks(std::span<const ReadImage> images, ImageFindings& findings) {
  Group everything, inverted, vanishing;
  size_t masks = 0;
  for (const ReadImage& image : images) {
    if (!image.facts->mask) continue;
    ++masks;
    const MaskCoverage& mask = *image.facts->mask;
    const std::string& name = image.sample->path;
    if (mask.share == 1)
      everything.add(name);
    else if (mask.share > 0.5 && mask.border > 0.9)
      inverted.add(name);
    if (image.facts->mask_vanishes) vanishing.add(name);
  }
  if (everything.any())
    findings.notes.push_back(everything.text("mask", masks) + " mark the whole image");
  if (inverted.any())
    findings.notes.push_back(inverted.text("mask", masks) +
                             " mark all but a part of the image, its border included, as an "
                             "inverted mask does; 255 is to mark the defect");
  if (vanishing.any())
    findings.notes.push_back(vanishing.text("mask", masks) +
                             " mark less than a pixel at the model's size: the pixel metrics know "
                             "nothing of these defects");
}

}  // namespace

int bits_used(int max_value) {
  if (max_value <= 0) return 16;
  return std::max(8, static_cast<int>(std::bit_width(static_cast<unsigned>(max_value))));
}

bool differs_in_shape(ImageSize a, ImageSize b) {
  const double ratio = aspect_of(a) / aspect_of(b);
  return ratio > kMaxShapeRatio || ratio < 1 / kMaxShapeRatio;
}

ImageFindings check_images(std::span<const ReadImage> training, std::span<const ReadImage> test,
                           int bit_depth) {
  std::vector<ReadImage> all(training.begin(), training.end());
  all.insert(all.end(), test.begin(), test.end());
  ImageFindings findings;
  look_for_masks(all, findings);
  look_for_copies(training, test, findings);
  look_at_bits(all, bit_depth, findings);
  look_at_shapes(training, all, findings);
  look_at_masks(all, findings);
  return findings;
}

}  // namespace assay
