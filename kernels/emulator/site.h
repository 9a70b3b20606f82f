// A place in a source file.
//
// Every collective operation of the emulator takes its caller's source line as a defaulted last
// argument. So a report can say "thread 7 waits in __syncthreads at sgemm.cu:41", and two halves of
// a warp in two different shuffles are distinguished from one warp in one shuffle.
#pragma once

#include <fmt/core.h>

#include <cstring>
#include <string>
#include <version>
#if defined(__cpp_lib_source_location)
#include <source_location>
#endif

namespace assay::emulator {

#if defined(__cpp_lib_source_location)
using Site = std::source_location;
#else
/// std::source_location for clang 14, which has the built-ins but not the library's class.
class Site {
 public:
  static constexpr Site current(const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE(),
                                unsigned column = __builtin_COLUMN()) {
    Site site;
    site.file_ = file;
    site.line_ = line;
    site.column_ = column;
    return site;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr unsigned line() const { return line_; }
  constexpr unsigned column() const { return column_; }

 private:
  const char* file_ = "";
  unsigned line_ = 0, column_ = 0;
};
#endif

inline bool same_place(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// "sgemm.cu:41"
inline std::string text(const Site& site) {
  const char* slash = std::strrchr(site.file_name(), '/');
  return fmt::format("{}:{}", slash != nullptr ? slash + 1 : site.file_name(), site.line());
}

}  // namespace assay::emulator
