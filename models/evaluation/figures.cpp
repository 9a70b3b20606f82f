#include "models/evaluation/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kernels/runtime/error.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wpragmas"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

namespace assay {
namespace {

using Colour = std::array<uint8_t, 3>;

constexpr int kGap = 4;
constexpr int kBarRoom = 58, kBarWidth = 10;  // pixels of the bar with its numbers, and of the bar

uint8_t to_byte(double v) {
  return static_cast<uint8_t>(std::lround(std::clamp(v, 0.0, 1.0) * 255));
}

/// Colour map from black over red and yellow to white. Its brightness is monotonic, so that it
/// works in grey too. Good
/// images reach half of the scale, which is a dark red.
Colour heat_colour(double t) {
  t = std::clamp(t, 0.0, 1.0);
  return {to_byte(t * 1.6), to_byte((t - 0.5) * 2.5), to_byte((t - 0.8) * 5)};
}

Colour pixel_of(const FigureInput& in, std::span<const float> values, int x, int y) {
  const float* v = &values[(static_cast<size_t>(y) * in.W + x) * in.C];
  return {to_byte(v[0]), to_byte(v[in.C == 3 ? 1 : 0]), to_byte(v[in.C == 3 ? 2 : 0])};
}

/// Heat over the grey image; its opacity grows from 0.4 of the scale on, which is about what good
/// images reach.
Colour overlaid(const FigureInput& in, double t, int x, int y) {
  const Colour p = pixel_of(in, in.image, x, y);
  const double grey = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) * 0.85 + 30;
  const double weight = std::clamp((t - 0.4) * 2, 0.0, 0.9);
  const Colour heat = heat_colour(0.3 + 0.7 * std::clamp(t, 0.0, 1.0));
  Colour mixed;
  for (int c = 0; c < 3; ++c)
    mixed[c] = static_cast<uint8_t>(std::min(255.0, (1 - weight) * grey + weight * heat[c]));
  return mixed;
}

template <class PixelAt>
void draw_tile(Image& to, int row, int column, const FigureInput& in, const PixelAt& pixel_at) {
  const int top = row * (in.H + kGap), left = column * (in.W + kGap);
  for (int y = 0; y < in.H; ++y)
    for (int x = 0; x < in.W; ++x) {
      const Colour c = pixel_at(x, y);
      std::copy(c.begin(), c.end(), to.at(top + y, left + x));
    }
}

/// Draws original | reconstruction | residual at the left end of a row.
void draw_seen(Image& to, int row, const FigureInput& in, double heat_scale) {
  draw_tile(to, row, 0, in, [&](int x, int y) { return pixel_of(in, in.image, x, y); });
  if (!in.reconstruction.empty())
    draw_tile(to, row, 1, in, [&](int x, int y) { return pixel_of(in, in.reconstruction, x, y); });
  draw_tile(to, row, 2, in, [&](int x, int y) {
    return heat_colour(in.heat[static_cast<size_t>(y) * in.W + x] / heat_scale);
  });
}

void draw_text(Image& to, int left, int top, std::string text) {
  struct Vertex {
    float x, y, z;
    uint8_t colour[4];
  };
  std::array<Vertex, 1024> corners;
  const int quads = stb_easy_font_print(static_cast<float>(left), static_cast<float>(top),
                                        text.data(), nullptr, corners.data(), sizeof corners);
  for (int q = 0; q < quads; ++q) {
    const Vertex &first = corners[4 * q], &opposite = corners[4 * q + 2];
    for (int y = std::max(0, int(first.y)); y < std::min<int>(to.height, int(opposite.y)); ++y)
      for (int x = std::max(0, int(first.x)); x < std::min<int>(to.width, int(opposite.x)); ++x)
        std::fill_n(to.at(y, x), 3, uint8_t{40});
  }
}

void draw_colour_bar(Image& to, int left, double heat_scale) {
  for (int y = 0; y < to.height; ++y) {
    const Colour c = heat_colour(1 - (y + 0.5) / to.height);
    for (int x = 0; x < kBarWidth; ++x) std::copy(c.begin(), c.end(), to.at(y, left + x));
  }
  draw_text(to, left + kBarWidth + 3, 2, fmt::format("{:.2g}", heat_scale));
  draw_text(to, left + kBarWidth + 3, to.height - 10, "0");
}

Image canvas_for(const FigureInput& in, int rows, int columns) {
  Image canvas(rows * (in.H + kGap) - kGap, columns * (in.W + kGap) + kBarRoom, 3);
  std::fill(canvas.pixels.begin(), canvas.pixels.end(), uint8_t{255});
  return canvas;
}

}  // namespace

Image panel(const FigureInput& in, double heat_scale) {
  Image canvas = canvas_for(in, 1, kPanelTiles);
  draw_seen(canvas, 0, in, heat_scale);
  draw_tile(canvas, 0, 3, in, [&](int x, int y) {
    return overlaid(in, in.heat[static_cast<size_t>(y) * in.W + x] / heat_scale, x, y);
  });
  draw_tile(canvas, 0, 4, in, [&](int x, int y) {
    const bool defective = !in.mask.empty() && in.mask[static_cast<size_t>(y) * in.W + x] != 0;
    return defective ? Colour{255, 255, 255} : Colour{24, 24, 24};
  });
  draw_colour_bar(canvas, kPanelTiles * (in.W + kGap), heat_scale);
  return canvas;
}

