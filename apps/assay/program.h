// The program `assay` as a function, so that other programs can add models.
#pragma once

namespace assay {

/// Reads the command line and runs a verb; an error becomes one line on stderr. Returns the exit
/// code. Call register_model() before.
int run_program(int argc, char** argv);

}  // namespace assay
