// A run folder from a stranger: its strings reach the report as text and its commands as words.
#include <set>

#include "models/run/csv.h"
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

using Ordered = nlohmann::ordered_json;

/// Leaves an attribute, opens tags, ends a word of the shell, starts commands.
const std::string kHostile =
    "\"><script>x</script><img src=x onerror=1><meta http-equiv=refresh content=0>'; touch X #\n"
    "$(touch X) `touch X` & \"";
/// Can be the name of a folder, and the last part of a path.
const std::string kHostileName =
    "\"><meta http-equiv=refresh content=0><i onclick=1 '; touch X #\n$(touch X)";

/// What the report reads of a small run of each kind.
void train_runs(const fs::path& data, const fs::path& out) {
  write_small_class(data, "tile", 6);
  const auto train = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train", model, "--data", data.string(), "--class", "tile"};
    for (const std::string& word : {std::string("--out"), (out / model).string()})
      words.push_back(word);
    words.insert(words.end(), more.begin(), more.end());
    require_success(run_assay(words));
  };
  train("kd-cae", {"--image-size", "16", "--batch", "2", "--steps", "2"});
  require_success(run_assay({"evaluate", (out / "kd-cae").string(), "--noise-sweep"}));
  train("cnn", {"--image-size", "32", "--batch", "2", "--steps", "2", "--folds", "2"});
  train("mean", {"--image-size", "16"});
  train("dcgan", {"--batch", "1", "--steps", "1"});
  for (const auto& entry : fs::recursive_directory_iterator(out))
    if (entry.path().extension() == ".safetensors") fs::remove(entry.path());
}

/// Writes copies of a run with one string replaced in each, every copy a class of its own.
class Copies {
 public:
  Copies(fs::path run, fs::path root, std::string hostile)
      : run_(std::move(run)), root_(std::move(root)), hostile_(std::move(hostile)) {}

  void write() {
    fs::create_directories(root_);
    for (const auto& entry : fs::recursive_directory_iterator(run_)) {
      const fs::path file = fs::relative(entry.path(), run_);
      if (file.extension() == ".json") replace_in_json(file);
      if (file.extension() == ".csv") replace_in_table(file);
    }
  }

 private:
  fs::path new_copy() {
    const std::string name = fmt::format("{}-{}", run_.filename().string(), ++count_);
    fs::path copy = root_ / (name + kHostileName);
    fs::copy(run_, copy, fs::copy_options::recursive);
    for (const auto& [file, key] :
         {std::pair("config.json", "object_class"), std::pair("metrics.json", "class")}) {
      Ordered json = Ordered::parse(read_text(copy / file));
      json[key] = name;
      put(copy / file, json.dump());
    }
    return copy;
  }
  void replace_in_json(const fs::path& file) {
    const Ordered original = Ordered::parse(read_text(run_ / file));
    const Ordered leaves = original.flatten();
    for (const auto& [pointer, value] : leaves.items()) {
      if (file == "split.json" && !pointer.ends_with("/0")) continue;  // lists of paths
      const fs::path copy = new_copy();
      Ordered json = Ordered::parse(read_text(copy / file));
      json[Ordered::json_pointer(pointer)] = hostile_;
      put(copy / file, json.dump());
    }
  }
  void replace_in_table(const fs::path& file) {
    const CsvTable table = read_csv(run_ / file);
    for (size_t column = 0; column < table.columns.size(); ++column)
      for (const bool in_header : {false, true}) {
        std::vector<std::string> header = table.columns;
        if (in_header) header[column] = hostile_;
        std::string text = csv_row(header);
        for (std::vector<std::string> row : table.rows) {
          if (!in_header) row[column] = hostile_;
          text += csv_row(row);
        }
        put(new_copy() / file, text);
      }
  }

  fs::path run_, root_;
  std::string hostile_;
  int count_ = 0;
};

/// The names of all tags and attributes, as a browser finds them.
struct Names {
  std::set<std::string> tags, attributes;
  int metas = 0;
};

Names names_in(const std::string& page) {
  Names names;
  size_t at = 0;
  const auto word = [&](const char* ends) {
    const size_t begin = at;
    at = std::min(page.find_first_of(ends, at), page.size());
    return page.substr(begin, at - begin);
  };
  while ((at = page.find('<', at)) != std::string::npos) {
    ++at;
    const std::string tag = word(" >\n");
    if (tag == "!doctype") continue;
    names.tags.insert(tag[0] == '/' ? tag.substr(1) : tag);
    names.metas += tag == "meta";
    while (at < page.size() && page[at] != '>') {
      if (page[at] == ' ' || page[at] == '\n' || page[at] == '/') {
        ++at;
        continue;
      }
      names.attributes.insert(word("= >"));
      if (at < page.size() && page[at] == '=') {
        const char quote = page[++at];
        CHECK(quote == '"');
        at = std::min(page.find(quote, at + 1), page.size() - 1) + 1;
      }
    }
  }
  return names;
}

