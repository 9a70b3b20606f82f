#include "apps/assay/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "apps/assay/cli.h"
#include "data/file.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr double kSecondsBetweenBars = 0.1, kSecondsBetweenLines = 5;
constexpr int kBarWidth = 24, kMinBarWidth = 6, kUsualColumns = 80;

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

/// Current width of the terminal, which may change while the program runs.
int columns_of_terminal() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                         : kUsualColumns;
}

/// Whether standard error obeys control sequences.
bool draws_bars() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

/// https://no-color.org
bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == 0;
}

/// Bytes of the UTF-8 character that begins with `first`.
int length_of(char first) {
  const auto byte = static_cast<uint8_t>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
/// Columns of that character, estimated: characters of 3 or more bytes count as two columns.
int width_of(char first) {
  return length_of(first) < 3 ? 1 : 2;
}

/// The longest prefix that fits into `columns`.
std::string cut(const std::string& text, int columns) {
  size_t at = 0;
  for (int width = 0; at < text.size();) {
    width += width_of(text[at]);
    if (width > columns) break;
    at = std::min(text.size(), at + length_of(text[at]));
  }
  return text.substr(0, at);
}
int width_of(const std::string& text) {
  int width = 0;
  for (size_t at = 0; at < text.size(); at += length_of(text[at])) width += width_of(text[at]);
  return width;
}

/// The line of a bar. To fit into `columns` the bar is shortened; then the note, the bar, the
/// remaining time and the label are dropped, in this order.
std::string bar_line(const std::string& label, double share, const std::string& count,
                     const std::string& note, const std::string& left, int columns, bool colour) {
  const auto spaced = [](const std::string& text) { return text.empty() ? text : "  " + text; };
  const std::string eta = left.empty() ? "" : "  ETA " + left;
  const auto with_bar = [&](int width, const std::string& rest) {
    const int filled = static_cast<int>(width * share);
    return fmt::format("{} [{}{:<{}}{}] {}", label, colour ? "\033[32m" : "",
                       std::string(filled, '='), width, colour ? "\033[0m" : "", rest);
  };
  const int around = width_of(label) + 4;  // the label, brackets and spaces
  for (const std::string& rest : {count + spaced(note) + eta, count + eta}) {
    const int room = columns - around - width_of(rest);
    if (room >= kMinBarWidth) return with_bar(std::min(room, kBarWidth), rest);
  }
  for (const std::string& line : {label + " " + count + eta, label + " " + count, count})
    if (width_of(line) <= columns) return line;
  return cut(count, columns);
}

}  // namespace

Progress::Progress(const std::string& label)
    : label_(printable(label)),
      terminal_(draws_bars()),
      colour_(terminal_ && wants_colour()),
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
  std::fprintf(stderr, "%s: %s\n", label_.c_str(), printable(line).c_str());
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
  std::string left;  // empty until one step has been timed
  if (fresh > 0) left = clock_text(elapsed / fresh * static_cast<double>(total - done));
  if (!terminal_) {
    std::fprintf(stderr, "%s: step %lld of at most %lld, %s%s\n", label_.c_str(),
                 static_cast<long long>(done), static_cast<long long>(total), note.c_str(),
                 left.empty() ? "" : (", at most " + left + " left").c_str());
    return;
  }
  const double share =
      static_cast<double>(std::min(done, total)) / static_cast<double>(std::max<int64_t>(total, 1));
  // The last column stays free, because some terminals start a new line after it.
  const std::string line = bar_line(label_, share, fmt::format("{}/{}", done, total), note, left,
                                    columns_of_terminal() - 1, colour_);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

TrainingHooks hooks_of(Progress& progress) {
  return {.progress =
              [&](const TrainingProgress& at) {
                progress.update(at.step, at.max_steps,
                                at.note.empty()
                                    ? fmt::format("epoch {}, loss {:.5f}", at.epoch, at.loss)
                                    : at.note);
              },
          .stop_requested = stop_requested,
          .say = [&](const std::string& line) { progress.say(line); }};
}

}  // namespace assay
