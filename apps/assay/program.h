// The program `assay` as a function, for programs that add models of their own.
#pragma once

namespace assay {

/// Reads the command line, runs a verb, and turns an error into one line on stderr. Returns the
/// exit code. Call register_model() before.
int run_program(int argc, char** argv);

}  // namespace assay
