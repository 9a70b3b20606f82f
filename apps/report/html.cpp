#include "apps/report/html.h"

#include <fstream>
#include <iterator>

#include "apps/report/svg.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark;
  --page: #ffffff; --ink: #1c2024; --soft: #5c656e; --rule: #dde1e6; --panel: #f5f7f9;
  --c0: #2468b4; --c1: #c2570c; --c2: #2f7d4f; --c3: #8a4fa8; --mark: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --ink: #e6e8ea; --soft: #a3abb3; --rule: #333a41; --panel: #1d2226;
  --c0: #6aaaf0; --c1: #f2995a; --c2: #6cc493; --c3: #c79be0; --mark: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 980px; padding: 24px 18px 60px; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; border-top: 1px solid var(--rule);
  padding-top: 1.2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 72ch; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.answer { font-size: 1.08rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: baseline; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
.n { text-align: right; }
.tag { border: 1px solid var(--rule); border-radius: 4px; padding: 0 .4em; font-size: .85em;
  color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr));
  gap: 14px; }
figure { margin: 0 0 14px; }
figure img { width: 100%; max-width: 760px; height: auto; display: block; }
code { background: var(--panel); padding: .1em .35em; border-radius: 3px; font-size: .88em;
  overflow-wrap: anywhere; }
.chart { width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
.chart text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.chart .title { fill: var(--ink); font-weight: 600; font-size: 13px; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
.chance { stroke: var(--soft); stroke-dasharray: 4 4; }
.threshold { stroke: var(--mark); stroke-dasharray: 5 3; stroke-width: 1.5; }
polyline { fill: none; stroke-width: 1.8; }
.line0 { stroke: var(--c0); } .line1 { stroke: var(--c1); }
.line2 { stroke: var(--c2); } .line3 { stroke: var(--c3); }
.fill0 { fill: var(--c0); } .fill1 { fill: var(--c1); }
.fill2 { fill: var(--c2); } .fill3 { fill: var(--c3); }
)";

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;  // 24 bits, missing bytes zero
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace

std::string html_page(const std::string& title, const std::string& body) {
  return str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
             escape_html(title), "</title>\n<style>", kStyle, "</style>\n<body>\n", body,
             "</body>\n</html>\n");
}

std::string html_table(const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows, size_t numeric_from) {
  const auto kind = [&](size_t column) { return column >= numeric_from ? " class=\"n\"" : ""; };
  std::string html = "<div class=\"scroll\"><table>\n<tr>";
  for (size_t i = 0; i < header.size(); ++i) html += str("<th", kind(i), ">", header[i], "</th>");
  html += "</tr>\n";
  for (const auto& row : rows) {
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) html += str("<td", kind(i), ">", row[i], "</td>");
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string html_image(const std::filesystem::path& png, const std::string& description) {
  std::ifstream in(png, std::ios::binary);
  ASSAY_CHECK(in.good(), png.string(), ": cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return str("<figure><img alt=\"", escape_html(description), "\" src=\"data:image/png;base64,",
             base64(bytes), "\"><figcaption>", escape_html(description),
             "</figcaption></figure>\n");
}

}  // namespace assay
