// The errors of Assay and the check that throws them.
//
// A message is one sentence that starts with the operation and says both sides of what does not
// fit: "conv2d: x has C=3 but w has C=4". The command line turns the type into its exit code.
#pragma once

#if !defined(__NVCC__)
#include <fmt/core.h>
#endif

#include <stdexcept>
#include <string>

namespace assay {

/// Anything that went wrong inside Assay (exit code 1).
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// The system refuses memory, threads or file descriptors, for which no input is to blame (exit
/// code 1).
struct SystemError : Error {
  using Error::Error;
};
/// The caller asked for something that does not exist or does not fit together (exit code 2).
struct UsageError : Error {
  using Error::Error;
};
/// An image or a folder of images is missing or broken (exit code 3).
struct DataError : Error {
  using Error::Error;
};
/// A checkpoint or a weight file is missing, broken or of another model (exit code 4).
struct CheckpointError : Error {
  using Error::Error;
};
/// A device was asked for that is not there (exit code 5).
struct DeviceError : Error {
  using Error::Error;
};

}  // namespace assay

// Under nvcc {fmt} lays out its arguments differently than in libfmt, so CUDA files throw directly.
#if !defined(__NVCC__)
/// Throws assay::Error unless `cond` holds. The other arguments are those of fmt::format; the
/// format string is checked when it is compiled.
#define ASSAY_CHECK(cond, ...) ASSAY_CHECK_AS(::assay::Error, cond, __VA_ARGS__)
/// ASSAY_CHECK that throws an ErrorType.
#define ASSAY_CHECK_AS(ErrorType, cond, ...)                  \
  do {                                                        \
    if (!(cond)) throw ErrorType(::fmt::format(__VA_ARGS__)); \
  } while (0)
#endif