std::string unescaped(std::string text) {
  for (const auto& [entity, plain] :
       {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&quot;", "\""),
        std::pair("&#39;", "'"), std::pair("&amp;", "&")})
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at)
      text.replace(at, std::string(entity).size(), plain);
  return text;
}

/// The texts of the page from `begin` to `end`.
std::vector<std::string> between(const std::string& page, const std::string& begin,
                                 const std::string& end) {
  std::vector<std::string> found;
  for (size_t at = 0; (at = page.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    found.push_back(unescaped(page.substr(at, page.find(end, at) - at)));
  }
  return found;
}

/// Runs commands, one a line, where `assay` does nothing, and says whether they have made a file.
bool make_a_file(const std::string& commands) {
  const TemporaryFolder folder;
  put(folder / "bin/assay", std::string("#!/bin/sh\n"));
  fs::permissions(folder / "bin/assay", fs::perms::owner_all);
  fs::create_directory(folder / "here");
  put(folder / "commands",
      fmt::format("PATH='{}':$PATH\n{}\n", (folder / "bin").string(), commands));
  const Outcome outcome =
      Running(Running::Program{{"/bin/sh", (folder / "commands").string()}}, folder / "here")
          .wait();
  CHECK(outcome.code == 0);
  CHECK(outcome.error == "");
  return !fs::is_empty(folder / "here");
}

}  // namespace

TEST_CASE("no string of a run becomes a tag of the report or a command of its own") {
  const TemporaryFolder folder;
  train_runs(folder / "data", folder / "runs");
  CHECK(make_a_file("assay evaluate x; touch X #"));  // the stub would show it
  for (const std::string& hostile : {kHostile, kHostileName}) {
    const fs::path root = folder / ("suite" + std::to_string(hostile.size()));
    for (const char* model : {"kd-cae", "cnn", "mean", "dcgan"})
      Copies(folder / "runs" / model, root, hostile).write();
    put(root / "failures.json", Ordered{{hostile, hostile}}.dump());
    const Ordered op = {{"op", hostile}, {"algorithm", hostile}};
    put(root / "profile.json", Ordered{{"machine", hostile}, {"steps", {op}}}.dump());
    require_success(run_assay({"report", root.string()}));
    const std::string page = read_text(root / "report/index.html");
    CHECK(contains(page, "&quot;&gt;"));  // the strings are in it

    const Names names = names_in(page);
    CHECK(names.metas == 4);
    for (const char* tag : {"script", "i'", "iframe", "base", "link"})
      CHECK(!names.tags.contains(tag));
    for (const std::string& attribute : names.attributes)
      CHECK_MESSAGE(!attribute.starts_with("on"), attribute);
    const std::set<std::string> known = {
        "alt",      "aria-label",  "charset",   "class",  "colspan", "content",    "cx",
        "cy",       "data-label",  "for",       "height", "href",    "http-equiv", "id",
        "lang",     "name",        "points",    "r",      "role",    "rx",         "src",
        "tabindex", "text-anchor", "transform", "type",   "viewBox", "width",      "x",
        "x1",       "x2",          "y",         "y1",     "y2"};
    for (const std::string& attribute : names.attributes)
      CHECK_MESSAGE(known.contains(attribute), attribute);

    std::vector<std::string> commands = between(page, "<code>", "</code>");
    CHECK(commands.size() > 50);
    for (const std::string& cure : between(page, "; run assay", "</li>"))
      commands.push_back("assay" + cure);
    const Ordered results = Ordered::parse(read_text(root / "results.json"));
    for (const Ordered& cell : results["cells"]) commands.push_back(cell["command"]);
    std::string all;
    for (const std::string& command : commands) {
      CHECK(command.starts_with("assay "));
      all += command + "\n";
    }
    CHECK(!make_a_file(all));
  }
}

TEST_CASE("the report is not written through a symbolic link") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  require_success(run_assay({"train", "mean", "--data", (folder / "data").string(), "--class",
                             "tile", "--out", (folder / "run").string(), "--image-size", "16"}));
  fs::create_directories(folder / "mine");
  fs::create_directory_symlink(folder / "mine", folder / "run/report");
  check_refused(run_assay({"report", (folder / "run").string()}), kFailure,
                "report: is a symbolic link");
  CHECK(fs::is_empty(folder / "mine"));
}

}  // namespace assay::testing
