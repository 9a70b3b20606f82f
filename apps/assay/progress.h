// Progress of a run: a bar with the remaining time on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "models/training/trainer.h"

namespace assay {

/// Writes to stderr; results go to stdout. A bar is drawn only on a terminal that is not TERM=dumb
/// and is never wider than the terminal; it has no colour if NO_COLOR is set.
class Progress {
 public:
  explicit Progress(const std::string& label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows `done` of at most `total` steps and a note, for example the loss.
  void update(int64_t done, int64_t total, const std::string& note);
  /// Prints a line above the bar.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();

  std::string label_;
  bool terminal_, colour_, bar_shown_ = false;
  Clock::time_point start_, last_;
  int64_t first_done_ = -1;  // a resumed run does not start at zero
};

/// Hooks that report to `progress` and stop on Ctrl-C. `progress` must outlive them.
TrainingHooks hooks_of(Progress& progress);

}  // namespace assay
