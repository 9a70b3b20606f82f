// How far a run has come: a bar with the time left on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "models/training/trainer.h"

namespace assay {

/// Writes to stderr; results go to stdout. Colour only on a terminal and without NO_COLOR.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of at most `total` steps; `note` says how it goes.
  void update(int64_t done, int64_t total, const std::string& note);
  /// A line that stays, above the bar.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();

  std::string label_;
  bool terminal_, colour_, bar_shown_ = false;
  Clock::time_point start_, last_;
  int64_t first_done_ = -1;  // a resumed run does not start at zero
};

/// Training that shows itself on `progress` and stops on Ctrl-C. `progress` outlives the hooks.
TrainingHooks hooks_of(Progress& progress);

}  // namespace assay
