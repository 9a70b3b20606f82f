// Charts of the report, as inline SVG.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/svg.h"

namespace assay {

struct Axis {
  std::string title;  ///< with the unit, if there is one
  ScaleKind kind = ScaleKind::linear;
  /// Range that is always shown; data outside widens it. If low = high: the range of the data.
  double low = 0, high = 0;
};

/// A line, and the area between `low` and `high` of its `band`. `colour`: index into the palette.
struct Series {
  std::string name;  ///< in the legend; no entry when empty
  std::vector<std::pair<double, double>> points;
  int colour = 0;
  int dash = 0;  ///< 0: solid; lines of one colour differ in it
  struct Between {
    double x, low, high;
  };
  std::vector<Between> band = {};
};

struct Chart {
  std::string title;
  Axis x, y;
  bool diagonal = false;  ///< the line of chance in a ROC curve
  struct Mark {
    double x;
    std::string text;
  };
  std::optional<Mark> mark = {};  ///< a vertical line
};
/// Points that are not finite (or not positive on a logarithmic axis) are left out; empty if none
/// is left.
Html line_chart(const Chart& chart, const std::vector<Series>& series);

/// One operation: FLOP per byte and FLOP per second.
struct RooflinePoint {
  double intensity, rate;
  int series = 0;  ///< an index into the names
};
/// Rates against intensity, both logarithmic, under what multiply-adds (`peak_rate`, FLOP/s) and
/// memory (`peak_bytes`, byte/s) allow. Names carry the colours of `colours`.
Html roofline_chart(const std::string& title, double peak_rate, double peak_bytes,
                    const std::vector<std::string>& names, const std::vector<int>& colours,
                    const std::vector<RooflinePoint>& points);

/// Values of one group, counted in the same bins as the others.
struct Group {
  std::string name;
  std::vector<double> values;
  int colour = 0;
};
/// The share of each group's values by value, one group below the other, with a line at
/// `threshold` through all. Empty groups are left out.
Html histograms(const std::string& title, const Axis& axis, const std::vector<Group>& groups,
                double threshold);

/// A value with its interval, and the values whose mean it is.
struct IntervalRow {
  std::string name;
  double value = 0, low = 0, high = 0;
  std::vector<double> singles;  ///< drawn as small marks if there are several
  int colour = 0;
};
struct IntervalGroup {
  std::string name;
  std::vector<IntervalRow> rows;
};
/// Rows of dots with bars on an axis that includes [low, high]; a dashed line at `chance`.
Html interval_chart(const std::string& title, const std::string& x_title, double low, double high,
                    double chance, const std::vector<IntervalGroup>& groups);

}  // namespace assay
