#include "apps/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "kernels/runtime/error.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

constexpr double kWidth = 460, kHeight = 300;
constexpr double kLeft = 58, kRight = 14, kTop = 30, kBottom = 66;

std::string fixed(double value, int digits = 1) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string tick_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// One axis: from values to positions, and its ticks.
class Scale {
 public:
  Scale(double low, double high, bool logarithmic, double first, double last)
      : logarithmic_(logarithmic), low_(map(low)), high_(map(high)), first_(first), last_(last) {
    if (!(high_ > low_)) high_ = low_ + 1;
  }
  bool shows(double v) const { return std::isfinite(v) && (!logarithmic_ || v > 0); }
  double operator()(double v) const {
    return first_ + (map(v) - low_) / (high_ - low_) * (last_ - first_);
  }
  std::vector<double> ticks() const { return logarithmic_ ? powers() : round_steps(); }

 private:
  double map(double v) const { return logarithmic_ ? std::log10(v) : v; }

  /// Multiples of 1, 2 or 5 times a power of ten; five or so.
  std::vector<double> round_steps() const {
    const double rough = (high_ - low_) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    double step = power;
    for (const double factor : {1.0, 2.0, 5.0, 10.0})
      if (factor * power >= rough * 0.999) {
        step = factor * power;
        break;
      }
    std::vector<double> result;
    const double first = std::ceil(low_ / step - 1e-9);
    for (double i = first; i * step <= high_ + 1e-9 * step; ++i)
      result.push_back(i == 0 ? 0 : i * step);
    return result;
  }
  std::vector<double> powers() const {
    std::vector<double> result;
    for (double e = std::floor(low_); e <= high_; ++e)
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double v = e + std::log10(factor);
        if (v >= low_ - 1e-9 && v <= high_ + 1e-9) result.push_back(factor * std::pow(10, e));
      }
    return result;
  }

  bool logarithmic_;
  double low_, high_, first_, last_;
};

std::string text_at(double x, double y, const char* anchor, const std::string& text,
                    const char* kind = "tick") {
  return str("<text class=\"", kind, "\" x=\"", fixed(x), "\" y=\"", fixed(y), "\" text-anchor=\"",
             anchor, "\">", escape_html(text), "</text>");
}

std::string line_between(double x0, double y0, double x1, double y1, const char* kind) {
  return str("<line class=\"", kind, "\" x1=\"", fixed(x0), "\" y1=\"", fixed(y0), "\" x2=\"",
             fixed(x1), "\" y2=\"", fixed(y1), "\"/>");
}

std::string axes(const Chart& chart, const Scale& x, const Scale& y) {
  std::string svg = text_at(kLeft, 18, "start", chart.title, "title");
  for (const double v : y.ticks()) {
    svg += line_between(kLeft, y(v), kWidth - kRight, y(v), "grid");
    svg += text_at(kLeft - 6, y(v) + 4, "end", tick_text(v));
  }
  const double bottom = kHeight - kBottom;
  for (const double v : x.ticks()) {
    svg += line_between(x(v), bottom, x(v), bottom + 4, "axis");
    svg += text_at(x(v), bottom + 17, "middle", tick_text(v));
  }
  svg += line_between(kLeft, bottom, kWidth - kRight, bottom, "axis");
  svg += text_at((kLeft + kWidth - kRight) / 2, bottom + 34, "middle", chart.x.title);
  svg += str("<text class=\"tick\" text-anchor=\"middle\" transform=\"translate(14,",
             fixed((kTop + bottom) / 2), ") rotate(-90)\">", escape_html(chart.y.title), "</text>");
  return svg;
}

std::string legend(const std::vector<std::pair<std::string, int>>& names) {
  std::string svg;
  double x = kLeft;
  for (const auto& [name, colour] : names) {
    svg += str("<rect class=\"fill", colour, "\" x=\"", fixed(x), "\" y=\"", fixed(kHeight - 17),
               "\" width=\"12\" height=\"4\"/>", text_at(x + 17, kHeight - 11, "start", name));
    x += 30 + 6.6 * static_cast<double>(name.size());
  }
  return svg;
}

