// Building blocks of the report's page: one file, without scripts and external resources.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace assay {

/// Text for a place between tags or in a quoted attribute. A control character becomes U+FFFD.
std::string escape_html(std::string_view text);

template <class... Args>
class MarkupFormat;

/// Markup. Its tags are literals of this program: a text that becomes part of it is escaped, so no
/// string of a run adds a tag or leaves an attribute. There is no other way to make one.
class Html {
 public:
  Html() = default;
  /// Escaped text.
  Html(std::string_view text) : source_(escape_html(text)) {}
  Html(const std::string& text) : Html(std::string_view(text)) {}
  Html(const char* text) : Html(std::string_view(text)) {}

  Html& operator+=(const Html& more) {
    source_ += more.source_;
    return *this;
  }
  friend Html operator+(Html first, const Html& second) { return std::move(first += second); }
  bool empty() const { return source_.empty(); }
  const std::string& source() const { return source_; }

 private:
  friend Html operator""_html(const char* literal, size_t size);
  template <class... Args>
  friend Html markup(MarkupFormat<std::type_identity_t<Args>...> format, const Args&... args);

  std::string source_;
};

/// A literal with tags.
Html operator""_html(const char* literal, size_t size);

/// An argument of markup(): Html and numbers as they are, everything else as escaped text.
template <class T>
auto in_markup(const T& argument) {
  static_assert(!std::is_same_v<T, char>, "a character would not be escaped");
  if constexpr (std::is_same_v<T, Html>)
    return std::string_view(argument.source());
  else if constexpr (std::is_arithmetic_v<T>)
    return argument;
  else
    return escape_html(argument);
}

/// A format for arguments of these types, which can only be a literal.
template <class... Args>
class MarkupFormat {
 public:
  using Checked = fmt::format_string<decltype(in_markup(std::declval<const Args&>()))...>;

  template <size_t N>
  consteval MarkupFormat(const char (&literal)[N]) : checked_(literal) {}
  const Checked& checked() const { return checked_; }

 private:
  Checked checked_;
};

/// As fmt::format, with the tags of `format` and escaped arguments.
template <class... Args>
Html markup(MarkupFormat<std::type_identity_t<Args>...> format, const Args&... args) {
  Html html;
  html.source_ = fmt::format(format.checked(), in_markup(args)...);
  return html;
}

/// A page with a table of contents, filled from top to bottom.
class Page {
 public:
  /// Adds to what stands above the table of contents.
  void lead(const Html& html) { lead_ += html; }
  /// Starts a section that is listed in the contents; `id` is unique.
  void section(const std::string& id, const std::string& title);
  /// `in_contents` is the title in the contents, by default the same.
  void subsection(const std::string& id, const Html& title, const std::string& in_contents);
  void subsection(const std::string& id, const std::string& title) { subsection(id, title, title); }
  void add(const Html& html) { body_ += html; }

  /// The whole page: style sheet (light, dark, print; any width), contents and body.
  Html html(const std::string& title) const;

 private:
  struct Entry {
    std::string id, title;
    std::vector<Entry> below;
  };
  std::vector<Entry> contents_;
  Html lead_, body_;
};

/// A table, filled row by row; on a phone each row is a card of titles and values.
class Table {
 public:
  /// `columns`: the titles; columns from `numeric_from` on are right-aligned.
  explicit Table(std::vector<std::string> columns, size_t numeric_from = 1);
  /// Error unless there is one cell per column.
  void row(const std::vector<Html>& cells);
  /// Adds a heading over the whole width for the rows below it.
  void group(const Html& name);
  bool empty() const { return rows_ == 0; }
  Html html() const;

 private:
  Html kind(size_t column) const;

  std::vector<std::string> columns_;
  size_t numeric_from_, rows_ = 0;
  Html body_;
};

/// A <p> of the CSS class `kind` ("": none).
Html paragraph(const Html& html, const std::string& kind = "");

/// A collapsed <details> block, which is expanded in print.
Html folded(const Html& summary, const Html& html);

/// Charts side by side where there is room; nothing where they are empty.
Html beside(const Html& charts);

/// A link to a section.
Html link_to(const std::string& id, const Html& html);

std::string base64(std::span<const uint8_t> bytes);

}  // namespace assay
