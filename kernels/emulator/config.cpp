#include "kernels/emulator/config.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "kernels/emulator/profile.h"
#include "kernels/runtime/error.h"

namespace assay::emulator {
namespace {

template <class Enum>
Enum one_of(const std::string& key, const std::string& value,
            std::initializer_list<const char*> names) {
  int index = 0;
  std::string known;
  for (const char* name : names) {
    if (value == name) return static_cast<Enum>(index);
    known += index++ == 0 ? name : std::string(", ") + name;
  }
  throw UsageError(fmt::format("ASSAY_EMULATOR: {}={} is none of {}", key, value, known));
}

uint64_t number(const std::string& key, const std::string& value) {
  char* end = nullptr;
  const uint64_t n = std::strtoull(value.c_str(), &end, 10);
  ASSAY_CHECK_AS(UsageError, !value.empty() && *end == '\0', "ASSAY_EMULATOR: {}={} is no number",
                 key, value);
  return n;
}

}  // namespace

void apply(Config& c, const std::string& list) {
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "order")
      c.order = one_of<Order>(key, value, {"sequential", "reverse", "random"});
    else if (key == "async")
      c.async = one_of<Async>(key, value, {"early", "late", "random"});
    else if (key == "streams")
      c.streams = one_of<Streams>(key, value, {"eager", "late", "random"});
    else if (key == "seed")
      c.seed = number(key, value);
    else if (key == "threads")
      c.os_threads = static_cast<int>(number(key, value));
    else if (key == "check")
      c.check = number(key, value) != 0;
    else if (key == "profile")
      c.profile = number(key, value) != 0;
    else
      throw UsageError(
          fmt::format("ASSAY_EMULATOR: '{}' is none of order=, async=, streams=, seed=, threads=, "
                      "check=, profile=",
                      word));
  }
}

Config& config() {
  static Config* configuration = [] {
    auto* c = new Config;  // leaked on purpose: kernels may run while the program ends
    if (const char* list = std::getenv("ASSAY_EMULATOR")) apply(*c, list);
    if (c->profile) std::atexit([] { std::fputs(profile_report().c_str(), stderr); });
    return c;
  }();
  return *configuration;
}

}  // namespace assay::emulator
