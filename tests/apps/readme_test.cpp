// Runs the shell examples of README.md.
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// The fenced sh blocks of a Markdown file in which `$assay` is called.
std::vector<std::string> examples_in(const std::string& markdown) {
  std::vector<std::string> blocks;
  const std::string open = "```sh\n", close = "\n```";
  for (size_t at = 0; (at = markdown.find(open, at)) != std::string::npos;) {
    const size_t begin = at + open.size(), end = markdown.find(close, begin);
    const std::string block = markdown.substr(begin, end - begin);
    if (contains(block, "$assay ")) blocks.push_back(block);
    at = end;
  }
  return blocks;
}

/// A folder that looks like the repository to an example: the program is where a build leaves it.
/// A training is cut short there after a few steps; nothing else differs.
void stage(const fs::path& root) {
  put(root / "build/release/assay",
      std::string("#!/bin/sh\n[ \"$1\" = train ] && set -- \"$@\" --steps 4\nexec ") + kProgram +
          " \"$@\"\n");
  fs::permissions(root / "build/release/assay", fs::perms::owner_all);
}

}  // namespace

TEST_CASE("every example of the README works") {
  const std::vector<std::string> examples = examples_in(read_text(ASSAY_README));
  REQUIRE(!examples.empty());
  for (const std::string& example : examples) {
    const TemporaryFolder folder;
    stage(folder.path());
    Running shell(Running::Program{{"/bin/sh", "-eux", "-c", example}}, folder.path());
    const Outcome outcome = shell.wait();
    CAPTURE(example);
    CAPTURE(outcome.out);
    CAPTURE(outcome.error);
    CHECK(outcome.code == 0);
  }
}

}  // namespace assay::testing
