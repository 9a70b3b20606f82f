// Inline SVG: scales, texts, lines. Colours come from the page's style sheet, so that charts follow
// light, dark and print.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/html.h"

namespace assay {

/// Width of every chart in SVG units; one unit is about a pixel on a phone.
inline constexpr double kChartWidth = 400;
/// Average width of a character in the style sheet's size.
inline constexpr double kTextWidth = 5.9;

enum class ScaleKind : uint8_t {
  linear,
  logarithmic,
  symmetric,  ///< asinh(v): linear around 0, logarithmic far from it on both sides
};

/// One axis: maps values to positions, and chooses ticks.
class Scale {
 public:
  Scale(double low, double high, ScaleKind kind, double first, double last);
  /// False for values without a position: not finite, or not positive on a logarithmic axis.
  bool shows(double v) const;
  double operator()(double v) const {
    return first_ + (map(v) - low_) / (high_ - low_) * (last_ - first_);
  }
  /// The value at `share` of the way from the first position to the last.
  double value_at(double share) const;
  /// Round values, few enough that their texts do not touch.
  std::vector<double> ticks() const;
  double first() const { return first_; }
  double last() const { return last_; }

 private:
  double map(double v) const;
  std::vector<double> round_steps() const;
  std::vector<double> powers() const;
  std::vector<double> symmetric_powers() const;

  ScaleKind kind_;
  double low_, high_, first_, last_;  // low and high mapped
};

/// Up to four significant digits.
std::string tick_text(double value);

Html text_at(double x, double y, const char* anchor, const std::string& text,
             const char* kind = "tick");
Html line_between(double x0, double y0, double x1, double y1, const std::string& kind);
/// A polyline; points on the line between their neighbours are left out.
Html polyline(const std::vector<std::pair<double, double>>& points, const std::string& kind);

/// A vertical axis with a grid at the left, and a horizontal axis at the bottom.
Html axes(const Scale& x, const Scale& y, const std::string& x_title, const std::string& y_title);
/// Ticks and title of a horizontal axis below `bottom`.
Html horizontal_axis(const Scale& x, double bottom, const std::string& title);

/// An entry of a legend: a name with a sample of its line.
struct LegendEntry {
  std::string name, kind;  ///< kind: classes of the sample line
};
/// The entries from (left, top), in as many rows as they need.
Html legend(const std::vector<LegendEntry>& entries, double left, double top);
/// Height of the legend.
double legend_height(const std::vector<LegendEntry>& entries, double left);

/// The whole chart, with its title above.
Html framed(const std::string& title, double height, const Html& body);

}  // namespace assay
