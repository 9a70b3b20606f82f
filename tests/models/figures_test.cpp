// Figures: the contents of each tile, and cutting a figure into its tiles.
#include "models/evaluation/figures.h"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr int kSide = 6;

/// A grey image whose reconstruction is darker, one hot pixel and one defective pixel.
struct Example {
  std::vector<float> image, reconstruction, heat;
  std::vector<uint8_t> mask;
  explicit Example(float grey)
      : image(kSide * kSide, grey),
        reconstruction(kSide * kSide, grey / 2),
        heat(kSide * kSide, 0.0f),
        mask(kSide * kSide, uint8_t{0}) {
    heat[7] = 2;
    mask[8] = 255;
  }
  FigureInput view() const { return {kSide, kSide, 1, image, reconstruction, heat, mask}; }
};

int at(const Image& tile, int position) {
  return tile.pixels[static_cast<size_t>(position) * 3];
}

}  // namespace

TEST_CASE("a panel's tiles: original, reconstruction, residual, overlay, mask") {
  const Example example(0.8f);
  const auto tiles = tiles_of(panel(example.view(), 2.0), 1, kPanelTiles);
  REQUIRE(tiles.size() == kPanelTiles);
  for (const Image& tile : tiles) {
    CHECK(tile.width == kSide);
    CHECK(tile.height == kSide);
  }
  CHECK(at(tiles[0], 0) == 204);
  CHECK(at(tiles[1], 0) == 102);
  CHECK(at(tiles[2], 0) == 0);
  CHECK(at(tiles[2], 7) == 255);  // as hot as the scale goes: white
  CHECK(at(tiles[3], 7) > at(tiles[3], 0));
  CHECK(at(tiles[4], 8) == 255);
  CHECK(at(tiles[4], 7) < 64);
}

TEST_CASE("a noise panel has the clean image above the noisy one") {
  const Example clean(0.2f), noisy(1.0f);
  const auto tiles =
      tiles_of(noise_panel(clean.view(), noisy.view(), 4.0), kNoisePanelRows, kNoisePanelColumns);
  REQUIRE(tiles.size() == 6);
  CHECK(at(tiles[0], 0) == 51);
  CHECK(at(tiles[3], 0) == 255);
  CHECK(at(tiles[4], 0) == 128);
  CHECK(at(tiles[2], 7) == at(tiles[5], 7));  // one scale for both
}

TEST_CASE("a nearest panel shows both images and their squared difference") {
  const Example example(0.5f);
  std::vector<float> nearest(kSide * kSide, 0.5f);
  nearest[9] = 1;
  const auto tiles = tiles_of(nearest_panel(example.view(), nearest, 0.25), 1, kNearestTiles);
  REQUIRE(tiles.size() == 3);
  CHECK(at(tiles[0], 9) == 128);
  CHECK(at(tiles[1], 9) == 255);
  CHECK(at(tiles[2], 9) == 255);  // 0.5^2 is as far as this scale goes
  CHECK(at(tiles[2], 8) == 0);
}

TEST_CASE("a strip has originals above overlays") {
  const Example dark(0.2f), light(1.0f);
  const auto tiles = tiles_of(strip({dark.view(), light.view()}, 2.0), 2, 2);
  REQUIRE(tiles.size() == 4);
  CHECK(at(tiles[0], 0) == 51);
  CHECK(at(tiles[1], 0) == 255);
  CHECK(at(tiles[2], 7) > at(tiles[2], 0));  // the hot pixel
  CHECK(at(tiles[3], 7) > 200);
  CHECK_THROWS_AS(strip({}, 1.0), Error);
}

TEST_CASE("tiles of another kind of figure are refused") {
  const Example example(0.5f);
  CHECK_THROWS_AS(tiles_of(panel(example.view(), 1.0), kNoisePanelRows, kNoisePanelColumns), Error);
  CHECK_THROWS_AS(tiles_of(Image(5, 7, 3), 1, kPanelTiles), Error);
}

}  // namespace assay