Image noise_panel(const FigureInput& clean, const FigureInput& noisy, double heat_scale) {
  Image canvas = canvas_for(clean, kNoisePanelRows, kNoisePanelColumns);
  draw_seen(canvas, 0, clean, heat_scale);
  draw_seen(canvas, 1, noisy, heat_scale);
  draw_colour_bar(canvas, kNoisePanelColumns * (clean.W + kGap), heat_scale);
  return canvas;
}

Image nearest_panel(const FigureInput& in, std::span<const float> nearest, double heat_scale) {
  Image canvas = canvas_for(in, 1, kNearestTiles);
  draw_tile(canvas, 0, 0, in, [&](int x, int y) { return pixel_of(in, in.image, x, y); });
  draw_tile(canvas, 0, 1, in, [&](int x, int y) { return pixel_of(in, nearest, x, y); });
  draw_tile(canvas, 0, 2, in, [&](int x, int y) {
    const size_t first = (static_cast<size_t>(y) * in.W + x) * in.C;
    double squares = 0;
    for (int c = 0; c < in.C; ++c) {
      const double difference = in.image[first + c] - nearest[first + c];
      squares += difference * difference / in.C;
    }
    return heat_colour(squares / heat_scale);
  });
  draw_colour_bar(canvas, kNearestTiles * (in.W + kGap), heat_scale);
  return canvas;
}

Image strip(const std::vector<FigureInput>& images, double heat_scale) {
  ASSAY_CHECK(!images.empty(), "strip: needs at least one image");
  const int n = static_cast<int>(images.size());
  Image canvas = canvas_for(images.front(), 2, n);
  for (int i = 0; i < n; ++i) {
    const FigureInput& in = images[i];
    draw_tile(canvas, 0, i, in, [&](int x, int y) { return pixel_of(in, in.image, x, y); });
    draw_tile(canvas, 1, i, in, [&](int x, int y) {
      return overlaid(in, in.heat[static_cast<size_t>(y) * in.W + x] / heat_scale, x, y);
    });
  }
  draw_colour_bar(canvas, n * (images.front().W + kGap), heat_scale);
  return canvas;
}

std::vector<Image> tiles_of(const Image& figure, int rows, int columns) {
  const int side = (figure.width - kBarRoom) / columns - kGap;
  ASSAY_CHECK(side > 0 && figure.width == columns * (side + kGap) + kBarRoom &&
                  figure.height == rows * (side + kGap) - kGap,
              "tiles_of: an image of {}x{} has no {}x{} square tiles", figure.width, figure.height,
              rows, columns);
  std::vector<Image> tiles;
  for (int i = 0; i < rows * columns; ++i) {
    Image& tile = tiles.emplace_back(side, side, figure.channels);
    const int top = i / columns * (side + kGap), left = i % columns * (side + kGap);
    for (int y = 0; y < side; ++y)
      std::copy_n(figure.at(top + y, left), side * figure.channels, tile.at(y, 0));
  }
  return tiles;
}

Image explanation_panel(const Image& image, const Patch& patch, const Image& nearest_image,
                        const Patch& nearest) {
  constexpr Colour kFrame = {255, 80, 0};
  const int side = image.height;
  Image canvas(side, 4 * (side + kGap) - kGap, 3);
  std::fill(canvas.pixels.begin(), canvas.pixels.end(), uint8_t{255});
  const auto colour_at = [](const Image& from, double x, double y) {
    const uint8_t* p = from.at(std::clamp(static_cast<int>(std::lround(y)), 0, from.height - 1),
                               std::clamp(static_cast<int>(std::lround(x)), 0, from.width - 1));
    return Colour{p[0], p[from.channels == 3 ? 1 : 0], p[from.channels == 3 ? 2 : 0]};
  };
  const auto draw = [&](int tile, const auto& pixel_at) {
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const Colour c = pixel_at(x, y);
        std::copy(c.begin(), c.end(), canvas.at(y, tile * (side + kGap) + x));
      }
  };
  const auto framed = [&](const Image& from, const Patch& at) {
    return [&](int x, int y) {
      const double d = std::max(std::abs(x - at.x), std::abs(y - at.y)) - at.side / 2;
      return d >= 0 && d < 2 ? kFrame : colour_at(from, x, y);
    };
  };
  const auto enlarged = [&](const Image& from, const Patch& at) {
    return [&](int x, int y) {
      const double scale = at.side / side, middle = (side - 1) / 2.0;
      return colour_at(from, at.x + (x - middle) * scale, at.y + (y - middle) * scale);
    };
  };
  draw(0, framed(image, patch));
  draw(1, enlarged(image, patch));
  draw(2, enlarged(nearest_image, nearest));
  draw(3, framed(nearest_image, nearest));
  return canvas;
}

Image heat_map(const FigureInput& in, double heat_scale) {
  Image canvas = canvas_for(in, 1, 2);
  draw_tile(canvas, 0, 0, in, [&](int x, int y) { return pixel_of(in, in.image, x, y); });
  draw_tile(canvas, 0, 1, in, [&](int x, int y) {
    return overlaid(in, in.heat[static_cast<size_t>(y) * in.W + x] / heat_scale, x, y);
  });
  draw_colour_bar(canvas, 2 * (in.W + kGap), heat_scale);
  return canvas;
}

}  // namespace assay
