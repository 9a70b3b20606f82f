#include "apps/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr double kTitleX = 14, kLegendRow = 16, kSample = 16;

double width_of(const LegendEntry& entry) {
  return kSample + 6 + kTextWidth * static_cast<double>(entry.name.size()) + 14;
}

/// Calls place(entry, column, row) for each entry and returns the number of rows.
template <class Place>
int lay_out(const std::vector<LegendEntry>& entries, double left, const Place& place) {
  double x = left;
  int row = 0;
  for (const LegendEntry& entry : entries) {
    if (x > left && x + width_of(entry) - 14 > kChartWidth - 4) {
      x = left;
      ++row;
    }
    place(entry, x, row);
    x += width_of(entry);
  }
  return entries.empty() ? 0 : row + 1;
}

}  // namespace

Scale::Scale(double low, double high, ScaleKind kind, double first, double last)
    : kind_(kind), low_(map(low)), high_(map(high)), first_(first), last_(last) {
  if (!(high_ > low_)) {  // one value: put it in the middle
    low_ -= 0.5;
    high_ += 0.5;
  }
}

bool Scale::shows(double v) const {
  return std::isfinite(v) && (kind_ != ScaleKind::logarithmic || v > 0);
}

double Scale::map(double v) const {
  if (kind_ == ScaleKind::logarithmic) return std::log10(v);
  return kind_ == ScaleKind::symmetric ? std::asinh(v) : v;
}

double Scale::value_at(double share) const {
  const double mapped = low_ + share * (high_ - low_);
  if (kind_ == ScaleKind::logarithmic) return std::pow(10, mapped);
  return kind_ == ScaleKind::symmetric ? std::sinh(mapped) : mapped;
}

std::vector<double> Scale::ticks() const {
  switch (kind_) {
    case ScaleKind::logarithmic:
      return powers();
    case ScaleKind::symmetric:
      return symmetric_powers();
    case ScaleKind::linear:
      break;
  }
  return round_steps();
}

/// About five multiples of 1, 2 or 5 times a power of ten.
std::vector<double> Scale::round_steps() const {
  const double rough = (high_ - low_) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * 0.999) step = factor * power;
  std::vector<double> result;
  for (double i = std::ceil(low_ / step - 1e-9); i * step <= high_ + 1e-9 * step; ++i)
    result.push_back(i == 0 ? 0 : i * step);
  return result;
}

/// 1, 2, 5, 10, ..., or powers of ten where these are too many.
std::vector<double> Scale::powers() const {
  const bool wide = high_ - low_ > 2.2;
  std::vector<double> result;
  for (double e = std::floor(low_); e <= high_ + 1e-9; ++e)
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (wide && factor != 1) continue;
      const double v = e + std::log10(factor);
      if (v >= low_ - 1e-9 && v <= high_ + 1e-9) result.push_back(factor * std::pow(10, e));
    }
  return result;
}

/// 0, 1, 3, 10, 30, ... and their negatives, without those whose texts would touch.
std::vector<double> Scale::symmetric_powers() const {
  constexpr double kRoom = 30;
  std::vector<double> all = {0};
  for (double power = 1; power < 1e12; power *= 10)
    for (const double v : {power, 3 * power}) {
      all.push_back(v);
      all.insert(all.begin(), -v);
    }
  std::vector<double> result;
  for (const double v : all) {
    if (map(v) < low_ || map(v) > high_) continue;
    if (!result.empty() && std::abs((*this)(v) - (*this)(result.back())) < kRoom) continue;
    result.push_back(v);
  }
  return result;
}

std::string tick_text(double value) {
  return fmt::format("{:.4g}", value);
}

Html text_at(double x, double y, const char* anchor, const std::string& text, const char* kind) {
  return markup("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", kind,
                x, y, anchor, text);
}

Html line_between(double x0, double y0, double x1, double y1, const std::string& kind) {
  return markup("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
                kind, x0, y0, x1, y1);
}

Html polyline(const std::vector<std::pair<double, double>>& points, const std::string& kind) {
  std::vector<std::pair<double, double>> kept;
  for (const auto& p : points) {
    if (kept.size() >= 2) {
      const auto &a = kept[kept.size() - 2], &b = kept.back();
      const double cross =
          (b.first - a.first) * (p.second - a.second) - (b.second - a.second) * (p.first - a.first);
      const double along =
          (b.first - a.first) * (p.first - b.first) + (b.second - a.second) * (p.second - b.second);
      if (std::abs(cross) < 1e-6 && along >= 0) kept.pop_back();
    }
    kept.push_back(p);
  }
  std::string text;
  for (const auto& [x, y] : kept) text += fmt::format("{:.1f},{:.1f} ", x, y);
  return markup("<polyline class=\"{}\" points=\"{}\"/>", kind, text);
}

Html horizontal_axis(const Scale& x, double bottom, const std::string& title) {
  Html svg = line_between(x.first(), bottom, x.last(), bottom, "axis");
  for (const double v : x.ticks()) {
    svg += line_between(x(v), bottom, x(v), bottom + 4, "axis");
    svg += text_at(x(v), bottom + 16, "middle", tick_text(v));
  }
  return svg + text_at((x.first() + x.last()) / 2, bottom + 32, "middle", title);
}

Html axes(const Scale& x, const Scale& y, const std::string& x_title, const std::string& y_title) {
  Html svg;
  for (const double v : y.ticks()) {
    svg += line_between(x.first(), y(v), x.last(), y(v), "grid");
    svg += text_at(x.first() - 6, y(v) + 4, "end", tick_text(v));
  }
  svg += horizontal_axis(x, y.first(), x_title);
  return svg + markup(
                   "<text class=\"tick\" text-anchor=\"middle\" transform=\"translate(12,{:.1f}) "
                   "rotate(-90)\">{}</text>",
                   (y.first() + y.last()) / 2, y_title);
}

Html legend(const std::vector<LegendEntry>& entries, double left, double top) {
  Html svg;
  lay_out(entries, left, [&](const LegendEntry& entry, double x, int row) {
    const double y = top + kLegendRow * (row + 0.5);
    svg += polyline({{x, y}, {x + kSample, y}}, entry.kind) +
           text_at(x + kSample + 6, y + 4, "start", entry.name);
  });
  return svg;
}

double legend_height(const std::vector<LegendEntry>& entries, double left) {
  return kLegendRow * lay_out(entries, left, [](const LegendEntry&, double, int) {});
}

Html framed(const std::string& title, double height, const Html& body) {
  return markup(
      "<figure><svg class=\"chart\" viewBox=\"0 0 {} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\">{}{}</svg></figure>\n",
      kChartWidth, height, title, text_at(kTitleX, 20, "start", title, "title"), body);
}

}  // namespace assay
