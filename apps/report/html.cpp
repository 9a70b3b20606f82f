#include "apps/report/html.h"

#include "apps/report/style.h"
#include "kernels/runtime/error.h"

namespace assay {

std::string escape_html(std::string_view text) {
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
      case '\'':
        out += "&#39;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          out += "\ufffd";
        else
          out += c;
    }
  }
  return out;
}

Html operator""_html(const char* literal, size_t size) {
  Html html;
  html.source_.assign(literal, size);
  return html;
}

void Page::section(const std::string& id, const std::string& title) {
  contents_.push_back({id, title, {}});
  body_ += markup("<h2 id=\"{}\">{}</h2>\n", id, title);
}

void Page::subsection(const std::string& id, const Html& title, const std::string& in_contents) {
  ASSAY_CHECK(!contents_.empty(), "page: the subsection {} stands in no section", id);
  contents_.back().below.push_back({id, in_contents, {}});
  body_ += markup("<h3 id=\"{}\">{}</h3>\n", id, title);
}

Html Page::html(const std::string& title) const {
  Html contents;
  for (const Entry& entry : contents_) {
    Html below;
    for (const Entry& sub : entry.below) below += markup("<li>{}</li>", link_to(sub.id, sub.title));
    if (!below.empty()) below = markup("<ul>{}</ul>", below);
    contents += markup("<li>{}{}</li>\n", link_to(entry.id, entry.title), below);
  }
  // The policy forbids scripts and external resources.
  return markup(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<header>\n{}</header>\n<nav "
      "aria-label=\"Contents\"><input type=\"checkbox\" id=\"open-contents\"><label "
      "for=\"open-contents\">Contents</label>\n<ul>\n{}</ul></nav>\n<main>\n{}</main>\n</body>\n</"
      "html>\n",
      title, style_sheet(), lead_, contents, body_);
}

Table::Table(std::vector<std::string> columns, size_t numeric_from)
    : columns_(std::move(columns)), numeric_from_(numeric_from) {
  body_ = "<thead><tr>"_html;
  for (size_t i = 0; i < columns_.size(); ++i)
    body_ += markup("<th{}>{}</th>", kind(i), columns_[i]);
  body_ += "</tr></thead>\n<tbody>\n"_html;
}

Html Table::kind(size_t column) const {
  return column >= numeric_from_ ? " class=\"n\""_html : Html();
}

void Table::row(const std::vector<Html>& cells) {
  ASSAY_CHECK(cells.size() == columns_.size(), "table: a row of {} cells for {} columns",
              cells.size(), columns_.size());
  body_ += "<tr>"_html;
  for (size_t i = 0; i < cells.size(); ++i)
    body_ += markup("<td{} data-label=\"{}\"><span>{}</span></td>", kind(i), columns_[i], cells[i]);
  body_ += "</tr>\n"_html;
  ++rows_;
}

void Table::group(const Html& name) {
  body_ += markup("<tr class=\"group\"><th colspan=\"{}\">{}</th></tr>\n", columns_.size(), name);
}

Html Table::html() const {
  return markup("<div class=\"scroll\" tabindex=\"0\"><table>\n{}</tbody></table></div>\n", body_);
}

Html paragraph(const Html& html, const std::string& kind) {
  return markup("<p{}>{}</p>\n", kind.empty() ? Html() : markup(" class=\"{}\"", kind), html);
}

Html folded(const Html& summary, const Html& html) {
  return markup("<details><summary>{}</summary>\n{}</details>\n", summary, html);
}

Html beside(const Html& charts) {
  return charts.empty() ? Html() : markup("<div class=\"charts\">\n{}</div>\n", charts);
}

Html link_to(const std::string& id, const Html& html) {
  return markup("<a href=\"#{}\">{}</a>", id, html);
}

std::string base64(std::span<const uint8_t> bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;  // 24 bits, missing bytes zero
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? bytes[i + j] : 0u);
    for (size_t j = 0; j < 4; ++j)
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace assay
