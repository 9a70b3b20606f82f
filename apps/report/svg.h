// Charts as inline SVG: axes with units, a legend, colours from the page's style sheet, so that
// they follow light and dark. No script.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace assay {

/// Text that can stand in HTML and SVG.
std::string escape_html(const std::string& text);

struct Axis {
  std::string title;
  bool logarithmic = false;
};

/// A named line; colour number i is the i-th of the palette.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  int colour = 0;
};

struct Chart {
  std::string title;
  Axis x, y;
  /// Shown at least; data widens it. Equal ends: the data alone decides.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  bool diagonal = false;  ///< the line of chance in a ROC curve
};
/// Points that are not finite (or not positive on a logarithmic axis) are left out.
std::string line_chart(const Chart& chart, const std::vector<Series>& series);

/// Values of one group, counted in the same bins as the others.
struct Group {
  std::string name;
  std::vector<double> values;
  int colour = 0;
};
/// Shares of each group by value, as steps, with a vertical line at `threshold`. The axis ends at
/// the 98th percentile of all values or a little beyond the threshold; what lies further is counted
/// in the last bin.
std::string histogram(const Chart& chart, const std::vector<Group>& groups, double threshold);

}  // namespace assay
