// Runs a test in a new process, for variables that are read from the environment only once.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace assay::testing {

struct Run {
  int code;
  std::string error;  ///< what it wrote to stderr
};

/// Runs one test case of this program again, with such variables in its environment: "A=1 B=2". The
/// test case may be marked skip(), so that nothing else runs it.
inline Run run_this_program(const std::string& variables, const std::string& test_case) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string line =
      variables + " '" + self + "' --no-skip --test-case='" + test_case + "' 2>&1 >/dev/null";
  std::FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Run run{};
  for (int c; (c = std::fgetc(pipe)) != EOF;) run.error += static_cast<char>(c);
  const int status = pclose(pipe);
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

}  // namespace assay::testing
