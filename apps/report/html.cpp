#include "apps/report/html.h"

#include "apps/report/style.h"
#include "kernels/runtime/error.h"

namespace assay {

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
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void Page::section(const std::string& id, const std::string& title) {
  contents_.push_back({id, title, {}});
  body_ += fmt::format("<h2 id=\"{}\">{}</h2>\n", id, title);
}

void Page::subsection(const std::string& id, const std::string& title,
                      const std::string& in_contents) {
  ASSAY_CHECK(!contents_.empty(), "page: the subsection {} stands in no section", id);
  contents_.back().below.push_back({id, in_contents.empty() ? title : in_contents, {}});
  body_ += fmt::format("<h3 id=\"{}\">{}</h3>\n", id, title);
}

std::string Page::html(const std::string& title) const {
  std::string contents;
  for (const Entry& entry : contents_) {
    contents += "<li>" + link_to(entry.id, entry.title);
    if (!entry.below.empty()) {
      contents += "<ul>";
      for (const Entry& below : entry.below)
        contents += "<li>" + link_to(below.id, below.title) + "</li>";
      contents += "</ul>";
    }
    contents += "</li>\n";
  }
  // The policy forbids scripts and external resources.
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<header>\n{}</header>\n<nav "
      "aria-label=\"Contents\"><input type=\"checkbox\" id=\"open-contents\"><label "
      "for=\"open-contents\">Contents</label>\n<ul>\n{}</ul></nav>\n<main>\n{}</main>\n</body>\n</"
      "html>\n",
      escape_html(title), kStyle, lead_, contents, body_);
}

namespace {

std::string without_tags(const std::string& html) {
  std::string text;
  bool tag = false;
  for (const char c : html) {
    if (c == '<') tag = true;
    if (!tag) text += c;
    if (c == '>') tag = false;
  }
  return text;
}

}  // namespace

Table::Table(const std::vector<std::string>& columns, size_t numeric_from)
    : columns_(columns.size()), numeric_from_(numeric_from) {
  for (const std::string& title : columns) labels_.push_back(without_tags(title));
  body_ = "<thead><tr>";
  for (size_t i = 0; i < columns_; ++i) body_ += fmt::format("<th{}>{}</th>", kind(i), columns[i]);
  body_ += "</tr></thead>\n<tbody>\n";
}

std::string Table::kind(size_t column) const {
  return column >= numeric_from_ ? " class=\"n\"" : "";
}

void Table::row(const std::vector<std::string>& cells) {
  ASSAY_CHECK(cells.size() == columns_, "table: a row of {} cells for {} columns", cells.size(),
              columns_);
  body_ += "<tr>";
  for (size_t i = 0; i < columns_; ++i)
    body_ +=
        fmt::format("<td{} data-label=\"{}\"><span>{}</span></td>", kind(i), labels_[i], cells[i]);
  body_ += "</tr>\n";
  ++rows_;
}

void Table::group(const std::string& name) {
  body_ += fmt::format("<tr class=\"group\"><th colspan=\"{}\">{}</th></tr>\n", columns_, name);
}

std::string Table::html() const {
  return fmt::format("<div class=\"scroll\" tabindex=\"0\"><table>\n{}</tbody></table></div>\n",
                     body_);
}

std::string paragraph(const std::string& html, const std::string& kind) {
  return fmt::format("<p{}>{}</p>\n", kind.empty() ? "" : " class=\"" + kind + "\"", html);
}

std::string folded(const std::string& summary, const std::string& html) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary, html);
}

std::string link_to(const std::string& id, const std::string& html) {
  return fmt::format("<a href=\"#{}\">{}</a>", id, html);
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
