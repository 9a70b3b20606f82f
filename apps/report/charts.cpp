#include "apps/report/charts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr double kTop = 34, kRight = 16, kAxisRoom = 44;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
};

Range wished(const Axis& axis) {
  return axis.low == axis.high ? Range{} : Range{axis.low, axis.high};
}

std::string shortened(const std::string& text, size_t max) {
  if (text.size() <= max) return text;
  size_t end = max - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole UTF-8
  return text.substr(0, end) + "\u2026";
}

/// At most two lines of at most `max` bytes, broken at a space.
std::vector<std::string> lines_of(const std::string& text, size_t max) {
  if (text.size() <= max) return {text};
  const size_t space = text.rfind(' ', max);
  if (space == std::string::npos || space == 0) return {shortened(text, max)};
  return {text.substr(0, space), shortened(text.substr(space + 1), max)};
}

std::string line_kind(int colour) {
  return fmt::format("line{}", colour);
}

/// Classes of a line of a series.
std::string line_kind(const Series& series) {
  constexpr int kDashes = 3;  // of the style sheet
  const int dash = series.dash % (kDashes + 1);
  return line_kind(series.colour) + (dash == 0 ? "" : fmt::format(" dash{}", dash));
}

/// A vertical line with its text on the side that has more room.
Html marked(const Scale& x, double at, double top, double bottom, const std::string& text) {
  const bool left = x(at) > (x.first() + x.last()) / 2;
  return line_between(x(at), top, x(at), bottom, "threshold") +
         text_at(x(at) + (left ? -5 : 5), top + 9, left ? "end" : "start", text, "thresholdtext");
}

/// Share of the values in each of equal bins of the axis; values outside count in the outermost
/// bins.
std::vector<double> shares_of(const std::vector<double>& values, const Scale& x, int bins) {
  std::vector<double> shares(bins, 0.0);
  for (const double v : values) {
    const int bin = static_cast<int>((x(v) - x.first()) / (x.last() - x.first()) * bins);
    shares[std::clamp(bin, 0, bins - 1)] += 1.0 / static_cast<double>(values.size());
  }
  return shares;
}

Html outline(const std::vector<double>& shares, const Scale& x, const Scale& y,
             const std::string& kind) {
  const double step = (x.last() - x.first()) / static_cast<double>(shares.size());
  std::string points = fmt::format("{:.1f},{:.1f}", x.first(), y.first());
  for (size_t b = 0; b < shares.size(); ++b)
    for (const size_t end : {b, b + 1})
      points +=
          fmt::format(" {:.1f},{:.1f}", x.first() + step * static_cast<double>(end), y(shares[b]));
  points += fmt::format(" {:.1f},{:.1f}", x.last(), y.first());
  return markup("<polygon class=\"{}\" points=\"{}\"/>", kind, points);
}

/// The area of a series' band; empty where it has none.
Html band(const Series& series, const Scale& x, const Scale& y) {
  std::string upper, lower;
  for (const Series::Between& b : series.band) {
    if (!y.shows(b.low) || !y.shows(b.high)) continue;
    upper += fmt::format("{:.1f},{:.1f} ", x(b.x), y(b.high));
    lower = fmt::format("{:.1f},{:.1f} ", x(b.x), y(b.low)) + lower;
  }
  if (upper.empty()) return {};
  return markup("<polygon class=\"faint fill{}\" points=\"{}{}\"/>", series.colour, upper, lower);
}

}  // namespace

