// Times of two sides that run in turns.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace assay::bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Milliseconds of a call: the mean over enough calls for a few milliseconds, after an uncounted
/// one, during which the threads of the other side go to sleep.
template <class F>
double time_of(const F& f) {
  constexpr double kMinMilliseconds = 15;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  f();
  int calls = 0;
  const auto start = Clock::now();
  do {
    f();
    ++calls;
  } while (milliseconds_since(start) < kMinMilliseconds);
  return milliseconds_since(start) / calls;
}

/// A JSON list.
inline std::string list_of(const std::vector<double>& values) {
  std::string text = "[";
  for (const double v : values) {
    if (text.size() > 1) text += ',';
    text += std::to_string(v);
  }
  text += ']';
  return text;
}

}  // namespace assay::bench
