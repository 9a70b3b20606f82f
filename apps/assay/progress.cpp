#include "apps/assay/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr double kSecondsBetweenBars = 0.1, kSecondsBetweenLines = 5;
constexpr int kBarWidth = 24;

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)),
      terminal_(isatty(STDERR_FILENO) == 1),
      colour_(terminal_ && std::getenv("NO_COLOR") == nullptr),
      start_(Clock::now()) {}

Progress::~Progress() {
  clear_bar();
}

void Progress::clear_bar() {
  if (bar_shown_) std::fputs("\r\033[K", stderr);
  bar_shown_ = false;
}

void Progress::say(const std::string& line) {
  clear_bar();
  std::fprintf(stderr, "%s: %s\n", label_.c_str(), line.c_str());
}

void Progress::update(int64_t done, int64_t total, const std::string& note) {
  const Clock::time_point now = Clock::now();
  if (first_done_ < 0) {
    first_done_ = done;
    start_ = now;
  } else if (seconds_between(last_, now) <
             (terminal_ ? kSecondsBetweenBars : kSecondsBetweenLines)) {
    return;
  }
  last_ = now;
  const double elapsed = seconds_between(start_, now);
  const auto fresh = static_cast<double>(done - first_done_);
  std::string left;  // empty until there is a step to judge by
  if (fresh > 0) left = clock_text(elapsed / fresh * static_cast<double>(total - done));
  if (!terminal_) {
    std::fprintf(stderr, "%s: step %lld of at most %lld, %s%s\n", label_.c_str(),
                 static_cast<long long>(done), static_cast<long long>(total), note.c_str(),
                 left.empty() ? "" : (", at most " + left + " left").c_str());
    return;
  }
  const int filled =
      static_cast<int>(kBarWidth * std::min<int64_t>(done, total) / std::max<int64_t>(total, 1));
  std::string bar;
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "=" : " ";
  std::fprintf(stderr, "\r\033[K%s [%s%s%s] %lld/%lld  %s%s", label_.c_str(),
               colour_ ? "\033[32m" : "", bar.c_str(), colour_ ? "\033[0m" : "",
               static_cast<long long>(done), static_cast<long long>(total), note.c_str(),
               left.empty() ? "" : ("  ETA " + left).c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

TrainingHooks hooks_of(Progress& progress) {
  return {.progress =
              [&](const TrainingProgress& at) {
                progress.update(at.step, at.most_steps,
                                at.note.empty()
                                    ? fmt::format("epoch {}, loss {:.5f}", at.epoch, at.loss)
                                    : at.note);
              },
          .stop_requested = stop_requested,
          .say = [&](const std::string& line) { progress.say(line); }};
}

}  // namespace assay
