// Signals while a kernel runs: a wild pointer, an overflowed stack or a trapped undefined behaviour
// becomes a report that names the CUDA thread, instead of the end of the process. Internal.
#pragma once

namespace assay::emulator {

/// Takes over SIGSEGV, SIGBUS, SIGILL and SIGTRAP for its lifetime, and gives them back (a test
/// framework has handlers of its own).
class FaultHandlers {
 public:
  FaultHandlers();
  ~FaultHandlers();
  FaultHandlers(const FaultHandlers&) = delete;
  FaultHandlers& operator=(const FaultHandlers&) = delete;
};

/// A stack for the signal handlers of this OS thread, because its own may have overflowed.
class FaultStack {
 public:
  FaultStack();
  ~FaultStack();
  FaultStack(const FaultStack&) = delete;
  FaultStack& operator=(const FaultStack&) = delete;
};

}  // namespace assay::emulator
