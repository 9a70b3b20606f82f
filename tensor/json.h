// The one place that parses JSON: no other file of the project calls nlohmann's parser.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace assay {

/// No file of ours nests deeper than 5. nlohmann's dump() and copy recurse once a level, so text of
/// 100,000 brackets would overflow the stack.
inline constexpr int kMaxJsonDepth = 64;

/// Json (nlohmann::json or ordered_json) of a text; discarded (is_discarded()) where it is no JSON
/// or nests deeper than kMaxJsonDepth.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return Json(Json::value_t::discarded);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return Json::parse(text, nullptr, false);
}

}  // namespace assay
