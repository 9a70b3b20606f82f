#include "data/mask.h"

#include <algorithm>

#include "data/dataset.h"
#include "tests/support/png_writer.h"

namespace assay {
namespace {

using testing::Bytes;
using testing::contains;
using testing::make_png;
using testing::message_of;
using testing::put;
using testing::TemporaryFolder;

constexpr int kSide = 8;

/// An 8 x 8 image of one value with a 4 x 4 square of another in it, and a last column of a third.
Image square(uint8_t around, uint8_t inside, uint8_t column) {
  Image image(kSide, kSide, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), around);
  for (int y = 2; y < 6; ++y)
    for (int x = 2; x < 6; ++x) *image.at(y, x) = inside;
  for (int y = 0; y < kSide; ++y) *image.at(y, kSide - 1) = column;
  return image;
}
Image square(uint8_t around, uint8_t inside) {
  return square(around, inside, around);
}

Image read(const Bytes& file) {
  return mask_of(decode(file, "mask", {.alpha = true}), "mask");
}
Image read(const Image& file) {
  return read(encode_png(file));
}
std::string refusal(const Bytes& file) {
  return message_of<DataError>([&] { read(file); });
}

const Image kMarked = square(0, 255);

}  // namespace

TEST_CASE("a mask of two values marks where it is not black") {
  for (const int value : {1, 2, 38, 76, 127, 128, 200, 255})
    CHECK(read(square(0, static_cast<uint8_t>(value))) == kMarked);
  CHECK(read(square(0, 0)) == Image(kSide, kSide, 1));
}

TEST_CASE("a palette, or a colour, marks as white does, be it as dark as blue") {
  Bytes rows;
  for (const uint8_t v : kMarked.pixels) rows.push_back(v == 255);
  CHECK(read(make_png({kSide, kSide, 8, testing::kPalette, {0, 0, 0, 0, 0, 128}}, rows)) ==
        kMarked);
  Image rgb = to_rgb(kMarked);
  for (size_t i = 0; i < rgb.size(); i += 3) rgb.pixels[i] = rgb.pixels[i + 1] = 0;
  CHECK(read(rgb) == kMarked);
  // Two defects in two colours.
  rgb.at(2, 2)[0] = 128, rgb.at(2, 2)[2] = 0;
  CHECK(read(rgb) == kMarked);
}

TEST_CASE("small numbers are kinds of defects, soft edges are edges") {
  CHECK(read(square(0, 1, 3)) == square(0, 255, 255));
  CHECK(read(square(0, 255, 100)) == kMarked);  // a column is an edge: 100 is less than half
  CHECK(read(square(0, 255, 130)) == square(0, 255, 255));
  CHECK(read(square(0, 254, 255)) == square(0, 255, 255));  // MVTec LOCO AD's kinds
  CHECK(read(encode_jpeg(square(0, 255), 90)) == kMarked);
}

TEST_CASE("a mask that can be read in two ways is refused") {
  CHECK(contains(refusal(encode_png(square(0, 64, 255))), "areas of a grey below 128"));
  CHECK(contains(refusal(encode_png(square(192, 64))), "areas of a grey below 128"));
  CHECK(contains(refusal(encode_png(square(0, 100, 50))), "values from 0 to 100"));
}

TEST_CASE("alpha marks where the colours are all the same, and may not contradict them") {
  const auto rgba = [](const Image& colour, const Image& alpha) {
    Bytes rows;
    for (size_t i = 0; i < colour.size(); ++i)
      for (const uint8_t v :
           {colour.pixels[i], colour.pixels[i], colour.pixels[i], alpha.pixels[i]})
        rows.push_back(v);
    return make_png({kSide, kSide, 8, testing::kRgba}, rows);
  };
  CHECK(read(rgba(square(0, 0), kMarked)) == kMarked);
  CHECK(read(rgba(kMarked, kMarked)) == kMarked);
  CHECK(read(rgba(kMarked, square(255, 255))) == kMarked);
  CHECK(contains(refusal(rgba(kMarked, square(255, 0))), "alpha marks other pixels"));
}

TEST_CASE("what a sample's masks say together with its image and label") {
  const TemporaryFolder root;
  put(root / "image.png", testing::small_image(1, kSide, kSide));
  put(root / "square.png", kMarked);
  put(root / "column.png", square(0, 0, 1));
  put(root / "nothing.png", square(0, 0));
  put(root / "deep.png",
      make_png({kSide, 1, 16, testing::kGrey}, {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  Sample sample;
  sample.path = "bad/image.png";
  sample.file = root / "image.png";
  sample.defective = true;
  const auto with = [&](std::vector<std::filesystem::path> masks) {
    sample.masks = std::move(masks);
    return load(sample);
  };
  CHECK(*with({root / "square.png", root / "column.png"}).mask == square(0, 255, 255));
  CHECK(with({root / "square.png"}).facts.mask->share == 0.25);
  CHECK(with({root / "square.png"}).facts.mask->border == 0);
  CHECK(!load(sample, {.masks = false}).mask);
  CHECK(contains(message_of<DataError>([&] { with({root / "nothing.png"}); }), "marks nothing"));
  CHECK(contains(message_of<DataError>([&] { with({root / "deep.png"}); }), "8 x 1 pixels"));
  sample.defective = false;
  CHECK_NOTHROW(with({root / "nothing.png"}));
  CHECK(contains(message_of<DataError>([&] { with({root / "square.png"}); }),
                 "its image is a good one"));
  sample.defective = true;
  sample.file = root / "row.png";
  put(root / "row.png", testing::small_image(1, 1, kSide));
  CHECK(with({root / "deep.png"}).mask->pixels == Bytes{255, 0, 255, 0, 0, 0, 0, 0});
}

}  // namespace assay