std::string framed(const Chart& chart, const std::string& body) {
  return str("<svg class=\"chart\" viewBox=\"0 0 ", kWidth, " ", kHeight,
             "\" role=\"img\" aria-label=\"", escape_html(chart.title), "\">", body, "</svg>\n");
}

std::string polyline(const std::string& points, int colour) {
  return str("<polyline class=\"line", colour, "\" points=\"", points, "\"/>");
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string line_chart(const Chart& chart, const std::vector<Series>& series) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  double x_low = chart.x_low, x_high = chart.x_high, y_low = chart.y_low, y_high = chart.y_high;
  if (x_low == x_high) x_low = kInf, x_high = -kInf;
  if (y_low == y_high) y_low = kInf, y_high = -kInf;
  for (const Series& s : series)
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(y) || (chart.y.logarithmic && y <= 0)) continue;
      x_low = std::min(x_low, x), x_high = std::max(x_high, x);
      y_low = std::min(y_low, y), y_high = std::max(y_high, y);
    }
  if (!std::isfinite(x_low) || !std::isfinite(y_low)) return "";
  const Scale x(x_low, x_high, chart.x.logarithmic, kLeft, kWidth - kRight);
  const Scale y(y_low, y_high, chart.y.logarithmic, kHeight - kBottom, kTop);
  std::string body = axes(chart, x, y);
  if (chart.diagonal) body += line_between(x(0), y(0), x(1), y(1), "chance");
  std::vector<std::pair<std::string, int>> names;
  for (const Series& s : series) {
    std::string points;
    for (const auto& [px, py] : s.points)
      if (x.shows(px) && y.shows(py)) points += fixed(x(px)) + "," + fixed(y(py)) + " ";
    body += polyline(points, s.colour);
    names.emplace_back(s.name, s.colour);
  }
  return framed(chart, body + legend(names));
}

std::string histogram(const Chart& chart, const std::vector<Group>& groups, double threshold) {
  constexpr int kBins = 30;
  std::vector<double> all;
  for (const Group& g : groups) all.insert(all.end(), g.values.begin(), g.values.end());
  if (all.empty()) return "";
  const double low = *std::min_element(all.begin(), all.end());
  double high = std::max(percentile(all, 98), threshold + 0.2 * std::abs(threshold - low));
  if (!(high > low)) high = low + 1;

  std::vector<std::vector<double>> shares;
  double tallest = 0;
  for (const Group& g : groups) {
    std::vector<double> share(kBins, 0.0);
    for (const double v : g.values) {
      const int bin = static_cast<int>((v - low) / (high - low) * kBins);
      share[std::clamp(bin, 0, kBins - 1)] += 1.0 / static_cast<double>(g.values.size());
    }
    tallest = std::max(tallest, *std::max_element(share.begin(), share.end()));
    shares.push_back(std::move(share));
  }

  const Scale x(low, high, false, kLeft, kWidth - kRight);
  const Scale y(0, tallest, false, kHeight - kBottom, kTop);
  std::string body = axes(chart, x, y);
  std::vector<std::pair<std::string, int>> names;
  for (size_t i = 0; i < groups.size(); ++i) {
    std::string points = fixed(x(low)) + "," + fixed(y(0)) + " ";
    for (int b = 0; b < kBins; ++b) {
      const double left = low + (high - low) * b / kBins;
      const double right = low + (high - low) * (b + 1) / kBins;
      points += fixed(x(left)) + "," + fixed(y(shares[i][b])) + " " + fixed(x(right)) + "," +
                fixed(y(shares[i][b])) + " ";
    }
    body += polyline(points + fixed(x(high)) + "," + fixed(y(0)), groups[i].colour);
    names.emplace_back(groups[i].name, groups[i].colour);
  }
  body += line_between(x(threshold), kTop, x(threshold), kHeight - kBottom, "threshold");
  body += text_at(x(threshold) + 4, kTop + 10, "start", "threshold " + tick_text(threshold));
  return framed(chart, body + legend(names));
}

}  // namespace assay
