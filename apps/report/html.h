// Building blocks of the report's page: one file, without scripts and external resources.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay {

/// Escapes text for HTML and SVG.
std::string escape_html(const std::string& text);

/// A page with a table of contents, filled from top to bottom.
class Page {
 public:
  /// Adds HTML above the table of contents.
  void lead(const std::string& html) { lead_ += html; }
  /// Starts a section that is listed in the contents. `title` is HTML, `id` unique; `in_contents`
  /// is the title in the contents, by default the same.
  void section(const std::string& id, const std::string& title);
  void subsection(const std::string& id, const std::string& title,
                  const std::string& in_contents = "");
  void add(const std::string& html) { body_ += html; }

  /// The whole page: style sheet (light, dark, print; any width), contents and body.
  std::string html(const std::string& title) const;

 private:
  struct Entry {
    std::string id, title;
    std::vector<Entry> below;
  };
  std::vector<Entry> contents_;
  std::string lead_, body_;
};

/// A table, filled row by row; on a phone each row is a card of titles and values. Cells are HTML.
class Table {
 public:
  /// `columns`: the titles; columns from `numeric_from` on are right-aligned.
  explicit Table(const std::vector<std::string>& columns, size_t numeric_from = 1);
  /// Error unless there is one cell per column.
  void row(const std::vector<std::string>& cells);
  /// Adds a heading over the whole width for the rows below it.
  void group(const std::string& name);
  bool empty() const { return rows_ == 0; }
  std::string html() const;

 private:
  std::string kind(size_t column) const;

  std::vector<std::string> labels_;  ///< titles without tags, of the cells on a phone
  size_t columns_, numeric_from_, rows_ = 0;
  std::string body_;
};

/// A <p> of the CSS class `kind` ("": none).
std::string paragraph(const std::string& html, const std::string& kind = "");

/// A collapsed <details> block, which is expanded in print.
std::string folded(const std::string& summary, const std::string& html);

/// A link to a section.
std::string link_to(const std::string& id, const std::string& html);

std::string base64(std::span<const uint8_t> bytes);

}  // namespace assay
