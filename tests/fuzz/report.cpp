#include <cctype>
#include <iterator>
#include <set>

#include "apps/assay/program.h"
#include "tests/fuzz/scratch.h"

namespace {

/// A suite's folder with one small run.
class Suite {
 public:
  Suite() {
    const int code =
        assay::run_quietly({"assay", "train", "kd-cae", "--data", "builtin", "--class", "ring",
                            "--steps", "2", "--image-size", "32", "--out", run().string()});
    if (code != 0) __builtin_trap();
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path run() const { return path() / "run"; }

 private:
  assay::ScratchFolder folder_;
};

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Whether the page has an element that reports do not have; an attribute would need a quote, and
/// a quote is escaped like a bracket.
bool has_foreign_element(const std::string& page) {
  static const std::set<std::string> known = {
      "!doctype", "a",        "b",          "body",   "br",      "circle", "code",  "details",
      "div",      "em",       "figcaption", "figure", "g",       "h1",     "h2",    "h3",
      "h4",       "head",     "header",     "html",   "i",       "img",    "input", "label",
      "li",       "line",     "main",       "meta",   "nav",     "ol",     "p",     "path",
      "polygon",  "polyline", "pre",        "rect",   "section", "small",  "span",  "strong",
      "style",    "sub",      "summary",    "sup",    "svg",     "table",  "tbody", "td",
      "text",     "th",       "thead",      "title",  "tr",      "ul"};
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    size_t begin = at + 1 + (page[at + 1] == '/' ? 1 : 0), end = begin;
    while (end < page.size() &&
           (std::isalnum(static_cast<unsigned char>(page[end])) != 0 || page[end] == '!'))
      ++end;
    if (!known.contains(page.substr(begin, end - begin))) return true;
  }
  return false;
}

}  // namespace

// One file of a run is replaced: the first byte says which. The report is written without foreign
// markup, or the command ends with the exit code of bad data or of a bad run.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Suite suite;
  constexpr const char* kFiles[] = {"config.json",        "metrics.json", "scores.csv",
                                    "history.csv",        "split.json",   "machine.json",
                                    "latents.safetensors"};
  if (size == 0) return 0;
  const std::filesystem::path file = suite.run() / kFiles[data[0] % std::size(kFiles)];
  const std::string original = read(file);
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data + 1), static_cast<std::streamsize>(size - 1));
  const int code = assay::run_quietly({"assay", "report", suite.path().string()});
  if (code != 0 && code != 3 && code != 4) __builtin_trap();
  if (code == 0 && has_foreign_element(read(suite.path() / "report" / "index.html")))
    __builtin_trap();
  std::ofstream(file, std::ios::binary) << original;
  return 0;
}