Html line_chart(const Chart& chart, const std::vector<Series>& series) {
  constexpr double kLeft = 56, kPlot = 190;
  Range xs = wished(chart.x), ys = wished(chart.y);
  std::vector<LegendEntry> entries;
  bool any = false;
  for (const Series& s : series) {
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(y) || (chart.y.kind == ScaleKind::logarithmic && y <= 0)) continue;
      xs.take(x);
      ys.take(y);
      any = true;
    }
    for (const Series::Between& b : s.band)
      for (const double y : {b.low, b.high})
        if (std::isfinite(y) && (chart.y.kind != ScaleKind::logarithmic || y > 0)) ys.take(y);
    if (!s.name.empty()) entries.push_back({s.name, line_kind(s)});
  }
  if (!any) return {};
  const double bottom = kTop + kPlot;
  const Scale x(xs.low, xs.high, chart.x.kind, kLeft, kChartWidth - kRight);
  const Scale y(ys.low, ys.high, chart.y.kind, bottom, kTop);
  Html body = axes(x, y, chart.x.title, chart.y.title);
  if (chart.diagonal) body += line_between(x(0), y(0), x(1), y(1), "chance");
  for (const Series& s : series) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [px, py] : s.points)
      if (x.shows(px) && y.shows(py)) points.emplace_back(x(px), y(py));
    body += band(s, x, y) + polyline(points, line_kind(s));
  }
  if (chart.mark) body += marked(x, chart.mark->x, kTop, bottom, chart.mark->text);
  const double below = bottom + kAxisRoom;
  return framed(chart.title, below + legend_height(entries, kLeft) + 8,
                body + legend(entries, kLeft, below));
}

Html roofline_chart(const std::string& title, double peak_rate, double peak_bytes,
                    const std::vector<std::string>& names, const std::vector<int>& colours,
                    const std::vector<RooflinePoint>& points) {
  constexpr double kLeft = 56, kPlot = 230, kGiga = 1e-9;
  if (points.empty()) return {};
  const double ridge = peak_rate / peak_bytes;
  Range xs{ridge / 4, ridge * 4}, ys{peak_rate * kGiga, peak_rate * kGiga * 1.5};
  for (const RooflinePoint& p : points) {
    xs.take(p.intensity);
    ys.take(p.rate * kGiga);
  }
  const double bottom = kTop + kPlot;
  const Scale x(xs.low, xs.high, ScaleKind::logarithmic, kLeft, kChartWidth - kRight);
  const Scale y(ys.low, ys.high, ScaleKind::logarithmic, bottom, kTop);
  Html body = axes(x, y, "FLOP per byte", "GFLOP/s");
  // Where the slope of the memory leaves the chart at the bottom.
  const double start = std::max(xs.low, ys.low / (peak_bytes * kGiga));
  body += polyline({{x(start), y(start * peak_bytes * kGiga)},
                    {x(ridge), y(peak_rate * kGiga)},
                    {x.last(), y(peak_rate * kGiga)}},
                   "roof");
  body += text_at(
      kLeft + 8, kTop + 12, "start",
      fmt::format("roof: {:.0f} GFLOP/s, {:.1f} GB/s", peak_rate * kGiga, peak_bytes * kGiga),
      "name");
  for (const RooflinePoint& p : points)
    body += markup("<circle class=\"fill{} seen\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.6\"/>",
                   colours[p.series], x(p.intensity), y(p.rate * kGiga));
  std::vector<LegendEntry> entries;
  for (size_t i = 0; i < names.size(); ++i) entries.push_back({names[i], line_kind(colours[i])});
  const double below = bottom + kAxisRoom;
  return framed(title, below + legend_height(entries, kLeft) + 8,
                body + legend(entries, kLeft, below));
}

