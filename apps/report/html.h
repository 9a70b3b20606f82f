// Pieces of the report's page: one file, no script, nothing that is fetched.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay {

/// Text that can stand in HTML and SVG.
std::string escape_html(const std::string& text);

/// A page with a table of contents, filled from top to bottom.
class Page {
 public:
  /// What stands above the contents on a phone.
  void lead(const std::string& html) { lead_ += html; }
  /// A heading of the contents; what follows is added below it. `title` is HTML, `id` a name that
  /// no other has; `in_contents` is the title there, the same when empty.
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

/// A table, a row at a time; on a phone each row is a card of titles and values. Cells are HTML.
class Table {
 public:
  /// `columns`: the titles; `numeric_from` is the first column that is set to the right.
  explicit Table(const std::vector<std::string>& columns, size_t numeric_from = 1);
  /// Error unless there is a cell for each column.
  void row(const std::vector<std::string>& cells);
  /// A line over the whole width that names the rows below it.
  void group(const std::string& name);
  bool empty() const { return rows_ == 0; }
  std::string html() const;

 private:
  std::string kind(size_t column) const;

  std::vector<std::string> labels_;  ///< titles without tags, of the cells on a phone
  size_t columns_, numeric_from_, rows_ = 0;
  std::string body_;
};

/// "p" with a class, "" for none.
std::string paragraph(const std::string& html, const std::string& kind = "");

/// What is shown when the reader asks for it, and in print.
std::string folded(const std::string& summary, const std::string& html);

/// A link to a section.
std::string link_to(const std::string& id, const std::string& html);

std::string base64(std::span<const uint8_t> bytes);

}  // namespace assay
