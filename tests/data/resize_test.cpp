#include "data/resize.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

/// The formula of tests/golden/make_resize.py.
Image formula_image(int height, int width, int channels) {
  Image image(height, width, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const uint32_t hash = (x * 374761393u + y * 668265263u + c * 69069u) * 2246822519u;
        const int ramp = (x * 5 + y * 3 + c * 40) % 256;
        const int step = (x / 6 + y / 4 + c) % 2 == 0 ? 255 : 0;
        const int kind = (x + y) / 16 % 3;
        image.at(y, x)[c] = static_cast<uint8_t>(kind == 0   ? static_cast<int>(hash >> 24)
                                                 : kind == 1 ? ramp
                                                             : step);
      }
    }
  }
  return image;
}

Image from_hex(int height, int width, int channels, const std::string& hex) {
  Image image(height, width, channels);
  REQUIRE(hex.size() == 2 * image.size());
  for (size_t i = 0; i < image.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return image;
}

}  // namespace

TEST_CASE("resize gives Pillow's values to the bit") {
  std::ifstream in(std::string(ASSAY_GOLDEN_DIR) + "/resize.json");
  REQUIRE(in);
  const nlohmann::json golden = nlohmann::json::parse(in);
  REQUIRE(golden["cases"].size() == 11);
  for (const nlohmann::json& c : golden["cases"]) {
    CAPTURE(c["height"].get<int>());
    CAPTURE(c["width"].get<int>());
    const Image out = resize(formula_image(c["height"], c["width"], c["channels"]), c["out_height"],
                             c["out_width"]);
    CHECK(out == from_hex(c["out_height"], c["out_width"], c["channels"], c["hex"]));
  }
}

TEST_CASE("resize keeps a constant image constant, and an image of the same size untouched") {
  Image white(31, 47, 3);
  for (uint8_t& v : white.pixels) v = 255;
  for (const int size : {1, 5, 31, 64}) {
    const Image out = resize(white, size, size + 2);
    CHECK(out.height == size);
    CHECK(out.width == size + 2);
    for (const uint8_t v : out.pixels) REQUIRE(v == 255);
  }
  const Image image = formula_image(20, 30, 3);
  CHECK(resize(image, 20, 30) == image);
}

TEST_CASE("resize counts every pixel: one bright pixel among 64 keeps its share wherever it is") {
  for (const int at : {8, 19, 29, 40, 55}) {
    Image dark(64, 64, 1);
    *dark.at(at, 63 - at) = 255;
    int sum = 0;
    for (const uint8_t v : resize(dark, 8, 8).pixels) sum += v;
    // 255 / 64 = 4 levels, over at most 2 x 2 pixels that are rounded twice, each time by at most
    // a half; a filter that skips pixels gives 0 or 255.
    CHECK(sum >= 1);
    CHECK(sum <= 8);
  }
}

TEST_CASE("resized masks hold 0 and 255 only, 255 where half of the pixel is covered") {
  Image mask(64, 64, 1);
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 32; ++x) *mask.at(y, x) = 255;
  }
  const Image out = resize_mask(mask, 16, 16);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) CHECK(*out.at(y, x) == (x < 8 ? 255 : 0));
  }
  for (const uint8_t v : resize_mask(formula_image(50, 50, 1), 20, 20).pixels) {
    REQUIRE((v == 0 || v == 255));
  }
}

TEST_CASE("resize refuses sizes that are none") {
  CHECK_THROWS_AS(resize(Image(4, 4, 3), 0, 4), Error);
  CHECK_THROWS_AS(resize(Image(4, 4, 3), 4, -1), Error);
  CHECK_THROWS_AS(resize(Image(), 4, 4), Error);
  CHECK_THROWS_AS(resize(Image(4, 4, 2), 2, 2), Error);
}

TEST_CASE("grey is (299 R + 587 G + 114 B) / 1000, rounded") {
  CHECK(grey_of(255, 255, 255) == 255);
  CHECK(grey_of(0, 0, 0) == 0);
  CHECK(grey_of(255, 0, 0) == 76);   // 76.245
  CHECK(grey_of(0, 255, 0) == 150);  // 149.685
  CHECK(grey_of(0, 0, 255) == 29);   // 29.07
  Image image(1, 2, 3);
  image.pixels = {10, 20, 30, 200, 100, 50};
  CHECK(to_grey(image).pixels == std::vector<uint8_t>{18, 124});  // 18.15, 124.2
  CHECK(to_rgb(to_grey(image)).pixels == std::vector<uint8_t>{18, 18, 18, 124, 124, 124});
  CHECK(to_rgb(image) == image);
  CHECK_THROWS_AS(with_channels(image, 2), Error);
}

}  // namespace assay