Html histograms(const std::string& title, const Axis& axis, const std::vector<Group>& groups,
                double threshold) {
  constexpr int kBins = 40;
  constexpr double kLeft = 132, kRow = 46, kGap = 8;
  Range range = wished(axis);
  range.take(threshold);
  std::vector<const Group*> shown;
  for (const Group& g : groups) {
    if (!g.values.empty()) shown.push_back(&g);
    for (const double v : g.values) range.take(v);
  }
  if (shown.empty()) return {};
  const Scale x(range.low, range.high, axis.kind, kLeft, kChartWidth - kRight);
  std::vector<std::vector<double>> shares;
  double tallest = 0;
  for (const Group* g : shown) {
    shares.push_back(shares_of(g->values, x, kBins));
    tallest = std::max(tallest, *std::max_element(shares.back().begin(), shares.back().end()));
  }
  Html body = text_at(kLeft - 6, kTop + 8, "end", "share of images");
  double bottom = kTop + 8;
  for (size_t i = 0; i < shown.size(); ++i) {
    bottom += kRow + kGap;
    const Scale y(0, tallest, ScaleKind::linear, bottom, bottom - kRow);
    body += line_between(kLeft, bottom, kChartWidth - kRight, bottom, "grid");
    body += line_between(kLeft, y(tallest), kChartWidth - kRight, y(tallest), "grid");
    body += text_at(kLeft - 6, y(tallest) + 10, "end", fmt::format("{:.2f}", tallest)) +
            text_at(kLeft - 6, bottom, "end", "0");
    body += text_at(14, bottom - kRow / 2, "start", shown[i]->name, "name") +
            text_at(14, bottom - kRow / 2 + 14, "start",
                    fmt::format("{} images", shown[i]->values.size()));
    body += outline(shares[i], x, y, fmt::format("fill{}", shown[i]->colour));
  }
  body += marked(x, threshold, kTop, bottom, "threshold " + tick_text(threshold));
  return framed(title, bottom + kAxisRoom, body + horizontal_axis(x, bottom, axis.title));
}

Html interval_chart(const std::string& title, const std::string& x_title, double low, double high,
                    double chance, const std::vector<IntervalGroup>& groups) {
  constexpr double kName = 22, kValue = 34, kRow = 19, kLine = 12, kHeading = 24;
  constexpr size_t kMaxName = 24;
  size_t longest = 10;
  for (const IntervalGroup& g : groups)
    for (const IntervalRow& r : g.rows) longest = std::max(longest, r.name.size());
  const double left = kName + kTextWidth * static_cast<double>(std::min(longest, kMaxName)) + 10;
  Range range{low, high};
  for (const IntervalGroup& g : groups)
    for (const IntervalRow& r : g.rows) {
      range.take(r.low);
      range.take(r.high);
      for (const double v : r.singles) range.take(v);
    }
  const Scale x(range.low, range.high, ScaleKind::linear, left, kChartWidth - kRight - kValue);
  Html body;
  double y = kTop - 4;
  for (const IntervalGroup& g : groups) {
    y += kHeading;
    body += text_at(14, y - 5, "start", g.name, "strong");
    for (const IntervalRow& r : g.rows) {
      const std::vector<std::string> lines = lines_of(r.name, kMaxName);
      const double extra = kLine * static_cast<double>(lines.size() - 1);
      y += kRow + extra;
      const double middle = y - 8 - extra / 2;
      for (size_t i = 0; i < lines.size(); ++i)
        body += text_at(kName, middle + 4 - extra / 2 + kLine * static_cast<double>(i), "start",
                        lines[i], "name");
      body += line_between(x.first(), middle, x.last(), middle, "grid");
      body += markup(
          "<rect class=\"faint fill{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"8\" "
          "rx=\"2\"/>",
          r.colour, x(r.low), middle - 4, std::max(x(r.high) - x(r.low), 1.0));
      for (const double v : r.singles)
        body += line_between(x(v), middle - 5, x(v), middle + 5, line_kind(r.colour));
      body += markup("<circle class=\"fill{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\"/>", r.colour,
                     x(r.value), middle);
      body +=
          text_at(kChartWidth - kRight, middle + 4, "end", fmt::format("{:.2f}", r.value), "name");
    }
  }
  y += 8;
  body += line_between(x(chance), kTop, x(chance), y, "chance");
  return framed(title, y + kAxisRoom, body + horizontal_axis(x, y, x_title));
}

}  // namespace assay
