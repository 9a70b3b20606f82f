// From a bug known at run time to a template argument.
#pragma once

#include "kernels/runtime/error.h"
#include "tests/emulator/kernels/kernels.h"

namespace assay::testing {

/// Calls launch.operator()<bug>(); `bug` must be one of kBugs, or none.
template <Bug... kBugs, class Launch>
void with_bug(Bug bug, const Launch& launch) {
  if (bug == Bug::none) return launch.template operator()<Bug::none>();
  const bool found = ((bug == kBugs ? (launch.template operator()<kBugs>(), true) : false) || ...);
  if (!found) throw Error("this kernel has no such bug");
}

}  // namespace assay::testing
