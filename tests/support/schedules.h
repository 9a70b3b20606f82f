// The schedules under which the emulated device runs a test.
#pragma once

#include <functional>
#include <string>

namespace assay::test {

/// Calls f(schedule) twice: on the emulated device under two different schedules of its threads,
/// copies and streams, elsewhere as it is.
void for_each_schedule(const std::function<void(const std::string& schedule)>& f);

}  // namespace assay::test
