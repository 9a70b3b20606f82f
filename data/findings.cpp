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

void look_for_copies(std::span<const ReadImage> training, std::span<const ReadImage> test,
                     ImageFindings& findings) {
  std::map<uint64_t, const ReadImage*> learnt;
  ImageGroup copies;
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
  ImageGroup everything, inverted, vanishing;
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

void ImageGroup::add(const std::string& name) {
  if (names_.size() < kExamples) names_.push_back(name);
  ++count_;
}

std::string ImageGroup::text(const std::string& noun, size_t of) const {
  return fmt::format("{} of {} {}{} ({}{}", count_, of, noun, of == 1 ? "" : "s",
                     fmt::join(names_, ", "), count_ > names_.size() ? ", ...)" : ")");
}

void SeriesFindings::add(const std::string& name, const ImageFacts& facts) {
  ++images_;
  if (facts.bits == 16) {
    deep_.add(name);
    max_value_ = std::max(max_value_, facts.max_value);
    if (facts.max_value >> bit_depth_ != 0) above_.add(name);
  }
  if (expected_.height == 0 || !differs_in_shape(facts.size, expected_)) return;
  if (!squashed_.any()) squashed_size_ = facts.size;
  squashed_.add(name);
}

std::vector<std::string> SeriesFindings::notes() const {
  std::vector<std::string> notes;
  const int used = bits_used(max_value_);
  if (deep_.any() && used < bit_depth_ && used < kFullDepth)
    notes.push_back(
        fmt::format("{} have 16 bits a value but use {} (the largest value is {}), so they look "
                    "dark; assay train --bit-depth {} scales them",
                    deep_.text("image", images_), used, max_value_, used));
  if (above_.any())
    notes.push_back(fmt::format("{} have values above {}, which become white",
                                above_.text("image", images_), (1 << bit_depth_) - 1));
  if (squashed_.any())
    notes.push_back(
        fmt::format("{} have another shape ({}x{}) than training images ({}x{}): the model sees "
                    "them squashed; crop them alike",
                    squashed_.text("image", images_), squashed_size_.width, squashed_size_.height,
                    expected_.width, expected_.height));
  return notes;
}

ImageSize typical_size(std::span<const ImageSize> sizes) {
  ASSAY_CHECK(!sizes.empty(), "typical_size: no images");
  std::vector<ImageSize> sorted(sizes.begin(), sizes.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end(),
                   [](ImageSize a, ImageSize b) { return aspect_of(a) < aspect_of(b); });
  return *middle;
}

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
  std::vector<ImageSize> sizes;
  for (const ReadImage& image : training) sizes.push_back(image.facts->size);
  SeriesFindings series(sizes.empty() ? ImageSize() : typical_size(sizes), bit_depth);
  for (const ReadImage& image : all) series.add(image.sample->path, *image.facts);
  const std::vector<std::string> notes = series.notes();
  findings.notes.insert(findings.notes.end(), notes.begin(), notes.end());
  look_at_masks(all, findings);
  return findings;
}

}  // namespace assay
