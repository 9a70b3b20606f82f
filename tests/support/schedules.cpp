#include "tests/support/schedules.h"

#if ASSAY_EMULATED
#include "kernels/emulator/config.h"
#endif

namespace assay::test {

void for_each_schedule(const std::function<void(const std::string& schedule)>& f) {
#if ASSAY_EMULATED
  const emulator::Config before = emulator::config();
  for (const std::string schedule : {"order=sequential,async=late,streams=late",
                                     "order=random,async=early,streams=random,seed=7"}) {
    emulator::apply(emulator::config(), schedule);
    f(schedule);
  }
  emulator::config() = before;
#else
  for (const std::string schedule : {"first", "second"}) f(schedule);
#endif
}

}  // namespace assay::test
